"""Editors that were trained on instructions, and nothing else changes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Self

import torch
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.backbones.editors import InstructedEditor, Order, Watch, editor_class, load_editor, name_editor
from undrift.backbones.folder import ModelFolder
from undrift.backbones.locate import NotNamedError, locate
from undrift.backbones.placement import Placement
from undrift.errors import InputError
from undrift.flow import Observer, Step
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, Params
from undrift.methods.changes import Thresholds, kept_elsewhere
from undrift.methods.cost import REFERENCE_SIZE, Cost

UNKNOWN_STEPS = 28
"""Told as the cost where the editor is not known yet."""


class InstructParams(Params):
    """Parameters of ``instruct``."""

    editor: str = Field("", description="folder or Hub id of an editor that was trained on instructions")
    weights: str = Field("", description="the editor's weights: recorded, and checked when a turn is made again")
    steps: int | None = Field(None, ge=1, le=1000, description="N; null: as the editor was published")
    guidance: float | None = Field(None, ge=0, description="guidance; null: as the editor was published")
    exact: bool = Field(True, description="pixels that did not really change stay what they were, bit for bit")
    weak: float = Field(0.05, ge=0, le=1, description="change of a cell, [0, 1], that counts beside a changed one")
    strong: float = Field(0.2, ge=0, le=1, description="change of a cell, [0, 1], that counts by itself")
    grow: int = Field(1, ge=0, le=64, description="cells by which changed pixels are widened before the soft seam")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.weak > self.strong:
            raise ValueError(f"need weak <= strong, got {self.weak}, {self.strong}")
        return self


class Instruct(EditMethod):
    """A pipeline of its own makes the picture from the turn's picture and the instruction.

    1. Y = P(X_{k-1}, instruction), P one of diffusers' pipelines for editors by instructions
       (``undrift.backbones.editors``), on the picture padded to what P can take, never resized or cut.
    2. X_k = Y where Y differs from D(E(X_{k-1})), P's own autoencoder's round trip, by more than the thresholds, as
       in ``undrift``; elsewhere X_k = X_{k-1}, bit for bit.

    The session's model only encodes pictures. Where a turn was said as an instruction, that is what P is told, else
    the prompt.

    Source: no paper of undrift's own; the pipelines are those of FLUX.1 Kontext (arXiv 2506.15742), FLUX.2 klein and
    Qwen-Image-Edit (arXiv 2508.02324), LongCat-Image (arXiv 2512.07584).
    """

    name: ClassVar[str] = "instruct"
    title: ClassVar[str] = "Editor by instructions"
    paper: ClassVar[str] = "FLUX.1 Kontext, arXiv 2506.15742; FLUX.2 klein; Qwen-Image, arXiv 2508.02324"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType({"default": InstructParams()})
    dial: ClassVar[Dial] = MappingProxyType({"strong": (0.1, 0.4)})
    follows_instructions: ClassVar[bool] = True
    carried: ClassVar[tuple[str, ...]] = ("editor",)
    params: InstructParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        folder = self._here()
        if folder is None:
            return Cost(self.params.steps or UNKNOWN_STEPS, self.params.steps or UNKNOWN_STEPS)
        steps, guidance = self._amounts(folder)
        calls = steps * editor_class(folder).calls_per_step(folder.index, guidance)
        return Cost(calls, calls)

    def draws_noise(self) -> bool:
        return True

    def one_by_one(self) -> bool:
        return True

    def check(self, backbone: Backbone) -> None:
        if not self.params.editor:
            raise InputError("method 'instruct' needs an editor: name one with --editor, such as a klein or Kontext")
        editor_class(self._folder())

    def chosen_here(self) -> Self:
        if self.params.editor:
            name_editor(self.params.editor)
        return self

    def pinned(self, backbone: Backbone) -> Self:
        folder = self._folder()
        recorded, found = self.params.weights, folder.weights_hash
        if recorded not in ("", found):
            raise InputError(
                f"{self.params.editor} has the weights {found}, the turn was made with {recorded}:"
                f" use those, or set weights= to go on with these"
            )
        steps, guidance = self._amounts(folder)
        params = self.params.updated({"weights": found, "steps": steps, "guidance": guidance})
        return type(self)(params, preset=self.preset, dial_value=self.dial_value)

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        pinned = self.pinned(backbone)
        placement = backbone.placement or Placement(torch.device(backbone.identity.device), torch.float32)
        editor = load_editor(self._folder(), placement)
        pictures = request.previous_images or backbone.decode(request.previous)
        texts = request.instructions or request.target_prompts
        images: list[Image.Image] = []
        touched: list[Tensor] = []
        for picture, text, seed in zip(pictures, texts, request.seeds, strict=True):
            image, tokens = pinned._edited(backbone, editor, picture, (text, seed), observers)
            images.append(image)
            touched.append(tokens)
        return EditResult(backbone.encode(images), mask=torch.stack(touched), images=tuple(images))

    def _edited(
        self,
        backbone: Backbone,
        editor: InstructedEditor,
        picture: Image.Image,
        asked: tuple[str, int],
        observers: Sequence[Observer],
    ) -> tuple[Image.Image, Tensor]:
        """The edited picture, and the tokens of the session's grid that it touched."""
        p, (text, seed) = self.params, asked
        order = Order(text, steps=p.steps or 1, guidance=p.guidance or 0.0, seed=seed)
        after = editor.edit(picture, order, backbone.counter, _heard(observers))
        geometry = backbone.geometry(picture.size)
        if not p.exact:
            return after, torch.ones(geometry.rows, geometry.columns)
        before = editor.round_trip(picture)
        return kept_elsewhere(picture, before, after, geometry, Thresholds(p.weak, p.strong, p.grow))

    def _here(self) -> ModelFolder | None:
        """The editor's folder, if it is named and on this machine; nothing is contacted."""
        try:
            return locate(self.params.editor, named=False) if self.params.editor else None
        except NotNamedError:
            return None

    def _folder(self) -> ModelFolder:
        """The editor's folder. What a session's records name is not fetched for them, see ``locate``."""
        editor = self.params.editor
        try:
            return locate(editor, named=False)
        except NotNamedError as error:
            raise InputError(f"the editor is {error.what}: to use it, add: --editor {shlex.quote(editor)}") from None

    def _amounts(self, folder: ModelFolder) -> tuple[int, float]:
        """Steps and guidance, those that the editor was published with where none are given."""
        p, (steps, guidance) = self.params, editor_class(folder).usual(folder.index)
        return steps if p.steps is None else p.steps, guidance if p.guidance is None else p.guidance


def _heard(observers: Sequence[Observer]) -> Watch:
    """Tells observers of steps, whose latents are the editor's own and none of theirs to see."""

    def begin(number: int, count: int) -> None:
        step = Step(number, count, 1.0 - number / count, 1.0 - (number + 1) / count)
        for observer in observers:
            observer.begin(step)

    return begin
