"""Pictures in and out: any still picture becomes 8-bit sRGB, and every PNG written says how it was made.

What reading does, in this order: refuse what is too large, animated or cut off (``opening``, ``limits``); bring every
channel to 8 bits (``depth``); turn it as its EXIF orientation says; convert it to sRGB as its ICC profile says
(``colour``); put transparent pictures on white. It never resizes. Masks have rules of their own (``masks``).
"""

from undrift.pictures.limits import MAX_MEGAPIXELS, MAX_SIDE
from undrift.pictures.masks import Mask, as_mask, mask_bytes, mask_of, open_holes, open_mask, read_mask, settled
from undrift.pictures.metadata import NoMetadataError, read_metadata
from undrift.pictures.opening import FORMATS, Check
from undrift.pictures.reading import read_picture
from undrift.pictures.writing import METADATA_KEY, XMP_KEY, png_bytes, write_png

__all__ = [
    "FORMATS",
    "MAX_MEGAPIXELS",
    "MAX_SIDE",
    "METADATA_KEY",
    "XMP_KEY",
    "Check",
    "Mask",
    "NoMetadataError",
    "as_mask",
    "mask_bytes",
    "mask_of",
    "open_holes",
    "open_mask",
    "png_bytes",
    "read_mask",
    "read_metadata",
    "read_picture",
    "settled",
    "write_png",
]
