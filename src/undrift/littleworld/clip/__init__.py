"""LittleWorld's own small CLIP: a picture and a caption to unit vectors whose cosine says how well they agree.

It is trained on drawn scenes alone and knows nothing else: its numbers are comparable among LittleWorld's pictures
and with no other CLIP. `report.json` beside this file says what it reaches on held-out scenes.
"""

from undrift.littleworld.clip.loader import embed_pictures, embed_texts, stage_features
from undrift.littleworld.clip.network import WIDTH, LittleClip

__all__ = ["WIDTH", "LittleClip", "embed_pictures", "embed_texts", "stage_features"]
