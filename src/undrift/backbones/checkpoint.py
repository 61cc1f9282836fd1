"""A whole checkpoint of Stable Diffusion 1, named in place of a pipeline: one file with the weights of all parts.

What such a file lacks are the tokenizer and the configurations, which are the same for all of them. They are those of
the pipeline in whose folder the file lies, as published, or else of ``PIPELINE`` on the hub: 2 MB, kept in its cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from undrift.backbones import hub
from undrift.backbones.folder import ModelFolder, read_folder
from undrift.backbones.hub import Tell
from undrift.backbones.single_file import CHECKPOINT, check_file, replaced_parts
from undrift.backbones.weights import read_header
from undrift.errors import ModelError

PIPELINE = "stable-diffusion-v1-5/stable-diffusion-v1-5"
"""The hub's pipeline that the checkpoints were trained from."""

PIPELINE_CLASS = "StableDiffusionPipeline"

READS_TEXT = ".attn2.to_k.weight"
"""Ends the names of the layers whose input is as wide as the text encoder's output."""

WIDTH_OF_2 = 1024
"""Of the text that Stable Diffusion 2 reads; Stable Diffusion 1 reads 768."""


class NotHereError(ModelError):
    """What a checkpoint lacks is not on this machine, and was not to be downloaded."""


def is_checkpoint(path: Path) -> bool:
    """Whether a file holds a UNet, a VAE and a text encoder under the names of Stable Diffusion's authors.

    Raises:
        ModelError: a safetensors file that is damaged.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    return all(any(name.startswith(prefix) for name in _tensors(path)) for prefix in CHECKPOINT.values())


def checkpoint_folder(path: Path, name: str, *, download: bool, tell: Tell) -> ModelFolder:
    """A checkpoint with the configurations and the tokenizer that it lacks.

    Args:
        path: the file, for which ``is_checkpoint`` holds.
        name: what the user calls it.
        download: whether what is not on this machine may be fetched.
        tell: is told in one line what is about to be downloaded.

    Raises:
        NotHereError: it would have to be fetched.
        ModelError: another model's checkpoint, or what it lacks cannot be fetched.
    """
    check_file(path, PIPELINE_CLASS)
    widths = (tensor["shape"][-1] for key, tensor in _tensors(path).items() if key.endswith(READS_TEXT))
    if next(widths, 0) == WIDTH_OF_2:
        raise ModelError(
            f"{path} is a checkpoint of Stable Diffusion 2, which does not say whether it predicts the noise or v:"
            " give its pipeline with --model, and this with --transformer"
        )
    folder = read_folder(_described(path, download, tell), name)
    folder = replace(folder, file=path)
    return replace(folder, replaced=replaced_parts(folder, path))


def _described(path: Path, download: bool, tell: Tell) -> Path:
    """The folder of a pipeline of the same shape."""
    beside = path.parent
    if (beside / "model_index.json").is_file() and read_folder(beside, path.name).pipeline_class == PIPELINE_CLASS:
        return beside
    try:
        return hub.configurations(PIPELINE, download=download, tell=tell)
    except hub.NotCachedError:
        raise NotHereError(f"lacks a tokenizer, and {PIPELINE}, which has it, is not on this machine") from None
    except ModelError as error:
        raise ModelError(
            f"{path} holds weights alone, and the tokenizer and the configurations that go with them are not here:"
            f" {error}, with --model, and this file with --transformer"
        ) from None


def _tensors(path: Path) -> Mapping[str, Any]:
    return read_header(path)[1]
