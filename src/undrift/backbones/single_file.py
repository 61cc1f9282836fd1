"""Transformers in one file: checkpoints in their authors' own layout, and GGUF."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from undrift.backbones.folder import ModelFolder
from undrift.backbones.placement import Placement
from undrift.backbones.weights import read_header
from undrift.errors import ModelError
from undrift.files import open_regular

FIRST_LAYERS = ("img_in.weight", "model.diffusion_model.img_in.weight", "x_embedder.weight")
"""What the layer is called, in the known layouts of FLUX.1, that takes the noisy picture's channels."""


CHANNELS: Mapping[int, str] = MappingProxyType(
    {
        384: "FLUX.1 Fill, which fills masks: use FLUX.1-dev, and --only for a mask",
        128: "FLUX.1 Control (depth or canny), which is steered by a control picture: use FLUX.1-dev",
    }
)
"""Input channels of transformers of FLUX.1's shape that take more than a noisy picture."""


def check_channels(name: str, pipeline_class: str, channels: object) -> None:
    """Raises ModelError if the transformer of a FLUX.1 has the input ``channels`` of a model for something else."""
    if pipeline_class == "FluxPipeline" and isinstance(channels, int) and channels in CHANNELS:
        raise ModelError(f"{name} has {channels} input channels: it is {CHANNELS[channels]}")


def check_file(file: Path, pipeline_class: str) -> None:
    """Check that a file can be the transformer of a pipeline.

    Raises:
        ModelError: it is none, is damaged, or one of another model; GGUF without the package that reads it.
    """
    if not file.is_file():
        raise ModelError(f"no file {file}: expected a transformer's weights, as safetensors or GGUF")
    if file.suffix == ".gguf":
        if importlib.util.find_spec("gguf") is None:
            raise ModelError(f"{file} needs the package gguf: pip install 'undrift[gguf]'")
        with open_regular(file) as stream:
            if stream.read(4) != b"GGUF":
                raise ModelError(f"{file} is damaged (no GGUF header): download it again")
        return
    if file.suffix != ".safetensors":
        raise ModelError(f"{file} is neither safetensors nor GGUF: convert it, other formats can run code when read")
    _, tensors = read_header(file)
    if any("lora" in name for name in tensors):
        raise ModelError(f"{file} is a LoRA: give it with --lora")
    for layer in FIRST_LAYERS:
        if layer in tensors:
            check_channels(str(file), pipeline_class, int(tensors[layer]["shape"][-1]))


def load_file(folder: ModelFolder, file: Path, cls: Any, placement: Placement) -> Any:
    """The transformer of ``file``, in the shape that the folder's configuration says.

    Raises:
        ModelError: quantisation of what is quantised already. The libraries raise what they like for another shape.
    """
    options: dict[str, Any] = {"config": str(folder.path), "subfolder": "transformer", "local_files_only": True}
    if file.suffix == ".gguf":
        from diffusers import GGUFQuantizationConfig

        if placement.quantize != "none":
            raise ModelError(f"{file} is quantised already: leave out --quantize {placement.quantize}")
        options["quantization_config"] = GGUFQuantizationConfig(compute_dtype=placement.dtype)
    return cls.from_single_file(str(file), dtype=placement.dtype, **options)
