"""What the parts of a model take in memory by how they are held: before loading and for ``doctor`` alike."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import nn

from undrift.backbones.folder import ModelFolder
from undrift.backbones.placement import GROUP_OFFLOAD_FROM
from undrift.backbones.weights import is_mapped, read_header, resident_bytes
from undrift.errors import ModelError

NF4_SCALES = 4 / 64
"""Bytes of a number: its share in a float32 for 64 (arXiv 2305.14314, section 3, without the second quantisation)."""

QUANTIZED_BYTES: Mapping[str, float] = {"nf4": 0.5 + NF4_SCALES, "int8": 1.0, "fp8": 1.0}
"""Of a number in a quantised layer. The scales of int8 and fp8, one a row, are less than a thousandth."""

NETWORK_WIDTHS = 40
"""Numbers that a transformer's forward holds of each token on top of the weights, as a multiple of its width."""

UNET_CHANNELS = 52
"""Numbers that a UNet's forward holds of each latent pixel on top of the weights, as a multiple of its first
channels."""

DECODED_CHANNELS = 12
"""Numbers that the VAE holds of each pixel while it decodes in one piece, as a multiple of its first channels. All
three are twice what is alive at once, for what libraries and the allocator take beside it."""

PIXELS_PER_CELL = 64
"""Of the picture, to a pixel of the latents that a UNet takes."""

PIXELS_PER_TOKEN, TEXT_TOKENS, USUAL_WIDTH, USUAL_CHANNELS = 256, 512, 3072, 128
"""Of FLUX.1, whose shape the others are near to."""

STREAMED_TENSORS = 4
"""Of the largest size: what is on the device at once where layers are streamed, the next ones under way."""


@dataclass(frozen=True)
class Needs:
    """Bytes that weights take where they are kept while a model works, and before.

    Attributes:
        device: on the device.
        main: in main memory.
        loading: in main memory at most while it is loaded, ``main`` or more. Files that are mapped into memory and
            moved or quantised tensor by tensor take none.
    """

    device: int
    main: int
    loading: int


def needs(folder: ModelFolder, dtype: torch.dtype, offload: str, quantize: str) -> Needs:
    """What the weights of a model need on its device and in main memory, held one way; see ``Placement``.

    Raises:
        ModelError: files are damaged, or a part is of an unknown class.
    """
    parts = {part: part_bytes(folder, part, dtype, quantize) for part in folder.weighty_parts()}
    sizes = parts.values()
    read = {part: _read(folder, part, dtype, quantize) for part in parts}
    if offload == "none":
        return Needs(sum(sizes), 0, max(read.values(), default=0))
    main = sum(sizes)
    loading = main + max((max(0, read[part] - size) for part, size in parts.items()), default=0)
    if offload == "model":
        return Needs(max(sizes, default=0), main, loading)
    resident = sum(_resident(size, _held(folder, part, quantize)) for part, size in parts.items())
    return Needs(resident + STREAMED_TENSORS * _largest_tensor(folder) * dtype.itemsize, main, loading)


def _read(folder: ModelFolder, part: str, dtype: torch.dtype, quantize: str) -> int:
    """Bytes of main memory that a part takes from when it is read until it is on the device.

    diffusers copies GGUF, and what it converts: to another number format, or from its authors' layout. The libraries
    quantise a folder's tensors one by one, but what comes from a file is quantised when all of it is there.
    """
    if part in folder.replaced and folder.file is not None:
        if folder.file.suffix == ".gguf":
            return _stored(folder, part, dtype)
        files = [folder.file]
    elif folder.packed(part) or (quantize != "none" and folder.is_large(part)):
        return 0
    else:
        files = folder.files(part)
    mapped = all(is_mapped(read_header(file)[1], dtype) for file in files)
    return 0 if mapped else part_bytes(folder, part, dtype, "none")


def _resident(size: int, held: str) -> int:
    """Bytes of a part of ``size`` that stay on the device while its layers are streamed: small parts, and scales."""
    if size < GROUP_OFFLOAD_FROM:
        return size
    return round(size * NF4_SCALES / QUANTIZED_BYTES["nf4"]) if held == "nf4" else 0


def _held(folder: ModelFolder, part: str, quantize: str) -> str:
    """How a part's layers are quantised: as its file has them, else as it is asked for."""
    return folder.packed(part).removeprefix("saved-") or (quantize if folder.is_large(part) else "none")


def part_bytes(folder: ModelFolder, part: str, dtype: torch.dtype, quantize: str) -> int:
    """Bytes of a part's weights in ``dtype``, its large layers as ``quantize`` says.

    Parts that were saved quantised, and transformers in GGUF, count as they are. A file that replaces several parts
    counts as the network.

    Raises:
        ModelError: a file of it is damaged, or its class is unknown.
    """
    if part in folder.replaced and part != folder.network:
        return 0
    asked = quantize if folder.is_large(part) else "none"
    stored = _stored(folder, part, dtype)
    if folder.packed(part) or (asked == "none" and dtype != torch.float16):
        return stored
    layers = _layers(folder, part)
    kept = layers.float32 * (4 - dtype.itemsize) if dtype == torch.float16 else 0
    saved = 0.0 if asked == "none" else layers.quantized * (dtype.itemsize - QUANTIZED_BYTES[asked])
    return round(stored + kept - saved)


def _stored(folder: ModelFolder, part: str, dtype: torch.dtype) -> int:
    """Bytes of a part's weights converted to ``dtype``, where its file does not hold them packed."""
    if part not in folder.replaced or folder.file is None:
        return folder.part_resident_bytes(part, dtype.itemsize)
    file = folder.file
    return file.stat().st_size if file.suffix == ".gguf" else resident_bytes(file, dtype.itemsize)


def working_bytes(folder: ModelFolder, picture: tuple[int, int], dtype: torch.dtype) -> int:
    """Bytes of the device that computing takes on top of the weights: of a forward or of decoding, the larger.

    Args:
        folder: the model.
        picture: width and height in pixels.
        dtype: what it computes in.
    """
    pixels = picture[0] * picture[1]
    config = folder.part_config(folder.network)
    if folder.network == "unet":
        forward = pixels // PIXELS_PER_CELL * _first_channels(config) * UNET_CHANNELS
    else:
        width = int(config.get("num_attention_heads", 0)) * int(config.get("attention_head_dim", 0)) or USUAL_WIDTH
        forward = (pixels // PIXELS_PER_TOKEN + TEXT_TOKENS) * width * NETWORK_WIDTHS
    return max(forward, pixels * _first_channels(folder.part_config("vae")) * DECODED_CHANNELS) * dtype.itemsize


def _first_channels(config: Mapping[str, Any]) -> int:
    return int((config.get("block_out_channels") or [USUAL_CHANNELS])[0])


@dataclass(frozen=True)
class _Layers:
    """Numbers in the layers that quantisation takes, and in those that stay float32 where the others are float16."""

    quantized: int
    float32: int


def _layers(folder: ModelFolder, part: str) -> _Layers:
    library, name = folder.index[part]
    try:
        return _layers_of(library, name, folder.path / part)
    except Exception as error:
        # The libraries raise what they like for a configuration that is none of theirs.
        raise ModelError(
            f"{folder.name}: the layers of its {part} ({library}.{name}) cannot be told: {error}"
        ) from error


@lru_cache(maxsize=64)
def _layers_of(library: str, name: str, directory: Path) -> _Layers:
    made = _without_weights(getattr(importlib.import_module(library), name), library, directory)
    excepted = set(getattr(made, "_keep_in_fp32_modules", None) or ())
    output = made.get_output_embeddings() if library == "transformers" else None
    linear = [(name, part) for name, part in made.named_modules() if isinstance(part, nn.Linear)]
    kept = [part.weight.numel() for name, part in linear if excepted & set(name.split("."))]
    taken = [
        part.weight.numel() for name, part in linear if part is not output and not excepted & set(name.split("."))
    ]
    return _Layers(sum(taken), sum(kept))


def _without_weights(cls: Any, library: str, directory: Path) -> Any:
    """A part as its class builds it, on the meta device, where tensors have shapes and no content."""
    if library == "diffusers":
        config = cls.load_config(directory, local_files_only=True)
        with torch.device("meta"):
            return cls.from_config(config)
    config = cls.config_class.from_pretrained(directory, local_files_only=True)
    with torch.device("meta"):
        return cls(config)


def _largest_tensor(folder: ModelFolder) -> int:
    """Numbers in the largest tensor."""
    headers = (read_header(file)[1] for file in folder.weight_files())
    return max((prod(map(int, tensor["shape"])) for header in headers for tensor in header.values()), default=0)
