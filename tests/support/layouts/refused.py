"""What looks near to a model that can be edited with and is something else, each with the line that says so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.support.layouts.loads import edit

NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
INT8 = {"quant_method": "bitsandbytes", "load_in_8bit": True}


FIND = "importlib.util.find_spec"
"""What says whether a package is installed."""


def without(package: str) -> Callable[..., Any]:
    """``FIND`` where a package is not installed."""
    from importlib.util import find_spec

    return lambda name, *rest: None if name == package else find_spec(name, *rest)


def of_class(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        edit(folder / "model_index.json", _class_name=name)
        return folder

    return make


def with_channels(count: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        edit(folder / "transformer" / "config.json", in_channels=count)
        return folder

    return make


def only(*names: str) -> Callable[[Path], Path]:
    """A folder without an index that holds these files, LoRAs among them."""

    def make(folder: Path) -> Path:
        shutil.rmtree(folder)
        folder.mkdir()
        for name in names:
            if name.endswith(".safetensors"):
                save_file({"transformer.x_embedder.lora_A.weight": torch.zeros(2, 2)}, folder / name)
            else:
                (folder / name).write_text("{}")
        return folder

    return make


def saved_as(method: dict[str, Any]) -> Callable[[Path], Path]:
    """The transformer says that it was saved quantised."""

    def make(folder: Path) -> Path:
        edit(folder / "transformer" / "config.json", quantization_config=method)
        return folder

    return make


def one_part(folder: Path) -> Path:
    return folder / "transformer"


def pickled(folder: Path) -> Path:
    file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_suffix(".bin"))
    return folder


def cut(folder: Path) -> Path:
    """A download that was stopped."""
    file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    return folder


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "Fill": (of_class("FluxFillPipeline"), r"is a model that fills masks: use FLUX.1-dev, and --only"),
    "Control": (of_class("FluxControlPipeline"), r"is steered by a control picture: use FLUX.1-dev"),
    "ControlNet": (of_class("FluxControlNetPipeline"), r"is a model with a ControlNet: use FLUX.1-dev"),
    "Redux": (of_class("FluxPriorReduxPipeline"), r"is an adapter for prompts made of pictures: use FLUX.1-dev"),
    "Kontext": (of_class("FluxKontextPipeline"), r"is an editor by instructions .*: use it with --editor"),
    "Qwen-Image-Edit": (of_class("QwenImageEditPipeline"), r"is the first Qwen-Image-Edit: use .*2509 or later"),
    "Z-Image": (of_class("ZImagePipeline"), r"is a ZImagePipeline: expected one of Flux2KleinPipeline, "),
    "384 channels": (with_channels(384), r"has 384 input channels: it is FLUX.1 Fill"),
    "128 channels": (with_channels(128), r"has 128 input channels: it is FLUX.1 Control"),
    "a LoRA alone": (only("pytorch_lora_weights.safetensors"), r"holds a LoRA alone: give the model .* with --lora"),
    "a LoRA of peft alone": (only("adapter_config.json"), r"holds a LoRA alone"),
    "a modular index": (only("modular_model_index.json"), r"is a modular pipeline \(modular_model_index.json\)"),
    "a GGUF alone": (only("flux1-dev-Q4_K_S.gguf"), r"holds GGUF files of a transformer: .* with --transformer"),
    "one part alone": (one_part, r"is one part of a pipeline: give the folder above it"),
    "nothing of a model": (
        only("README.md"),
        r"has no model_index.json: expected the folder of a diffusers pipeline",
    ),
    "pickled weights": (pickled, r"holds pickled weights only, which can run code when read: convert them to saf"),
    "weights cut short": (cut, r"diffusion_pytorch_model.safetensors .*download it again"),
    "saved in nf4, without its package": (
        saved_as(NF4),
        r"transformer was saved as nf4, which needs bitsandbytes: pip install 'undrift\[quantize\]'",
    ),
    "saved in int8 by bitsandbytes, without it": (
        saved_as(INT8),
        r"transformer was saved as bitsandbytes, which needs bitsandbytes",
    ),
}
"""By what they are called in the table of docs/models.md: how to make it of a folder of FLUX.1, and the line."""
