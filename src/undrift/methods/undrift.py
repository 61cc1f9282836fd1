"""FlowEdit's coupling started as late as the kind of edit allows, and every unchanged pixel and token bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import ClassVar, Literal, Self

import torch
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone, Latent
from undrift.flow import Observer
from undrift.methods import sparse
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, Params
from undrift.methods.changes import Thresholds, brought_home, kept_elsewhere
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.coupled import Coupled
from undrift.methods.edit_map import EditMap
from undrift.methods.needs import Need
from undrift.methods.scope import Scope, scope_of

FAINTER = 0.5
"""``weak`` is multiplied by this where the words speak of the whole picture."""

ScopeChoice = Literal["auto", "local", "global", "addition", "deletion"]


class UndriftParams(Params):
    """Parameters of ``undrift``."""

    steps: int = Field(28, ge=1, le=1000, description="T, the length of the schedule")
    skipped: float = Field(0.3, ge=0, lt=1, description="share of the schedule left out at first: more keeps more")
    addition_skipped: float = Field(0.15, ge=0, lt=1, description="the same where something is added and needs room")
    closing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the schedule at its end that samples the target alone in changed tokens",
    )
    source_guidance: float = Field(1.5, ge=0, description="guidance of the source prompt")
    guidance: float = Field(5.5, ge=0, description="guidance of the target prompt")
    map_steps: int = Field(8, ge=0, description="middle steps of a first pass at guidance 1 for the map; 0: no map")
    map_edge: float = Field(0.2, ge=0, le=1, description="where between the map's two means its edge lies")
    softness: float = Field(0.05, gt=0, description="width of the map's edge, in the distance of its two means")
    scope: ScopeChoice = Field("auto", description="where the words act; auto reads it from the prompts' difference")
    weak: float = Field(0.1, ge=0, le=1, description="change of a cell, [0, 1], that counts beside a changed one")
    strong: float = Field(0.2, ge=0, le=1, description="change of a cell, [0, 1], that counts by itself")
    grow: int = Field(1, ge=0, le=64, description="cells by which changed pixels are widened before the soft seam")

    sparse: bool = Field(False, description=sparse.DESCRIPTION)
    anew: bool = Field(True, description="changed tokens take the latent of the new picture; off: that of the edit")

    @model_validator(mode="after")
    def _thresholds_fit(self) -> Self:
        if self.weak > self.strong:
            raise ValueError(f"need weak <= strong, got {self.weak}, {self.strong}")
        return self

    def thresholds(self, scope: Scope) -> Thresholds:
        """What counts as a change; in another place or style faint changes do, or half a sky would keep its blue."""
        return Thresholds(self.weak * (FAINTER if scope is Scope.GLOBAL else 1.0), self.strong, self.grow)

    def scope_of(self, source_prompt: str, target_prompt: str) -> Scope:
        """The scope that was set, else the one that the words say."""
        return scope_of(source_prompt, target_prompt) if self.scope == "auto" else Scope(self.scope)

    def first_step(self, scope: Scope) -> int:
        """The step of the schedule that an edit of ``scope`` begins with; one of nothing never does."""
        if scope is Scope.NONE:
            return self.steps
        early = min(self.skipped, self.addition_skipped)
        return int((early if scope is Scope.ADDITION else self.skipped) * self.steps)

    @property
    def closed_from(self) -> int:
        """The step from which on the target alone is sampled."""
        return max(self.steps - int(self.closing * self.steps), self.first_step(Scope.LOCAL))

    @property
    def pulled_until(self) -> int:
        """The step up to which references pull: not in the last quarter, nor in the closing, where detail is made."""
        return min(self.steps - self.steps // 4, self.closed_from)


class Undrift(EditMethod):
    """The difference of two velocities edits; every pixel and token that it leaves as it was stays bit for bit.

    1. FlowEdit's equation, dz/dsigma = v(z + q - x, target) - v(q, source), q = (1 - sigma) x + sigma e, with fresh
       noise at every step (arXiv 2412.08629): nothing is inverted, so no inverted noise has to be noise.
    2. It leaves the share ``skipped`` of the schedule out: with more noise than is left then nobody could tell where
       things stand and how large they are, and the edit would place them anew. What is added has no place yet and
       begins earlier. Where the words are the same there is nothing to do, and nothing is run.
    3. Where source and target have different guidance, which changes the whole picture a little, a first pass at
       guidance 1 makes a map M (``EditMap``), and the equation's right side is multiplied by it. M is 1 everywhere
       where the words speak of the whole picture (``scope``).
    4. The share ``closing`` of the schedule, at its end, samples the target alone from z + q - x in the tokens that
       changed (``changed_tokens``), as FlowEdit's n_min does everywhere: what was left half-way is finished. The
       other tokens follow their own straight path, dx/dsigma = e - x.
    5. Pixels: where the decoded result differs from the decoded X_{k-1} (``changed_cells``), the result's; elsewhere
       those of the picture before, bit for bit, hence the original's own bytes where no turn has edited. A change
       is what exceeds ``strong`` somewhere; where nothing does, what exceeds ``weak``. Where the
       words are the original's again, changed pixels are the original's too, bit for bit (``brought_home``): an edit
       that is taken back leaves nothing behind.
    6. Tokens: the latent X_k is that of the picture where it changed, and X_{k-1} elsewhere. In the terms of
       Proposition 1 of arXiv 2505.04320, with weights per token of 0 and 1: the original anchors what was never
       touched, the turn that made it the rest. Latent and picture never part, however many turns follow.
    7. References, if there are any, pull until three quarters of the schedule are done, or until the closing:
       v <- v + s ((z - b) / sigma - v), b their mean, s their weight per token, times M and the region (``LQR``).

    Source: FlowEdit, arXiv 2412.08629, algorithm 1, for the velocity; DecFlowEdit, arXiv 2609.34237, section on the
    edit map, for E; arXiv 2505.04320, Proposition 1, for the anchors. The start by the kind of edit, the pixels and
    the hand-over are undrift's own.
    """

    name: ClassVar[str] = "undrift"
    title: ClassVar[str] = "undrift"
    paper: ClassVar[str] = "undrift: beyond Multi-turn Consistent Image Editing, arXiv 2505.04320"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {"default": UndriftParams(), "fast": UndriftParams(steps=4)}
    )
    variations: ClassVar[tuple[str, ...]] = ("fast",)
    takes_references: ClassVar[bool] = True
    dial: ClassVar[Dial] = MappingProxyType(
        {"skipped": (0.1, 0.6), "addition_skipped": (0.0, 0.45), "strong": (0.1, 0.4)}
    )
    params: UndriftParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        """Of an addition where the words decide, which costs the most."""
        p = self.params
        scope = Scope.ADDITION if p.scope == "auto" else Scope(p.scope)
        begin, end = p.first_step(scope), p.closed_from
        source, target = (end - begin, p.source_guidance), (p.steps - begin, p.guidance)
        kept = sparse.kept_bytes(model, size) if p.sparse else 0
        return Cost.of(model, (2 * p.map_steps, 1.0), source, target, feature_bytes=kept)

    def needs(self) -> tuple[Need, ...]:
        return (sparse.NEED,) if self.params.sparse else ()

    def draws_noise(self) -> bool:
        return True

    def rehearsed(self) -> Self:
        # An addition begins first, so its steps are all that any words could ask for.
        return self.updated({"scope": "addition"}) if self.params.scope == "auto" else self

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        prompts = zip(request.source_prompts, request.target_prompts, strict=True)
        scopes = [self.params.scope_of(*pair) for pair in prompts]
        if request.references:  # the same words in another look are something to do
            scopes = [Scope.LOCAL if scope is Scope.NONE else scope for scope in scopes]
        if all(scope is Scope.NONE for scope in scopes):
            return self._settled(backbone, request, scopes, request.previous)
        region = self._region(backbone, request, scopes, observers)
        edited = self._edited(backbone, request, scopes, region, observers)
        return self._settled(backbone, request, scopes, Latent(edited, request.previous.geometry))

    def _edited(
        self,
        backbone: Backbone,
        request: EditRequest,
        scopes: Sequence[Scope],
        region: Tensor | None,
        observers: Sequence[Observer],
    ) -> Tensor:
        """The latents after the equation and its closing; a row joins at the step that its scope begins with."""
        p, state = self.params, request.previous.packed.clone()
        starts = [p.first_step(scope) for scope in scopes]
        grid = backbone.sigmas(p.steps, request.previous.geometry)
        begins = sorted({start for start in starts if start < p.closed_from})
        for begin, end in pairwise([*begins, p.closed_from]):
            rows = [row for row, start in enumerate(starts) if start <= begin]
            part = Coupled(backbone, request, rows, region, p.sparse)
            guidance, pulled = (p.source_guidance, p.guidance), max(0, min(end, p.pulled_until) - begin)
            state[rows] = part.carried(state[rows], grid[begin : end + 1], guidance, begin, observers, pulled)
        if p.closed_from == p.steps:
            return state
        everyone = Coupled(backbone, request, range(len(scopes)), region)
        return everyone.closed(state, grid[p.closed_from :], p.guidance, p.closed_from, observers)

    def _region(
        self, backbone: Backbone, request: EditRequest, scopes: Sequence[Scope], observers: Sequence[Observer]
    ) -> Tensor | None:
        """Where the edit may act, (batch, tokens): the request's own region, times the map of a first pass."""
        p, image = self.params, request.previous
        if not p.map_steps:
            return request.editable_tokens
        edit_map, quarter = EditMap(), p.map_steps // 2
        middle = backbone.sigmas(2 * p.map_steps, image.geometry)[quarter : quarter + p.map_steps + 1]
        everyone = Coupled(backbone, request, range(len(scopes)), request.editable_tokens, p.sparse)
        everyone.carried(image.packed, middle, (1.0, 1.0), p.steps, (edit_map, *observers))
        weights = edit_map.weights(p.map_edge, p.softness)
        weights[torch.tensor([scope is Scope.GLOBAL for scope in scopes])] = 1.0
        return weights if request.editable_tokens is None else weights * request.editable_tokens

    def _settled(
        self, backbone: Backbone, request: EditRequest, scopes: Sequence[Scope], edited: Latent
    ) -> EditResult:
        """Pixels that did not change are put back; so are tokens without a changed pixel, the others encoded anew."""
        shown = backbone.decode(request.previous)
        decoded = zip(shown, backbone.decode(edited), strict=True)
        pictures = request.previous_images or shown
        limits = [self.params.thresholds(scope) for scope in scopes]
        settled = [self._pixels(request, row, pictures[row], both, limits[row]) for row, both in enumerate(decoded)]
        images = tuple(image for image, _ in settled)
        mask = torch.stack([tokens for _, tokens in settled])
        changed = backbone.encode(images).packed if self.params.anew else edited.packed
        latent = torch.where(mask.flatten(1)[..., None] > 0, changed, request.previous.packed)
        for row, original in enumerate(request.original_images):
            if images[row].tobytes() == original.tobytes():
                latent[row] = request.original.packed[row]
        return EditResult(Latent(latent, edited.geometry), mask=mask, images=images)

    def _pixels(
        self,
        request: EditRequest,
        row: int,
        picture: Image.Image,
        decoded: tuple[Image.Image, Image.Image],
        thresholds: Thresholds,
    ) -> tuple[Image.Image, Tensor]:
        """A row's picture and the tokens it touched, from ``picture`` and the decoded one before and after."""
        geometry = request.previous.geometry
        if _asks_for_the_original(request, row):
            return brought_home(picture, request.original_images[row], decoded, geometry, thresholds)
        made = kept_elsewhere(picture, *decoded, geometry, thresholds)
        if made[1].any():
            return made
        # Where nothing is strong, what the words asked for is what is faint: a pattern in nearly the thing's colour.
        return kept_elsewhere(picture, *decoded, geometry, replace(thresholds, strong=thresholds.weak))


def _asks_for_the_original(request: EditRequest, row: int) -> bool:
    """Whether the words of a row are the original's again, and not those of the picture that it edits."""
    if not (request.original_prompts and request.original_images) or request.references:
        return False
    words = request.original_prompts[row], request.source_prompts[row]
    again, same = (scope_of(each, request.target_prompts[row]) is Scope.NONE for each in words)
    return again and not same and request.turn > 1
