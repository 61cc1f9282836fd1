"""What cannot be edited with, said in one line with what to use instead, before anything large is read or fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from undrift.backbones.editors import EDITORS
from undrift.backbones.registry import families
from undrift.backbones.weights import read_header
from undrift.errors import ModelError

INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "FluxFillPipeline": "a model that fills masks: use FLUX.1-dev, and --only for a mask",
        "FluxControlPipeline": "a model that is steered by a control picture: use FLUX.1-dev",
        "FluxControlNetPipeline": "a model with a ControlNet: use FLUX.1-dev",
        "FluxPriorReduxPipeline": "an adapter for prompts made of pictures: use FLUX.1-dev",
        "StableDiffusion3ControlNetPipeline": "a model with a ControlNet: use Stable Diffusion 3.5",
        "StableDiffusionInpaintPipeline": "a model that fills masks: use Stable Diffusion 1.5, and --only for a mask",
        "StableDiffusionControlNetPipeline": "a model with a ControlNet: use Stable Diffusion 1.5",
        "StableDiffusionXLInpaintPipeline": "a model that fills masks: use Stable Diffusion XL and --only",
        "StableDiffusionXLImg2ImgPipeline": "a refiner: use Stable Diffusion XL's base model",
        "StableDiffusionXLControlNetPipeline": "a model with a ControlNet: use Stable Diffusion XL",
        "QwenImageEditPipeline": "the first Qwen-Image-Edit: use Qwen-Image-Edit-2509 or later, with --editor",
        "QwenImageLayeredPipeline": "a model that cuts pictures into layers: use Qwen-Image",
    }
)
"""Pipelines that are near to ones that can be edited with: what each is, and what to use."""


PICKLED = (".ckpt", ".pt", ".pth", ".bin")


def check_index(name: str, index: Mapping[str, Any]) -> None:
    """Raises ModelError unless the pipeline of a ``model_index.json`` is one that can be edited with."""
    pipeline = str(index.get("_class_name", "none"))
    if pipeline in families():
        return
    if pipeline in EDITORS:
        raise ModelError(f"{name} is an editor by instructions ({pipeline}): use it with --editor {name}")
    if pipeline in INSTEAD:
        raise ModelError(f"{name} is {INSTEAD[pipeline]} ({pipeline})")
    raise ModelError(f"{name} is a {pipeline}: expected one of {', '.join(families())}")


def no_pipeline(path: Path) -> ModelError:
    """What a folder without ``model_index.json`` is instead, as an error to raise."""
    names = {file.name for file in path.iterdir()} if path.is_dir() else set()
    if "modular_model_index.json" in names:
        what = "is a modular pipeline (modular_model_index.json): use the repository that it was made from"
    elif "adapter_config.json" in names or any(_is_lora(path / name) for name in names):
        what = "holds a LoRA alone: give the model that it is for with --model, and the file with --lora"
    elif any(name.endswith(".gguf") for name in names):
        what = "holds GGUF files of a transformer: give its pipeline with --model, and one of them with --transformer"
    elif "config.json" in names:
        what = "is one part of a pipeline: give the folder above it, the one with model_index.json"
    else:
        what = "has no model_index.json: expected the folder of a diffusers pipeline"
    return ModelError(f"{path} {what}")


def no_folder(path: Path) -> ModelError:
    """What a file that was named in place of a folder is, as an error to raise."""
    if path.suffix in (".safetensors", ".gguf") and path.is_file():
        if _is_lora(path):
            return ModelError(f"{path} is a LoRA: give the model that it is for with --model, and this with --lora")
        return ModelError(
            f"{path} is a file of weights, no folder: give its pipeline with --model, and this with --transformer"
        )
    if path.suffix in PICKLED and path.is_file():
        return ModelError(f"{path} is a pickle, which can run code when read: convert it to safetensors")
    return ModelError(f"{path} is no folder: expected a pipeline folder with model_index.json")


def _is_lora(file: Path) -> bool:
    if file.suffix != ".safetensors" or not file.is_file():
        return False
    try:
        _, tensors = read_header(file)
    except ModelError:
        return False
    return any("lora" in name for name in tensors)
