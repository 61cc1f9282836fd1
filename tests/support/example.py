"""The drawn scenes whose pictures stand in ``examples``, as the documents and the example workflow name them."""

from __future__ import annotations

from undrift.littleworld.scenes import PLACEMENTS, Scene, Thing

DOG = Scene("beach", Thing("dog", "yellow"), None, Thing("cactus", "red"), PLACEMENTS[0])
CAT = Scene("snow", Thing("cat", "red"), None, None, PLACEMENTS[0])
SCENES = {"dog.png": DOG, "cat.png": CAT}
