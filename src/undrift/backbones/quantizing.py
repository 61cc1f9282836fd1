"""Weights in fewer bits: by the libraries as they read a folder, or in place once a network was read from a file."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from undrift.backbones.folder import ModelFolder
from undrift.backbones.placement import Placement
from undrift.errors import ModelError

PACKAGES = {"nf4": "bitsandbytes", "int8": "torchao", "fp8": "torchao"}
"""The package that each quantisation needs."""

SAVED = {"nf4": "bitsandbytes", "fp4": "bitsandbytes", "bitsandbytes": "bitsandbytes", "torchao": "torchao"}
"""The package that reads weights that were saved quantised, see ``ModelFolder.quantized``."""

ON_CUDA_ALONE = ("bitsandbytes",)
"""Packages with whose weights diffusers works on a CUDA device and on no other."""

CONFIGS = {"int8": "Int8WeightOnlyConfig", "fp8": "Float8WeightOnlyConfig"}
"""What torchao calls them."""


def quantization(cls: Any, placement: Placement) -> Any:
    """The quantisation configuration of a part's own library."""
    if cls.__module__.startswith("diffusers"):
        from diffusers.quantizers import quantization_config as library
    else:
        from transformers.utils import quantization_config as library
    makers: dict[str, Callable[[], Any]] = {
        "nf4": lambda: library.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=placement.dtype
        ),
        **{name: lambda: library.TorchAoConfig(_torchao(placement.quantize)) for name in CONFIGS},
    }
    return makers[placement.quantize]()


def require_package(quantize: str) -> None:
    """Raises ModelError if the package behind a quantisation is not installed."""
    package = PACKAGES[quantize]
    if importlib.util.find_spec(package) is None:
        raise ModelError(f"quantize={quantize} needs the package {package}: pip install 'undrift[quantize]'")


def check_saved(folder: ModelFolder, part: str, device: torch.device) -> None:
    """Raises ModelError where a part that was saved quantised cannot be loaded here."""
    saved = folder.quantized(part)
    package = SAVED.get(saved, "")
    if package and importlib.util.find_spec(package) is None:
        raise ModelError(
            f"{folder.path / part} was saved as {saved}, which needs {package}: pip install 'undrift[quantize]'"
        )
    if package in ON_CUDA_ALONE and device.type != "cuda" and folder.index[part][0] == "diffusers":
        raise ModelError(
            f"{folder.path / part} was saved as {saved}, which needs a CUDA device, the model is to run on {device}:"
            " use weights in 16 bits, or a GGUF"
        )


def slow_note(quantize: str) -> str:
    """What to know of the time that a quantisation takes; empty for nothing."""
    if quantize not in CONFIGS:
        return ""
    return f"--quantize {quantize} is slow unless the network is compiled: add --compile"


def quantized_in_place(network: nn.Module, placement: Placement) -> None:
    """Quantise the linear layers of a network, one by one on the device, as the libraries do with a folder.

    Args:
        network: of diffusers, its weights as they are.
        placement: gives quantisation, dtype and device.
    """
    excepted = set(getattr(network, "_keep_in_fp32_modules", None) or ())

    def is_taken(layer: nn.Module, name: str) -> bool:
        return isinstance(layer, nn.Linear) and not excepted & set(name.split("."))

    if placement.quantize in CONFIGS:
        quantize = importlib.import_module("torchao.quantization").quantize_
        quantize(network, _torchao(placement.quantize), filter_fn=is_taken, device=placement.device)
        return
    for name, layer in list(network.named_modules()):
        if is_taken(layer, name):
            network.set_submodule(name, _in_four_bits(layer, placement))
    network.is_loaded_in_4bit = True  # type: ignore[assignment]  # which peft asks before it adds an adapter


def _in_four_bits(layer: Any, placement: Placement) -> nn.Module:
    library = importlib.import_module("bitsandbytes").nn
    made = library.Linear4bit(
        layer.in_features,
        layer.out_features,
        bias=layer.bias is not None,
        compute_dtype=placement.dtype,
        quant_type="nf4",
        device="meta",
    )
    made.weight = library.Params4bit(layer.weight.data, requires_grad=False, quant_type="nf4", module=made)
    made.bias = layer.bias
    moved: nn.Module = made.to(placement.device)  # which quantises
    return moved


def _torchao(quantize: str) -> Any:
    return getattr(importlib.import_module("torchao.quantization"), CONFIGS[quantize])()
