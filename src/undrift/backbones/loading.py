"""``load``: from a name and a few wishes to a model that is ready to work, or to one line that says why not."""

from __future__ import annotations

import logging

import torch

from undrift.backbones.base import Backbone, ModelIdentity
from undrift.backbones.components import PACKAGES, require_package
from undrift.backbones.folder import ModelFolder
from undrift.backbones.locate import LITTLEWORLD, locate
from undrift.backbones.placement import (
    DTYPES,
    OFFLOADS,
    QUANTIZATIONS,
    Offload,
    Placement,
    Quantize,
    check_memory,
)
from undrift.backbones.registry import families
from undrift.errors import InputError, ModelError

log = logging.getLogger(__name__)


def load(
    name: str = LITTLEWORLD,
    *,
    dtype: str = "auto",
    device: str = "auto",
    offload: Offload = "none",
    quantize: Quantize = "none",
    revision: str | None = None,
    weights: str | None = None,
    named: bool = True,
) -> Backbone:
    """Load a model.

    Args:
        name: ``littleworld``, the folder of a diffusers pipeline, or a hub id.
        dtype: what the network computes in: ``float32``, ``bfloat16``, ``float16`` (or ``fp32``, ``bf16``,
            ``fp16``); ``auto`` is bfloat16 on CUDA and float32 elsewhere.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``auto`` takes CUDA if there is any.
        offload: ``none``; ``model`` keeps one part at a time on the device; ``group`` streams layers through it.
        quantize: weights of the transformer and the large text encoder as ``nf4``, ``int8`` or ``fp8``.
        revision: branch, tag or commit of a hub id.
        weights: the weights hash that is expected; other weights are warned of, see ``ModelIdentity``.
        named: whether somebody at this machine named it, see ``undrift.backbones.locate.locate``.

    Raises:
        InputError: an unknown value of an option.
        ModelError: the model or the machine does not allow it; the message says what to do.
    """
    placement = _placement(dtype, device, offload, quantize)
    folder = locate(name, revision, named=named)
    family = families().get(folder.pipeline_class)
    if family is None:
        known = ", ".join(families())
        raise ModelError(f"{folder.name} is a {folder.pipeline_class}: expected one of {known}")
    _check_memory(folder, placement)
    backbone = family.from_folder(folder, placement)
    if weights is not None:
        tell_other_weights(backbone.identity, name, weights)
    return backbone


def tell_other_weights(here: ModelIdentity, name: str, weights: str, what: str = "the turn") -> None:
    """Warn that ``what`` cannot be made again where the model ``name`` has other weights than made it."""
    if here.name == name and here.weights_hash != weights:
        log.warning(
            "%s was made by other weights of '%s' (%s, here %s): its picture will be another",
            what,
            name,
            weights,
            here.weights_hash,
        )


def _placement(dtype: str, device: str, offload: str, quantize: str) -> Placement:
    _check_choice("offload", offload, OFFLOADS)
    _check_choice("quantize", quantize, QUANTIZATIONS)
    _check_choice("dtype", dtype, ("auto", *DTYPES))
    chosen = _device(device)
    if chosen.type != "cuda" and (offload, quantize) != ("none", "none"):
        option = f"offload={offload}" if offload != "none" else f"quantize={quantize}"
        raise ModelError(f"{option} needs a CUDA device, the model is to run on {chosen}: leave it out")
    if quantize in PACKAGES:
        require_package(quantize)
    automatic = torch.bfloat16 if chosen.type == "cuda" else torch.float32
    return Placement(chosen, DTYPES.get(dtype, automatic), offload, quantize)  # type: ignore[arg-type]


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{option} is '{value}', expected one of: {', '.join(choices)}")


def _device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise InputError(f"device is '{device}', expected auto, cpu, cuda, cuda:N or mps") from None
    index = int(device.partition(":")[2] or 0)  # torch keeps eight bits of it
    if chosen.type == "cuda" and index >= torch.cuda.device_count():
        raise ModelError(f"device is '{device}', but {_cuda_devices()}: use --device cpu or auto")
    if chosen.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"device is '{device}', expected auto, cpu, cuda, cuda:N or mps")
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError("device is 'mps', but this machine has none: use --device cpu or auto")
    return chosen


def _cuda_devices() -> str:
    count = torch.cuda.device_count()
    return f"this machine has {count} CUDA device(s)" if count else "no CUDA device is available"


def _check_memory(folder: ModelFolder, placement: Placement) -> None:
    if placement.quantize == "none":
        check_memory(folder.name, folder.numbers() * placement.dtype.itemsize, placement)
