"""The ways in which a model can be held in memory, and which of them fit this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from undrift.backbones.folder import ModelFolder
from undrift.backbones.needs import Needs, needs, working_bytes
from undrift.backbones.placement import free_main_memory, free_memory

ON_GPU: tuple[tuple[str, str], ...] = (
    ("none", "none"),
    ("model", "none"),
    ("none", "int8"),
    ("none", "nf4"),
    ("model", "int8"),
    ("model", "nf4"),
    ("group", "none"),
)
"""Offloading and quantisation, the best that fits first: weights as they are, be it that they move once a turn; then
fewer bits; then every layer moved for every evaluation."""


@dataclass(frozen=True)
class Way:
    """One way to hold a model.

    Attributes:
        dtype, offload, quantize: as options take them.
        needs: what the weights take.
        working: what computing takes on the device on top, in bytes.
        short: what is not enough, in words; empty if it fits.
    """

    dtype: str
    offload: str
    quantize: str
    needs: Needs
    working: int
    short: str = ""

    @property
    def fits(self) -> bool:
        """Whether there is room for it now."""
        return not self.short

    @property
    def flags(self) -> str:
        """What to add to a command for it; nothing for what is done anyway."""
        given = {"dtype": self.dtype, "offload": self.offload, "quantize": self.quantize}
        return " ".join(f"--{name} {value}" for name, value in given.items() if value not in ("none", "auto"))


def ways(folder: ModelFolder, device: torch.device, picture: tuple[int, int]) -> Iterator[Way]:
    """Every way to hold a model on ``device``, the best first, and whether it fits what is free.

    Args:
        folder: the model.
        device: where it is to compute.
        picture: width and height in pixels that it is to edit.
    """
    free = ((str(device), free_memory(device)), ("main memory", free_main_memory()))
    if device.type != "cuda":
        for name, dtype in (("auto", torch.float32), ("bf16", torch.bfloat16)):
            yield _way(folder, (name, dtype), ("none", "none"), picture, free)
        return
    fixed = not folder.quantizable()
    for offload, quantize in ON_GPU:
        if quantize == "none" or not fixed:
            yield _way(folder, ("auto", torch.bfloat16), (offload, quantize), picture, free)


def best(found: Sequence[Way]) -> Way | None:
    """The first way that fits."""
    return next((way for way in found if way.fits), None)


def _way(
    folder: ModelFolder,
    dtype: tuple[str, torch.dtype],
    held: tuple[str, str],
    picture: tuple[int, int],
    free: tuple[tuple[str, int], tuple[str, int]],
) -> Way:
    name, number = dtype
    offload, quantize = held
    needed = needs(folder, number, offload, quantize)
    working = working_bytes(folder, picture, number)
    amounts = (needed.device + working, needed.loading)
    small = [place for amount, (place, there) in zip(amounts, free, strict=True) if amount > there]
    return Way(name, offload, quantize, needed, working, " and ".join(small))
