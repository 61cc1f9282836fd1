"""A pipeline folder as diffusers saves it: read and checked before any weight is loaded."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from undrift.attention.sites import Site
from undrift.errors import ModelError
from undrift.files import open_regular
from undrift.wording import problem, size

HASH_WHOLE_UP_TO = 2**30
"""Files with more bytes than this enter the weights hash by their header and size alone."""

MOST_JSON = 32 * 2**20
"""Bytes of a configuration; the indexes of the largest models' weights have some megabytes."""

NOT_SAFE = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True)
class ModelFolder:
    """A local folder with ``model_index.json`` and one subfolder per part.

    Attributes:
        name: what the user loads it by.
        path: the folder.
        index: ``model_index.json``.
        extra: the optional ``undrift.json``: ``tuned`` parameters per method, ``vital_sites``, ``vocabulary``,
            ``notes``.
        revision: the hub's commit, empty for a folder of the user's.
    """

    name: str
    path: Path
    index: Mapping[str, Any]
    extra: Mapping[str, Any]
    revision: str = ""

    @property
    def pipeline_class(self) -> str:
        return str(self.index.get("_class_name", "none"))

    @property
    def weights_hash(self) -> str:
        """The hub's revision or sha256 over the weight files in the order of their names, 16 hex digits."""
        if self.revision:
            return self.revision[:16]
        digest = hashlib.sha256()
        for file in self.weight_files():
            for block in _hashed_blocks(file):
                digest.update(block)
        return digest.hexdigest()[:16]

    @property
    def vital_sites(self) -> tuple[Site, ...] | None:
        """``vital_sites`` of ``undrift.json``, written as ``["double", 0]``; None if it has none."""
        given = self.extra.get("vital_sites")
        return None if given is None else tuple(Site(kind, index) for kind, index in given)

    def parts(self) -> tuple[str, ...]:
        """Names of the parts that the index declares present."""
        return tuple(name for name, value in self.index.items() if name.isidentifier() and _is_part(value))

    def weight_files(self) -> list[Path]:
        """The parts' safetensors files, sorted."""
        return sorted(file for part in self.parts() for file in (self.path / part).glob("*.safetensors"))

    def numbers(self) -> int:
        """How many numbers the weights hold."""
        return sum(_numbers(file) for file in self.weight_files())

    def part(self, name: str) -> Path:
        """The subfolder of a part.

        Raises:
            ModelError: the index or the disk lacks it.
        """
        path = self.path / name
        if name not in self.parts() or not path.is_dir():
            raise ModelError(f"{self.name} lacks the part '{name}': {self.path} is incomplete, download it again")
        return path

    def config(self, name: str) -> Mapping[str, Any]:
        """The configuration of a part without weights, such as the scheduler."""
        return _read_json(self.part(name) / f"{name}_config.json")

    def check_weights(self, name: str) -> None:
        """Check that the weights of a part are there, complete and in safetensors format.

        Raises:
            ModelError: one of these fails; the message names the file.
        """
        path = self.part(name)
        files = sorted(path.glob("*.safetensors"))
        if not files and any(next(path.glob(pattern), None) for pattern in NOT_SAFE):
            raise ModelError(
                f"{path} holds pickled weights only, which can run code when read: convert them to safetensors"
            )
        if not files:
            raise ModelError(f"{path} holds no weights (*.safetensors): download {self.name} again")
        for missing in _missing_shards(path):
            raise ModelError(f"{path / missing} is missing: download {self.name} again")
        for file in files:
            _read_header(file)


def read_folder(path: Path, name: str, revision: str = "") -> ModelFolder:
    """Read the index of a pipeline folder.

    Raises:
        ModelError: not a folder, or not one of a diffusers pipeline.
    """
    if not path.is_dir():
        raise ModelError(f"{path} is no folder: expected a pipeline folder with model_index.json")
    index = path / "model_index.json"
    if not index.is_file():
        raise ModelError(f"{path} has no model_index.json: expected the folder of a diffusers pipeline")
    extra = path / "undrift.json"
    known = _read_json(extra) if extra.is_file() else {}
    try:
        _Extra.model_validate(known)
    except ValidationError as error:
        raise ModelError(f"{extra} is not what undrift writes: {problem(error)}") from None
    return ModelFolder(name=name, path=path, index=_read_json(index), extra=known, revision=revision)


class _Extra(BaseModel):
    """What ``undrift.json`` may hold."""

    tuned: dict[str, dict[str, Any]] = {}
    vital_sites: list[tuple[str, int]] | None = None
    vocabulary: list[str] | None = None
    notes: str = ""


def _is_part(value: object) -> bool:
    """Whether an entry of the index is a part: its library and its class, which are null for a part left out."""
    return isinstance(value, list) and len(value) == 2 and all(isinstance(name, str) for name in value)


def _read_json(file: Path) -> Mapping[str, Any]:
    try:
        with open_regular(file) as stream:
            data = stream.read(MOST_JSON + 1)
        if len(data) > MOST_JSON:
            raise ModelError(f"{file} has more than {size(MOST_JSON)}, expected a configuration")
        content = json.loads(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise ModelError(f"{file} holds a {type(content).__name__}, expected an object")
    return content


def _missing_shards(path: Path) -> Iterator[str]:
    for index in path.glob("*.safetensors.index.json"):
        named = _read_json(index).get("weight_map", {})
        shards = {str(shard) for shard in named.values()} if isinstance(named, dict) else set()
        yield from sorted(shard for shard in shards if Path(shard).name != shard or not (path / shard).is_file())


_NO_HEADER = (
    *(OSError, struct.error, ValueError, AttributeError, TypeError),
    *(LookupError, ArithmeticError, RecursionError),
)
"""What reading made-up headers raises."""


def _read_header(file: Path) -> tuple[int, Mapping[str, Any]]:
    """Length in bytes and content of a safetensors header; raises ModelError if the file cannot be whole."""
    try:
        with open_regular(file) as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            # The format caps headers at 100 MB; a larger number is not a header's length.
            raw = stream.read(length) if length <= 100_000_000 else b""
        header = json.loads(raw)
        tensors = {name: value for name, value in header.items() if name != "__metadata__"}
        end = max((int(value["data_offsets"][1]) for value in tensors.values()), default=0)
        if any(int(side) < 0 for value in tensors.values() for side in value["shape"]):
            raise ValueError("a tensor of less than nothing")
    except _NO_HEADER:
        raise ModelError(f"{file} is damaged (no safetensors header): download it again") from None
    found = file.stat().st_size
    if found != 8 + length + end:
        raise ModelError(f"{file} is damaged ({found} bytes, expected {8 + length + end}): download it again")
    return length, tensors


def _numbers(file: Path) -> int:
    return sum(prod(map(int, value["shape"])) for value in _read_header(file)[1].values())


def _hashed_blocks(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    with open_regular(file) as stream:
        if size > HASH_WHOLE_UP_TO:
            yield stream.read(8 + _read_header(file)[0])
            yield str(size).encode()
        else:
            while block := stream.read(2**20):
                yield block
