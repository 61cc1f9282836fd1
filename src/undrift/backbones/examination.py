"""A model looked at before it is loaded: whether its files are whole, what its parts need, and how it fits."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from undrift.backbones.editors import EDITORS
from undrift.backbones.folder import ModelFolder
from undrift.backbones.loading import device_of, with_file
from undrift.backbones.local_models import licence
from undrift.backbones.locate import HUB_ID, NotNamedError, existing, locate
from undrift.backbones.needs import part_bytes
from undrift.backbones.quantizing import PACKAGES, check_saved, slow_note
from undrift.backbones.refusals import check_index
from undrift.backbones.ways import Way, best, ways
from undrift.errors import ModelError

COLUMNS: Mapping[str, tuple[torch.dtype, str]] = {
    "fp32": (torch.float32, "none"),
    "bf16": (torch.bfloat16, "none"),
    "int8": (torch.bfloat16, "int8"),
    "nf4": (torch.bfloat16, "nf4"),
}
"""How each part's size is told: its number format and quantisation. fp16 is as large as bf16, fp8 as int8."""


@dataclass(frozen=True)
class Examined:
    """What was found of a model.

    Attributes:
        name, device: which, and for where.
        about: what it is, or what is wrong with it.
        problem: why it cannot run here, in one line; empty if it can.
        parts: bytes of each part's weights, by how they are held, see ``COLUMNS``.
        ways: how it can be held.
        best: the way to take.
        notes: what else to know.
    """

    name: str
    device: str
    about: str
    problem: str = ""
    parts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    ways: tuple[Way, ...] = ()
    best: Way | None = None
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **asdict(self),
            "ways": [{**asdict(way), "flags": way.flags, "fits": way.fits} for way in self.ways],
            "best": None if self.best is None else self.best.flags,
        }


def examined(name: str, device: str, picture: tuple[int, int], transformer: Path | None = None) -> Examined:
    """A model looked at; nothing is downloaded and no weight is read.

    Args:
        name: as ``--model`` or ``--editor`` takes it.
        device: as ``--device`` takes it.
        picture: width and height in pixels that it is to edit.
        transformer: as ``--transformer`` takes it.

    Raises:
        InputError, ModelError: ``device`` is none, or none that is here.
    """
    chosen = device_of(device)
    try:
        there = existing(name) is not None or HUB_ID.fullmatch(name) is None
        folder = locate(name, named=there, download=False)
        if folder.pipeline_class not in EDITORS:
            check_index(folder.name, folder.index)
        if transformer is not None:
            folder = with_file(folder, transformer.expanduser())
        folder.check_whole()
        for part in folder.weighty_parts():
            check_saved(folder, part, chosen)
        parts = {part: _sizes(folder, part) for part in folder.weighty_parts()}
        found = tuple(ways(folder, chosen, picture))
    except NotNamedError as error:
        return _broken(name, chosen, f"{name} {error.lacks}: the first command that names it downloads it")
    except ModelError as error:
        return _broken(name, chosen, str(error))
    way = best(found)
    problem = "" if way is not None else f"{name} fits {chosen} in no way: free memory, or take a smaller model"
    about = f"{name}: {folder.pipeline_class}, licence {licence(folder.path) or 'unknown'}, all files are there"
    return Examined(name, str(chosen), about, problem, parts, found, way, tuple(_notes(folder, way)))


def _broken(name: str, device: torch.device, problem: str) -> Examined:
    return Examined(name, str(device), problem, problem)


def _sizes(folder: ModelFolder, part: str) -> dict[str, int]:
    return {held: part_bytes(folder, part, dtype, quantize) for held, (dtype, quantize) in COLUMNS.items()}


def _notes(folder: ModelFolder, way: Way | None) -> list[str]:
    notes = []
    if folder.pipeline_class in EDITORS:
        notes.append("it is an editor by instructions: name it with --editor, beside the session's own model")
    if way is not None and way.quantize != "none":
        package = PACKAGES[way.quantize]
        if importlib.util.find_spec(package) is None:
            notes.append(f"--quantize {way.quantize} needs the package {package}: pip install 'undrift[quantize]'")
        if note := slow_note(way.quantize):
            notes.append(note)
    if way is not None and way.offload == "group":
        notes.append("--offload group moves every layer for every evaluation: expect several times the time")
    return notes
