"""Files of weights: which of a folder's belong to a part, what they take in memory, and which weights they are."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from undrift.errors import ModelError
from undrift.files import open_regular
from undrift.from_json import from_json

HASH_WHOLE_UP_TO = 2**30
"""Files with more bytes than this enter the weights hash by samples from all of their tensors."""

SAMPLES, SAMPLE_BYTES = 16, 4096
"""Of every tensor in a file that is too large to be read whole: how many places, the first and the last among them,
and bytes at each. A fine-tune, an adapter merged in or another number format changes about every sample."""

NAME = re.compile(
    r"(?:model|diffusion_pytorch_model)(?:\.(?P<variant>\w+))?(?:-\d{5}-of-\d{5})?(?:\.(?P<older>\w+))?\.safetensors"
)
"""What diffusers and transformers call a part's weights, whole or in shards, with a variant's name in two places."""

FLOATS = ("F64", "F32", "F16", "BF16")
FORMATS = MappingProxyType({torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"})
"""What safetensors calls number formats."""

EIGHT_BITS = ("F8_E4M3", "F8_E5M2")
"""Formats of numbers that are converted to the dtype that the network computes in, those of eight bits unless they
belong to a part that was saved quantised; others stay as they are stored."""


def chosen_weights(names: Iterable[str], wanted: str = "") -> tuple[tuple[str, ...], str]:
    """The files that hold a part's weights, sorted, and their variant.

    Files without a variant come first, then the variant ``wanted``, then any. Where no name is one that the libraries
    give, all files belong to the part.

    Args:
        names: of the safetensors files in the part's folder.
        wanted: ``fp16`` or ``bf16``, what the network computes in.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        found = NAME.fullmatch(name)
        if found is not None:
            groups.setdefault(found["variant"] or found["older"] or "", []).append(name)
    if not groups:
        return tuple(sorted(names)), ""
    variant = next((one for one in ("", wanted) if one in groups), min(groups))
    return tuple(sorted(groups[variant])), variant


def has_usual_name(name: str) -> bool:
    """Whether the libraries give a file of weights this name."""
    return NAME.fullmatch(name) is not None


_NO_HEADER = (
    *(OSError, struct.error, ValueError, AttributeError, TypeError),
    *(LookupError, ArithmeticError),
)
"""What reading made-up headers raises."""


def read_header(file: Path) -> tuple[int, Mapping[str, Any]]:
    """Length in bytes and content of a safetensors header.

    Raises:
        ModelError: the file cannot be whole.
    """
    try:
        with open_regular(file) as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            # The format caps headers at 100 MB; a larger number is not a header's length.
            raw = stream.read(length) if length <= 100_000_000 else b""
        header = from_json(raw)
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


def resident_bytes(file: Path, number_bytes: int, *, quantized: bool = False) -> int:
    """Bytes that a safetensors file's tensors take in memory.

    Args:
        file: whose.
        number_bytes: of a number in the dtype that floating-point weights are converted to. Packed ones, those of a
            model that was quantised before it was saved, count as they lie on the disk.
        quantized: whether the file's part was saved quantised.
    """
    converted = FLOATS if quantized else (*FLOATS, *EIGHT_BITS)
    tensors = read_header(file)[1].items()
    return sum(_tensor_bytes(value, number_bytes, _is_converted(name, value, converted)) for name, value in tensors)


AUTHORS_LAYERS = ("double_blocks.", "model.diffusion_model.", "joint_blocks.")
"""What the names of tensors begin with where diffusers converts the layout."""


def is_mapped(tensors: Mapping[str, Any], dtype: torch.dtype) -> bool:
    """Whether a file's tensors, given by its header, are used as they lie there by a part in ``dtype``."""
    wanted = FORMATS.get(dtype)
    same = all(value.get("dtype") == wanted for value in tensors.values() if value.get("dtype") in FLOATS)
    return same and not any(name.startswith(AUTHORS_LAYERS) for name in tensors)


def _is_converted(name: str, tensor: Mapping[str, Any], formats: Sequence[str]) -> bool:
    """The scales beside a packed ``weight``, ``weight.absmax`` of bitsandbytes, stay as they are stored."""
    return tensor.get("dtype") in formats and ".weight." not in name


def _tensor_bytes(tensor: Mapping[str, Any], number_bytes: int, converted: bool) -> int:
    if converted:
        return prod(map(int, tensor["shape"])) * number_bytes
    start, end = tensor["data_offsets"]
    return int(end) - int(start)


def weights_digest(files: Iterable[Path]) -> str:
    """Which weights files hold: 16 hex digits of the sha256 over their contents, of large ones over samples."""
    digest = hashlib.sha256()
    for file in files:
        for block in _hashed_blocks(file):
            digest.update(block)
    return digest.hexdigest()[:16]


def tensors_digest(modules: Iterable[nn.Module]) -> str:
    """Which weights loaded modules have: 16 hex digits of the sha256 over samples of all of their tensors.

    Adapters count with their scales. Tensors that an offloading hook holds elsewhere count by name and shape.
    """
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in module.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            for held in _held_in(tensor):
                flat = held.reshape(-1)
                step = max(1, (flat.numel() - 1) // (SAMPLES * 64))
                digest.update(flat[::step].cpu().contiguous().view(torch.uint8).numpy().tobytes())
        scales = {name: part.scaling for name, part in module.named_modules() if hasattr(part, "scaling")}
        digest.update(repr(sorted((name, str(scale)) for name, scale in scales.items())).encode())
    return digest.hexdigest()[:16]


def _held_in(tensor: object) -> Iterator[Tensor]:
    """The plain tensors with numbers that a tensor is made of: a quantised one has its scales beside its weights."""
    if not isinstance(tensor, Tensor) or tensor.is_meta or not tensor.numel():
        return
    if hasattr(tensor, "__tensor_flatten__"):
        for name in tensor.__tensor_flatten__()[0]:
            yield from _held_in(getattr(tensor, name))
    else:
        yield tensor.detach().as_subclass(Tensor)


def _hashed_blocks(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    with open_regular(file) as stream:
        if size <= HASH_WHOLE_UP_TO:
            while block := stream.read(2**20):
                yield block
            return
        if file.suffix != ".safetensors":
            places = [(0, size)]
            start = 0
        else:
            length, tensors = read_header(file)
            start = 8 + length
            yield stream.read(start)
            places = sorted(
                (int(value["data_offsets"][0]), int(value["data_offsets"][1])) for value in tensors.values()
            )
        for begin, end in places:
            for place in _sampled(begin, end, SAMPLES if start else SAMPLES * 1024):
                stream.seek(start + place)
                yield stream.read(min(SAMPLE_BYTES, end - place))
        yield str(size).encode()


def _sampled(begin: int, end: int, samples: int) -> list[int]:
    """Where samples of the bytes from ``begin`` to ``end`` start: evenly spread, the last one ending at the end."""
    last = max(begin, end - SAMPLE_BYTES)
    count = min(samples, 1 + (last - begin) // SAMPLE_BYTES)
    return sorted({begin + (last - begin) * number // max(1, count - 1) for number in range(count)} | {last})
