"""The models on this machine: in the hub's cache, and in folders beside each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from undrift.backbones.editors import EDITORS
from undrift.backbones.folder import read_folder
from undrift.backbones.hub import cached_models
from undrift.backbones.registry import families
from undrift.errors import ModelError
from undrift.littleworld.weights import EMBEDDED

KNOWN = {
    "littleworld": "embedded, needs no download or GPU; knows its own drawn world only (Apache-2.0)",
    "littleworld-sd": "the same world by a tiny Stable Diffusion, for the editors made for it (Apache-2.0)",
    "black-forest-labs/FLUX.1-dev": "photos; 34 GB, gated, non-commercial licence: "
    "accept it at https://huggingface.co/black-forest-labs/FLUX.1-dev, then run hf auth login",
    "black-forest-labs/FLUX.1-Krea-dev": "photos in another style; size, gate and licence as FLUX.1-dev",
}
"""The models that undrift is made for, each with a line about it."""

_FLUX = 2 * (11_901_408_320 + 4_762_310_656 + 123_060_480 + 83_819_683)
"""Bytes of FLUX.1-dev's transformer, T5, CLIP and VAE, by their numbers of parameters, in 16 bits."""

TO_DOWNLOAD = {
    "black-forest-labs/FLUX.1-dev": (_FLUX, "flux-1-dev-non-commercial-license"),
    "black-forest-labs/FLUX.1-Krea-dev": (_FLUX, "flux-1-dev-non-commercial-license"),
}
"""Of the models of ``KNOWN`` that are brought from the hub, their bytes and licence, before they are here."""

LICENCE = re.compile(r"^license(?:_name)?:\s*(\S+)", re.MULTILINE)
_CARD = 64 * 1024


@dataclass(frozen=True)
class LocalModel:
    """A pipeline on this machine.

    Attributes:
        name: what to load it by.
        pipeline: its class.
        use: ``model``, ``editor``, or empty for one that cannot be edited with.
        size: of its weights in memory, 16 bits a number, in bytes.
        licence: as its card says; empty if it does not.
        problem: what is wrong with its files; empty if nothing is.
    """

    name: str
    pipeline: str
    use: str
    size: int
    licence: str
    problem: str = ""

    def fits(self, free: int) -> bool:
        """Whether its weights fit into ``free`` bytes."""
        return self.size <= free


def is_here(name: str) -> bool:
    """Whether a model of ``KNOWN`` is on this machine: embedded, or in the hub's cache."""
    if name in EMBEDDED:
        return True
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "model_index.json"), str)


def local_models(directory: Path | None = None) -> Iterator[LocalModel]:
    """Every pipeline in the hub's cache, then ``directory`` if it is one, and those in its folders."""
    for name, path in cached_models().items():
        yield _local_model(name, path)
    if directory is not None:
        for index in sorted([*directory.glob("model_index.json"), *directory.glob("*/model_index.json")]):
            yield _local_model(str(index.parent), index.parent)


def _local_model(name: str, path: Path) -> LocalModel:
    try:
        folder = read_folder(path, name)
    except ModelError as error:
        return LocalModel(name, "none", "", 0, "", str(error))
    pipeline = folder.pipeline_class
    use = "model" if pipeline in families() else "editor" if pipeline in EDITORS else ""
    try:
        folder.check_whole()
        return LocalModel(name, pipeline, use, folder.resident_bytes(2), licence(path))
    except ModelError as error:
        return LocalModel(name, pipeline, use, 0, licence(path), str(error))


def licence(path: Path) -> str:
    """The licence that the model card in a pipeline's folder names, empty if it names none."""
    card = path / "README.md"
    if not card.is_file():
        return ""
    with card.open(encoding="utf-8", errors="replace") as stream:
        found = LICENCE.findall(stream.read(_CARD))
    return str(found[-1]) if found else ""
