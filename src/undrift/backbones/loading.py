"""``load``: from a name and a few wishes to a model that is ready to work, or to one line that says why not."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from undrift.backbones.adapters import parse_lora
from undrift.backbones.base import Backbone, ModelIdentity
from undrift.backbones.caching import Cache
from undrift.backbones.flux_architecture import TEXT_TOKENS
from undrift.backbones.folder import ModelFolder
from undrift.backbones.hub import Tell
from undrift.backbones.locate import LITTLEWORLD, locate
from undrift.backbones.needs import Needs, needs
from undrift.backbones.pipeline import PipelineBackbone, network_of
from undrift.backbones.placement import (
    DTYPES,
    OFFLOADS,
    QUANTIZATIONS,
    TILINGS,
    Offload,
    Placement,
    Quantize,
    Tiling,
    free_memory,
    memory_advice,
)
from undrift.backbones.quantizing import PACKAGES, check_saved, require_package, slow_note
from undrift.backbones.refusals import check_index
from undrift.backbones.registry import families
from undrift.backbones.single_file import check_channels, check_file, check_held, check_tensors, replaced_parts
from undrift.errors import InputError, ModelError
from undrift.wording import size

log = logging.getLogger(__name__)

TOLD_FROM = 10**9
"""Bytes of weights below which nobody needs to be told how many there are."""


def load(
    name: str = LITTLEWORLD,
    *,
    dtype: str = "auto",
    device: str = "auto",
    offload: Offload = "none",
    quantize: Quantize = "none",
    tiling: Tiling = "auto",
    compile: bool = False,
    cache: str = "none",
    text_tokens: int | None = None,
    revision: str | None = None,
    transformer: str | Path | None = None,
    loras: Sequence[str] = (),
    weights: str | None = None,
    named: bool = True,
    tell: Tell = log.info,
) -> Backbone:
    """Load a model.

    Args:
        name: ``littleworld``, the folder of a diffusers pipeline, a hub id, or a whole checkpoint of Stable
            Diffusion 1 or XL in one safetensors file.
        dtype: what the network computes in: ``float32``, ``bfloat16``, ``float16`` (or ``fp32``, ``bf16``,
            ``fp16``); ``auto`` is bfloat16 on CUDA and float32 elsewhere.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``auto`` takes CUDA if there is any, else Apple's GPU.
        offload: ``none``; ``model`` keeps one part at a time on the device; ``group`` streams layers through it.
        quantize: weights of the transformer and the large text encoder as ``nf4``, ``int8`` or ``fp8``.
        tiling: the VAE works in tiles ``on`` or ``off``; ``auto``, for large pictures on a GPU.
        compile: compile the network's blocks, which pays after some minutes on a GPU.
        cache: ``first_block`` or ``taylorseer``, with ``:VALUE`` where its usual one does not suit the model.
        text_tokens: that prompts take at most, of FLUX.1 models; fewer are faster. FLUX.1-schnell's authors use 256.
        revision: branch, tag or commit of a hub id.
        transformer: a file, safetensors in its authors' layout or GGUF, that holds the weights of the transformer
            instead, or of the UNet; of a whole checkpoint of Stable Diffusion every part is taken.
        loras: adapters for the transformer or UNet, each ``FILE`` or ``FILE:SCALE``.
        weights: the weights hash that is expected; other weights are warned of, see ``ModelIdentity``.
        named: whether somebody at this machine named it, see ``undrift.backbones.locate.locate``.
        tell: is told in one line each what is downloaded, and what the model needs.

    Raises:
        InputError: an unknown value of an option.
        ModelError: the model or the machine does not allow it; the message says what to do.
    """
    _check_choice("tiling", tiling, TILINGS)
    placement = _placement(
        dtype, device, offload, quantize, tiling=tiling, compiled=compile, cache=Cache.parse(cache)
    )
    added = tuple(parse_lora(text) for text in loras)
    file = None if transformer is None else Path(transformer).expanduser()
    folder = replace(locate(name, revision, named=named, tell=tell), loras=added)
    folder = replace(folder, text_tokens=_text_tokens(folder, text_tokens))
    check_index(folder.name, folder.index)
    if (file is not None or added) and not folder.network:
        raise ModelError(f"{folder.name} has no transformer and no UNet: leave out --transformer and --lora")
    if file is not None:
        folder = with_file(folder, file)
    channels = folder.part_config(folder.network).get("in_channels")
    check_channels(f"the {folder.network} of {folder.name}", folder.pipeline_class, channels)
    check_held(folder, placement.quantize)
    for part in folder.weighty_parts():
        check_saved(folder, part, placement.device)
    folder.check_whole()  # before the first part is read, which may take minutes
    check_fits(folder, placement, tell)
    if (note := slow_note(placement.quantize)) and not placement.compiled:
        tell(note)
    backbone = families()[folder.pipeline_class].from_folder(folder, placement)
    if weights is not None:
        tell_other_weights(backbone.identity, name, weights)
    return backbone


def with_file(folder: ModelFolder, file: Path) -> ModelFolder:
    """The folder with the weights of ``file`` in place of its own.

    Raises:
        ModelError: the file holds no network of such a pipeline, or the folder is a checkpoint itself.
    """
    if folder.file is not None:
        raise ModelError(f"{folder.name} is a checkpoint with a UNet of its own: leave out --transformer")
    check_file(file, folder.pipeline_class)
    folder = replace(folder, file=file, beside=True)
    check_tensors(folder, file)
    return replace(folder, replaced=replaced_parts(folder, file))


def from_pipeline(pipe: Any, *, name: str) -> Backbone:
    """A model of a pipeline that was loaded with diffusers, adapters, quantisation, offloading and all.

    Args:
        pipe: a ``FluxPipeline``, or another that a family here is for; its parts are used, not copied.
        name: what turns record it as. A session does not load it again by that name.

    Raises:
        ModelError: a pipeline that cannot be edited with.
    """
    index = {"_class_name": type(pipe).__name__}
    check_index(name, index)
    family = families()[type(pipe).__name__]
    if not issubclass(family, PipelineBackbone):
        raise ModelError(f"{name} is a {type(pipe).__name__}, which is loaded from folders only: use undrift.load")
    channels = network_of(pipe).config.get("in_channels")
    check_channels(f"the network of {name}", type(pipe).__name__, channels)
    return family.from_pipeline(pipe, name)


def tell_other_weights(here: ModelIdentity, name: str, weights: str, what: str = "the turn") -> None:
    """Warn that ``what`` cannot be made again where the model ``name`` has other weights than made it."""
    if here.name == name and not here.has_weights(weights):
        log.warning(
            "%s was made by other weights of '%s' (%s, here %s): its picture will be another",
            what,
            name,
            weights,
            here.weights_hash,
        )


def _text_tokens(folder: ModelFolder, count: int | None) -> int | None:
    if count is None:
        return None
    if not 1 <= count <= TEXT_TOKENS:
        raise InputError(f"text_tokens is {count}, expected 1 to {TEXT_TOKENS}")
    family = families().get(folder.pipeline_class)
    if family is not None and not family.takes_text_tokens:
        raise ModelError(
            f"{folder.name} is a {folder.pipeline_class}, whose text tokens are fixed: leave out text_tokens"
        )
    return count


def _placement(dtype: str, device: str, offload: str, quantize: str, **more: Any) -> Placement:
    _check_choice("offload", offload, OFFLOADS)
    _check_choice("quantize", quantize, QUANTIZATIONS)
    _check_choice("dtype", dtype, ("auto", *DTYPES))
    chosen = device_of(device)
    if chosen.type != "cuda" and (offload, quantize) != ("none", "none"):
        option = f"offload={offload}" if offload != "none" else f"quantize={quantize}"
        raise ModelError(f"{option} needs a CUDA device, the model is to run on {chosen}: leave it out")
    if quantize in PACKAGES:
        require_package(quantize)
    automatic = torch.bfloat16 if chosen.type == "cuda" else torch.float32
    if more["compiled"] and offload == "group":
        raise ModelError("compile=True and offload=group do not go together: leave one of them out")
    if more["cache"] is not None and (more["compiled"] or offload == "group"):
        other = "compile=True" if more["compiled"] else "offload=group"
        raise ModelError(f"cache={more['cache']} and {other} do not go together: leave one of them out")
    return Placement(chosen, DTYPES.get(dtype, automatic), offload, quantize, **more)  # type: ignore[arg-type]


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{option} is '{value}', expected one of: {', '.join(choices)}")


def device_of(device: str) -> torch.device:
    """The device that ``--device`` names.

    Raises:
        InputError: it names none.
        ModelError: it is not on this machine.
    """
    if device == "auto":
        gpu = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else None
        return torch.device(gpu or "cpu")
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


def check_fits(folder: ModelFolder, placement: Placement, tell: Tell = log.info) -> None:
    """Tell what the weights of a folder need, held as ``placement`` says.

    Raises:
        ModelError: it is more than there is where they are to be kept.
    """
    needed = needs(folder, placement.dtype, placement.offload, placement.quantize)
    held = placement.dtype_name if placement.quantize == "none" else placement.quantize
    if needed.device + needed.main > TOLD_FROM:
        tell(f"{folder.name} needs {_shared(needed, placement.device)} for its weights in {held}")
    places = ((needed.device, placement.device), (needed.main, torch.device("cpu")))
    for amount, device in places:
        if amount > (free := free_memory(device)):
            where = str(device) if device.type == "cuda" else "main memory"
            raise ModelError(
                f"{folder.name} needs {size(amount)} in {held}, {where} has {size(free)} free:"
                f" {memory_advice(placement, working=False)}"
            )
    if needed.loading > (free := free_memory(torch.device("cpu"))):
        raise ModelError(
            f"{folder.name} takes {size(needed.loading)} of main memory while it is loaded, {size(free)} are free:"
            f" {_loading_advice(folder, placement)}"
        )


def _loading_advice(folder: ModelFolder, placement: Placement) -> str:
    if folder.file is None:
        return f"give weights that were saved in {placement.dtype_name}"
    smaller = "a smaller GGUF" if folder.file.suffix == ".gguf" else "a GGUF of it"
    return f"give {smaller}, or the folder of a pipeline, which is read piece by piece"


def _shared(needed: Needs, device: torch.device) -> str:
    """How weights are spread, in words."""
    parts = [(needed.device, f"on {device}" if device.type == "cuda" else ""), (needed.main, "in main memory")]
    return " and ".join(f"{amount / 1e9:.1f} GB {where}".rstrip() for amount, where in parts if amount)
