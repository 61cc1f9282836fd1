"""Selecting the thing at a point by Segment Anything (Kirillov et al. 2023, arXiv 2304.02643), given its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from undrift.backbones.libraries import explained, quiet
from undrift.errors import InputError, ModelError
from undrift.session.drift import Mask

SMALL, LARGE = 1 / 3, 2 / 3
"""How much is taken in: below the one the smallest of the three answers is taken, above the other the largest."""


@dataclass(frozen=True)
class Segmented:
    """A picture as SAM has looked at it.

    Attributes:
        model, processor: of transformers.
        embeddings: of the picture.
        shown: (height, width) at which it was looked at, before padding.
        size: (width, height) of the picture itself.
    """

    model: Any
    processor: Any
    embeddings: Tensor
    shown: tuple[int, int]
    size: tuple[int, int]

    def thing_at(self, point: tuple[float, float], reach: float = 0.5) -> Mask:
        """The thing at ``point``, (x, y) in pixels: (height, width), True where it is.

        SAM answers with three masks, of a part, of more, of the whole. The one that it thinks best is taken, or with
        ``reach`` below ``SMALL`` the smallest, above ``LARGE`` the largest.

        Raises:
            InputError: a point that is not in the picture.
        """
        width, height = self.size
        if not (0 <= point[0] < width and 0 <= point[1] < height):
            given = f"{point[0]:g},{point[1]:g}"
            raise InputError(f"the point {given} is not in the picture of {width}x{height} pixels")
        at = [point[0] * self.shown[1] / width, point[1] * self.shown[0] / height]
        with torch.no_grad():
            found = self.model(
                image_embeddings=self.embeddings,
                input_points=torch.tensor([[[at]]], device=self.embeddings.device),
                input_labels=torch.ones(1, 1, 1, dtype=torch.long, device=self.embeddings.device),
                multimask_output=True,
            )
        masks = self.processor.post_process_masks(found.pred_masks.cpu(), [(height, width)], [self.shown])[0][0]
        areas = masks.flatten(1).sum(1)
        order = areas.argsort()
        best = order[0] if reach < SMALL else order[-1] if reach > LARGE else found.iou_scores[0, 0].argmax().cpu()
        mask: Mask = masks[best].numpy()
        return mask


class Segmenter:
    """SAM from a folder as transformers saves it.

    Args:
        folder: with ``config.json``, ``preprocessor_config.json`` and safetensors.
        device: where it runs.

    Raises:
        ModelError: it is none, or cannot be read.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        _check_folder(folder)
        with explained(folder), quiet():
            from transformers import SamImageProcessorPil, SamModel

            # Without it transformers may take its own, for pictures of another size than this model's.
            _json(folder, "preprocessor_config.json")
            model, found = SamModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
            self._processor = SamImageProcessorPil.from_pretrained(folder, local_files_only=True)
        if found["missing_keys"]:
            raise ModelError(f"--sam '{folder}' lacks {len(found['missing_keys'])} of its weights: fetch it again")
        self._model = model.eval().to(device)
        self.name = str(folder.resolve())

    def see(self, picture: Image.Image) -> Segmented:
        """Look at ``picture``: most of the work, done once for any number of clicks."""
        given = self._processor(images=picture.convert("RGB"), return_tensors="pt")
        shown = tuple(int(side) for side in given["reshaped_input_sizes"][0])
        with torch.no_grad():
            embeddings = self._model.get_image_embeddings(given["pixel_values"].to(self._model.device))
        return Segmented(self._model, self._processor, embeddings, (shown[0], shown[1]), picture.size)


def _json(folder: Path, name: str) -> dict[str, Any]:
    """A settings file of the folder.

    Raises:
        ModelError: it is not there, or is none.
    """
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise ModelError(f"--sam '{folder}' has no readable {name}: name a folder such as sam-vit-base's")
    return found


def _check_folder(folder: Path) -> None:
    kind = _json(folder, "config.json").get("model_type")
    if kind != "sam":
        later = ", which transformers reads with torchvision alone" if str(kind).startswith(("sam2", "sam3")) else ""
        raise ModelError(
            f"--sam '{folder}' holds a model of the type '{kind}'{later}: expected 'sam', such as sam-vit-base"
        )
