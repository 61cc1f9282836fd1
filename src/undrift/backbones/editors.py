"""Editors that were trained on instructions: diffusers' pipelines that take a picture and what to change in it.

Each is called so that the picture keeps its size: it is padded by repeating its edge to what the pipeline can take,
and cropped back. Left alone, diffusers shrinks what is larger than a megapixel, scales to preferred sizes, and cuts
what is no multiple of 16 pixels off on all sides, which moves everything that is left.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image

from undrift.backbones.autoencoder import Autoencoder
from undrift.backbones.base import Latent
from undrift.backbones.components import load_pipeline
from undrift.backbones.counter import Counter
from undrift.backbones.finite import finite_outputs
from undrift.backbones.flux2 import batch_normed
from undrift.backbones.folder import ModelFolder
from undrift.backbones.geometry import geometry_of
from undrift.backbones.locate import existing, locate
from undrift.backbones.named import remember
from undrift.backbones.own_size import MEGAPIXEL, after_steps, copied_at, scaled_to
from undrift.backbones.placement import Placement
from undrift.backbones.qwen_image import video_autoencoder
from undrift.errors import InputError, ModelError

Watch = Callable[[int, int], None]
"""Called with a step's number, from 0, and the number of all steps, before the step; it may raise to stop."""


@dataclass(frozen=True)
class Order:
    """What an editor is asked for.

    Attributes:
        instruction: what to change.
        steps, guidance: of its sampling.
        seed: of its noise, which is drawn on the CPU.
    """

    instruction: str
    steps: int
    guidance: float
    seed: int


class InstructedEditor(ABC):
    """A pipeline that takes a picture and an instruction.

    Class attributes:
        pipeline_class: of diffusers.
        smallest: side in pixels below which the pipeline takes no picture.
        longest: how many times longer one side may be than the other.
        fewest: steps that the pipeline's schedule needs.
    """

    pipeline_class: ClassVar[str]
    smallest: ClassVar[int] = 1
    longest: ClassVar[int] = 1000
    fewest: ClassVar[int] = 1

    def __init__(self, pipe: Any, placement: Placement) -> None:
        self.pipe = pipe
        self.autoencoder = self._autoencoder(
            pipe.vae, Placement(placement.device, placement.dtype, tiling=placement.tiling)
        )

    @staticmethod
    @abstractmethod
    def usual(index: Mapping[str, Any]) -> tuple[int, float]:
        """Steps and guidance that the model was published with, by its ``model_index.json``."""

    @staticmethod
    @abstractmethod
    def calls_per_step(index: Mapping[str, Any], guidance: float) -> int:
        """Evaluations of the network that a step takes at ``guidance``."""

    @staticmethod
    @abstractmethod
    def _autoencoder(vae: Any, placement: Placement) -> Autoencoder:
        """The pipeline's VAE, which also says what sides must be multiples of."""

    @abstractmethod
    def _called(self, picture: Image.Image, order: Order, **common: Any) -> Image.Image:
        """Call the pipeline on a picture of a size that it can take."""

    def edit(self, picture: Image.Image, order: Order, counter: Counter, watch: Watch) -> Image.Image:
        """The edited picture, of the size of ``picture``.

        Args:
            picture: any size.
            order: what is asked for.
            counter: goes on by every call of the network.
            watch: hears of every step.

        Raises:
            InputError: too few steps.
            ModelError: the pipeline returned another size than it was asked for, or memory ended.
        """
        if order.steps < self.fewest:
            raise InputError(f"steps is {order.steps}, {self.pipeline_class} takes at least {self.fewest}")
        padded = self.padded(picture)
        hook = self.pipe.transformer.register_forward_pre_hook(
            lambda _, args, named: counter.add(len(args[0] if args else named["hidden_states"])), with_kwargs=True
        )
        watch(0, order.steps)
        modules = {name: part for name, part in self.pipe.components.items() if isinstance(part, torch.nn.Module)}
        try:
            with finite_outputs(self.pipe.transformer, modules, self.pipe.transformer.dtype):
                made = self._called(
                    padded,
                    order,
                    prompt=order.instruction,
                    width=padded.width,
                    height=padded.height,
                    num_inference_steps=order.steps,
                    generator=torch.Generator("cpu").manual_seed(order.seed),
                    callback_on_step_end=_told(watch, order.steps),
                )
        finally:
            hook.remove()
        if made.size != padded.size:
            sizes = " and ".join(f"{width} x {height}" for width, height in (padded.size, made.size))
            raise ModelError(f"{self.pipeline_class} was given and returned {sizes} pixels: it moves what it keeps")
        return made.crop((0, 0, *picture.size))

    def round_trip(self, picture: Image.Image) -> Image.Image:
        """What the pipeline's VAE alone makes of a picture: everything beyond that is the edit."""
        grid = geometry_of(picture.height, picture.width, self.autoencoder.token_side)
        latent = self.autoencoder.encode([picture], grid)
        return self.autoencoder.decode(Latent(latent.packed, latent.geometry))[0]

    def padded(self, picture: Image.Image) -> Image.Image:
        """``picture`` in the upper left of one that the pipeline can take, its right and lower edges repeated."""
        width, height = (max(side, self.smallest) for side in picture.size)
        width, height = max(width, -(-height // self.longest)), max(height, -(-width // self.longest))
        side = self.autoencoder.token_side
        right, below = (
            -(-wanted // side) * side - given for wanted, given in zip((width, height), picture.size, strict=True)
        )
        pixels = np.asarray(picture.convert("RGB"))
        return Image.fromarray(np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge"))


class KontextEditor(InstructedEditor):
    """FLUX.1-Kontext. Its pipeline's choice of a preferred size is switched off."""

    pipeline_class: ClassVar[str] = "FluxKontextPipeline"

    @staticmethod
    def usual(index: Mapping[str, Any]) -> tuple[int, float]:
        return 28, 2.5

    @staticmethod
    def calls_per_step(index: Mapping[str, Any], guidance: float) -> int:
        return 1

    @staticmethod
    def _autoencoder(vae: Any, placement: Placement) -> Autoencoder:
        return Autoencoder.kl(vae, placement)

    def _called(self, picture: Image.Image, order: Order, **common: Any) -> Image.Image:
        made: Image.Image = self.pipe(
            image=picture,
            guidance_scale=order.guidance,
            max_area=picture.width * picture.height,
            _auto_resize=False,
            **common,
        ).images[0]
        return made


class KleinEditor(InstructedEditor):
    """FLUX.2-klein and klein-base. Their pipeline's shrinking of large references is switched off."""

    pipeline_class: ClassVar[str] = "Flux2KleinPipeline"
    smallest: ClassVar[int] = 64
    longest: ClassVar[int] = 8

    def __init__(self, pipe: Any, placement: Placement) -> None:
        super().__init__(pipe, placement)
        pipe.image_processor._resize_to_target_area = lambda image, area: image

    @staticmethod
    def usual(index: Mapping[str, Any]) -> tuple[int, float]:
        return (4, 1.0) if index.get("is_distilled") else (50, 4.0)

    @staticmethod
    def calls_per_step(index: Mapping[str, Any], guidance: float) -> int:
        return 2 if guidance > 1 and not index.get("is_distilled") else 1

    @staticmethod
    def _autoencoder(vae: Any, placement: Placement) -> Autoencoder:
        return batch_normed(vae, placement)

    def _called(self, picture: Image.Image, order: Order, **common: Any) -> Image.Image:
        made: Image.Image = self.pipe(image=[picture], guidance_scale=order.guidance, **common).images[0]
        return made


class QwenEditor(InstructedEditor):
    """Qwen-Image-Edit 2509 and 2511. The VAE sees the picture as it is; the language model reads a small copy."""

    pipeline_class: ClassVar[str] = "QwenImageEditPlusPipeline"
    longest: ClassVar[int] = 100  # Qwen2.5-VL's processor refuses 200, and the copy's sides are rounded
    fewest: ClassVar[int] = 2  # the published schedule ends at a terminal value, which a single step has no room for

    @staticmethod
    def usual(index: Mapping[str, Any]) -> tuple[int, float]:
        return 40, 4.0

    @staticmethod
    def calls_per_step(index: Mapping[str, Any], guidance: float) -> int:
        return 2 if guidance > 1 else 1

    @staticmethod
    def _autoencoder(vae: Any, placement: Placement) -> Autoencoder:
        return video_autoencoder(vae, placement)

    def _called(self, picture: Image.Image, order: Order, **common: Any) -> Image.Image:
        # Without a negative prompt the pipeline leaves guidance out and says so in a log alone.
        negative = {"negative_prompt": " "} if order.guidance > 1 else {}
        with scaled_to(picture.size, "diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus"):
            made: Image.Image = self.pipe(
                image=[picture], true_cfg_scale=order.guidance, **negative, **common
            ).images[0]
        return made


class LongCatEditor(InstructedEditor):
    """LongCat-Image-Edit. Its pipeline takes no size and tells nobody of its steps: both are done around it.

    The VAE sees the picture as it is; the language model reads a copy of the size that the pipeline makes.
    """

    pipeline_class: ClassVar[str] = "LongCatImageEditPipeline"
    longest: ClassVar[int] = 100  # as for Qwen

    @staticmethod
    def usual(index: Mapping[str, Any]) -> tuple[int, float]:
        return 50, 4.5

    @staticmethod
    def calls_per_step(index: Mapping[str, Any], guidance: float) -> int:
        return 2 if guidance > 1 else 1

    @staticmethod
    def _autoencoder(vae: Any, placement: Placement) -> Autoencoder:
        return Autoencoder.kl(vae, placement)

    def _called(self, picture: Image.Image, order: Order, **common: Any) -> Image.Image:
        told = common.pop("callback_on_step_end")
        given = {name: value for name, value in common.items() if name not in ("width", "height")}
        module = "diffusers.pipelines.longcat_image.pipeline_longcat_image_edit"
        usual: tuple[int, int] = importlib.import_module(module).calculate_dimensions(
            MEGAPIXEL, picture.width / picture.height
        )
        with (
            scaled_to(picture.size, module),
            copied_at((usual[0] // 2, usual[1] // 2), self.pipe.image_processor, picture.size),
            after_steps(self.pipe, told, self.calls_per_step({}, order.guidance)),
        ):
            made: Image.Image = self.pipe(image=picture, guidance_scale=order.guidance, **given).images[0]
        return made


EDITORS: Mapping[str, type[InstructedEditor]] = {
    editor.pipeline_class: editor for editor in (KontextEditor, KleinEditor, QwenEditor, LongCatEditor)
}


def editor_class(folder: ModelFolder) -> type[InstructedEditor]:
    """The editor that a folder's pipeline is.

    Raises:
        ModelError: it takes no instructions, or is not known here.
    """
    found = EDITORS.get(folder.pipeline_class)
    if found is None:
        known = ", ".join(EDITORS)
        raise ModelError(f"{folder.name} is a {folder.pipeline_class}, no editor by instructions: expected {known}")
    return found


def name_editor(name: str) -> ModelFolder:
    """The folder of an editor that somebody at this machine names: fetched if it is not here, else remembered.

    Raises:
        ModelError: it cannot be found or reached, or is no editor.
    """
    folder = locate(name)
    editor_class(folder)
    if existing(name) is not None:
        remember(name)
    return folder


def load_editor(folder: ModelFolder, placement: Placement) -> InstructedEditor:
    """The editor of a folder; the last one stays in memory.

    Raises:
        ModelError: a part is missing or damaged.
    """
    return _kept(_Wanted(folder, placement), folder.weights_hash)


class _Wanted:
    """A folder and a placement, compared by what decides the loaded parts."""

    def __init__(self, folder: ModelFolder, placement: Placement) -> None:
        self.folder, self.placement = folder, placement
        held = placement.offload, placement.quantize, placement.options
        self._key = folder.path, placement.device, placement.dtype, held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Wanted) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=1)
def _kept(wanted: _Wanted, weights_hash: str) -> InstructedEditor:
    made = editor_class(wanted.folder)
    return made(load_pipeline(wanted.folder, wanted.placement), wanted.placement)


def _told(watch: Watch, steps: int) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
    def ended(_pipe: Any, step: int, _time: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
        if step + 1 < steps:
            watch(step + 1, steps)
        return {}

    return ended
