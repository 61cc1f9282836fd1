"""A whole checkpoint of Stable Diffusion 1 or XL, named in place of a pipeline: one file with all parts' weights.

What such a file lacks are tokenizers and configurations, which are the same for all of them. They are those of the
pipeline in whose folder the file lies, as published, or else of that of ``PIPELINES`` on the hub: some megabytes,
kept in its cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from undrift.backbones import hub
from undrift.backbones.folder import ModelFolder, read_folder
from undrift.backbones.hub import Tell
from undrift.backbones.single_file import CHECKPOINTS, check_file, replaced_parts
from undrift.backbones.weights import read_header
from undrift.errors import ModelError

PIPELINES = MappingProxyType(
    {
        "StableDiffusionPipeline": "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "StableDiffusionXLPipeline": "stabilityai/stable-diffusion-xl-base-1.0",
    }
)
"""The hub's pipelines that checkpoints are trained from."""

READS_TEXT = ".attn2.to_k.weight"
"""Ends the names of the layers whose input is as wide as the text encoder's output."""

WIDTH_OF_2 = 1024
"""Of the text that Stable Diffusion 2 reads; Stable Diffusion 1 reads 768."""


class NotHereError(ModelError):
    """What a checkpoint lacks is not on this machine, and was not to be downloaded."""


def pipeline_of(path: Path) -> str:
    """The class of the pipeline all of whose parts a file holds under their authors' names; empty for another file.

    Raises:
        ModelError: a safetensors file that is damaged.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        return ""
    names = _tensors(path)
    held = (
        pipeline
        for pipeline, parts in CHECKPOINTS.items()
        if all(any(name.startswith(prefix) for name in names) for prefix in parts.values())
    )
    return next(held, "")


def checkpoint_folder(path: Path, name: str, *, download: bool, tell: Tell) -> ModelFolder:
    """A checkpoint with the configurations and the tokenizer that it lacks.

    Args:
        path: the file, for which ``pipeline_of`` has an answer.
        name: what the user calls it.
        download: whether what is not on this machine may be fetched.
        tell: is told in one line what is about to be downloaded.

    Raises:
        NotHereError: it would have to be fetched.
        ModelError: another model's checkpoint, or what it lacks cannot be fetched.
    """
    pipeline = pipeline_of(path)
    check_file(path, pipeline)
    widths = (tensor["shape"][-1] for key, tensor in _tensors(path).items() if key.endswith(READS_TEXT))
    if pipeline == "StableDiffusionPipeline" and next(widths, 0) == WIDTH_OF_2:
        raise ModelError(
            f"{path} is a checkpoint of Stable Diffusion 2, which does not say whether it predicts the noise or v:"
            " give its pipeline with --model, and this with --transformer"
        )
    folder = read_folder(_described(path, pipeline, download, tell), name)
    folder = replace(folder, file=path)
    return replace(folder, replaced=replaced_parts(folder, path))


def _described(path: Path, pipeline: str, download: bool, tell: Tell) -> Path:
    """The folder of a pipeline of the same shape."""
    beside = path.parent
    if (beside / "model_index.json").is_file() and read_folder(beside, path.name).pipeline_class == pipeline:
        return beside
    try:
        return hub.configurations(PIPELINES[pipeline], download=download, tell=tell)
    except hub.NotCachedError:
        raise NotHereError(
            f"lacks a tokenizer, and {PIPELINES[pipeline]}, which has it, is not on this machine"
        ) from None
    except ModelError as error:
        raise ModelError(
            f"{path} holds weights alone, and the tokenizer and the configurations that go with them are not here:"
            f" {error}, with --model, and this file with --transformer"
        ) from None


def _tensors(path: Path) -> Mapping[str, Any]:
    return read_header(path)[1]
