"""What this machine has for models: its devices, memory, disk and packages, each with what to do where one lacks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import torch
from packaging.requirements import InvalidRequirement, Requirement

from undrift.backbones.placement import free_main_memory, free_memory
from undrift.wording import size

State = Literal["ok", "note", "fault"]

EXTRAS: Mapping[str, str] = MappingProxyType(
    {
        "quantize": "--quantize and models that were saved quantised",
        "gguf": "GGUF transformers",
        "lora": "--lora",
        "api": "serve --api",
    }
)
"""What each optional extra of undrift is for, as far as models go."""

NARROW = (8, 0)
"""The CUDA compute capability from which bfloat16 is computed natively (Ampere)."""

SPARE_DISK = 5 * 10**9
"""Bytes on the hub cache's disk below which hardly any model can be downloaded."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: what, in a word.
        state: ``ok``; ``note``, something is not there that some models or options need; ``fault``, nothing runs
            so, or not as it should.
        text: what was found, and what to do about it.
    """

    topic: str
    state: State
    text: str


def findings() -> Iterator[Finding]:
    """Everything about the machine, model or none."""
    yield _torch()
    yield from _devices()
    yield Finding("memory", "ok", f"main memory: {size(free_main_memory())} of {size(_main_memory())} free")
    yield from _packages()
    yield _disk()


def _torch() -> Finding:
    build = torch.version.cuda or torch.version.hip
    text = f"torch {torch.__version__}"
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return Finding("torch", "ok", text)
    if shutil.which("nvidia-smi") and build is None:
        return Finding(
            "torch",
            "fault",
            f"{text} is built without CUDA and cannot use this machine's NVIDIA GPU: install a CUDA build, see"
            " https://pytorch.org/get-started/locally",
        )
    if build is not None:
        return Finding(
            "torch", "note", f"{text} is built for CUDA {build} and finds no GPU: look at the driver with nvidia-smi"
        )
    return Finding("torch", "ok", f"{text}, for the CPU")


def _devices() -> Iterator[Finding]:
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        device = torch.device("cuda", number)
        about = torch.cuda.get_device_properties(device)
        text = f"{device}: {about.name}, {size(free_memory(device))} of {size(about.total_memory)} free"
        if (about.major, about.minor) < NARROW:
            yield Finding("device", "note", f"{text}; bfloat16 is slow on it: add --dtype fp16")
        else:
            yield Finding("device", "ok", text)
    if torch.backends.mps.is_available():
        yield Finding("device", "ok", "mps: Apple's GPU, which shares the main memory")
    yield Finding("device", "ok", f"cpu: {torch.get_num_threads()} threads")


def _packages() -> Iterator[Finding]:
    """Of undrift's own requirements those that are missing or too old, and the extras that are not there."""
    wanted = [_requirement(text) for text in metadata.requires("undrift") or ()]
    needed = [one for one in wanted if one is not None and _extra(one) is None]
    wrong = [f"{one.name} {_version(one.name) or 'is missing'}" for one in needed if not _met(one)]
    if wrong:
        cure = "pip install --upgrade undrift"
        yield Finding("packages", "fault", f"{', '.join(wrong)}: expected what undrift asks for: {cure}")
    else:
        told = ", ".join(f"{name} {_version(name)}" for name in ("diffusers", "transformers"))
        yield Finding("packages", "ok", told)
    for extra, purpose in EXTRAS.items():
        lacking = [one.name for one in wanted if one is not None and _extra(one) == extra and not _met(one)]
        if lacking:
            text = f"{', '.join(lacking)} not installed, for {purpose}: pip install 'undrift[{extra}]'"
            yield Finding("packages", "note", text)


def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _extra(requirement: Requirement) -> str | None:
    """The extra of ``EXTRAS`` that asks for a requirement, an empty text for another one, None for undrift itself."""
    if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        return None
    return next((extra for extra in EXTRAS if requirement.marker.evaluate({"extra": extra})), "")


def _met(requirement: Requirement) -> bool:
    version = _version(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _disk() -> Finding:
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    there = next((path for path in (cache, *cache.parents) if path.exists()), Path("/"))
    free = shutil.disk_usage(there).free
    text = f"{size(free)} free for downloads in {cache}"
    if free < SPARE_DISK:
        return Finding("disk", "note", f"{text}: free some, or have $HF_HOME name a larger disk")
    return Finding("disk", "ok", text)


def _main_memory() -> int:
    import psutil  # type: ignore[import-untyped]

    return int(psutil.virtual_memory().total)
