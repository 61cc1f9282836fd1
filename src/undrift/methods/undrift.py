"""The default: FlowEdit's coupling, an edit map of its own, and everything else bit for bit from before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Literal, Self

import torch
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone, Latent
from undrift.flow import Euler, Observer, StepEnd, combine_anchors, integrate
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, Params, seeded_noise
from undrift.methods.changes import Thresholds, kept_elsewhere
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.flowedit import FlowEditField
from undrift.methods.scope import Scope, scope_of

ScopeChoice = Literal["auto", "local", "global", "addition", "deletion"]


class UndriftParams(Params):
    """Parameters of ``undrift``."""

    steps: int = Field(28, ge=1, le=1000, description="T, the length of the schedule")
    skipped: int = Field(0, ge=0, description="first steps that are left out: more keep more and obey less")
    source_guidance: float = Field(1.5, ge=0, description="guidance of the source prompt")
    guidance: float = Field(5.5, ge=0, description="guidance of the target prompt")
    map_steps: int = Field(
        8, ge=0, description="middle steps of a first pass at guidance 1 for the map; 0 takes the edit's own steps"
    )
    softness: float = Field(0.15, gt=0, description="width of the map's edge, in the distance of its two means")
    scope: ScopeChoice = Field("auto", description="where the words act; auto reads it from the prompts' difference")
    weak: float = Field(0.05, ge=0, le=1, description="change of a cell, [0, 1], that counts beside a changed one")
    strong: float = Field(0.2, ge=0, le=1, description="change of a cell, [0, 1], that counts by itself")
    grow: int = Field(1, ge=0, le=64, description="cells by which changed pixels are widened for a soft seam")

    @model_validator(mode="after")
    def _counts_fit(self) -> Self:
        if not self.skipped < self.steps:
            raise ValueError(f"need skipped < steps, got {self.skipped}, {self.steps}")
        if self.weak > self.strong:
            raise ValueError(f"need weak <= strong, got {self.weak}, {self.strong}")
        return self

    @property
    def thresholds(self) -> Thresholds:
        return Thresholds(self.weak, self.strong, self.grow)


class EditMap(Observer):
    """E = |sum of h dV over some steps|, per token: vectors are summed, then measured.

    Source: DecFlowEdit, arXiv 2609.34237: noise of single steps cancels in the sum, what the words ask for adds up.

    Args:
        every_step: of a pass over the middle of the schedule alone; else only the middle half of the steps counts.

    Attributes:
        total: the sum so far, (batch, tokens, channels).
    """

    def __init__(self, every_step: bool = False) -> None:
        self._every_step = every_step
        self.total: Tensor | float = 0.0

    def end(self, event: StepEnd) -> None:
        step = event.step
        if self._every_step or (step.count <= 4 * step.index + 3 and 4 * step.index < 3 * step.count):
            self.total = self.total + (step.sigma_next - step.sigma) * event.velocity

    def weights(self, softness: float) -> Tensor:
        """Soft map (batch, tokens) in [0, 1]: a sigmoid about the threshold that parts two classes best (Otsu 1979).

        Its width is ``softness`` times the distance of the classes' means.
        """
        size = torch.linalg.vector_norm(torch.as_tensor(self.total), dim=-1)
        return torch.stack([_soft(row, softness) for row in size])


def otsu(values: Tensor) -> tuple[float, float, float]:
    """The threshold with the largest variance between the classes below and above it, and the classes' means.

    Args:
        values: (n,), n >= 2.
    """
    ordered = values.double().sort().values
    count, sums = len(ordered), ordered.cumsum(0)
    below = torch.arange(1, count, dtype=torch.float64)
    low, high = sums[:-1] / below, (sums[-1] - sums[:-1]) / (count - below)
    best = int((below * (count - below) * (high - low).square()).argmax())
    return float((ordered[best] + ordered[best + 1]) / 2), float(low[best]), float(high[best])


def _soft(values: Tensor, softness: float) -> Tensor:
    if len(values) < 2:
        return torch.ones_like(values)
    threshold, low, high = otsu(values)
    return torch.sigmoid((values - threshold) / max(softness * (high - low), 1e-12))


class Undrift(EditMethod):
    """The difference of two velocities edits; a map says where; every other token and pixel stays what it was.

    1. FlowEdit's equation, dz/dsigma = v(z + q - x, target) - v(q, source), q = (1 - sigma) x + sigma e, with fresh
       noise at every step (arXiv 2412.08629): nothing is inverted, so no inverted noise has to be noise.
    2. An edit map M at matched guidance (``EditMap``), where the words act on a place (``scope``).
    3. Proposition 1 of arXiv 2505.04320 with weights per token: the result is the minimum of
       (1 - M) |x - X_{k-1}|^2 + M |x - z|^2, (1 - M) X_{k-1} + M z. X_{k-1} holds the original's own latent wherever
       no turn has edited, so the original anchors what was never touched, and the previous turn what earlier turns
       made.
    4. Pixels: where the decoded result differs from the decoded X_{k-1} (``changed_cells``), the result's; elsewhere
       X_{k-1}'s bit for bit, hence the original's own bytes where no turn has edited. Tokens without a changed pixel
       go back to X_{k-1} as well.

    Source: arXiv 2505.04320, Proposition 1, for the anchors; FlowEdit, arXiv 2412.08629, algorithm 1, for the
    velocity; DecFlowEdit, arXiv 2609.34237, section on the edit map, for E. The weights per token, the scope and the
    pixels are undrift's own.
    """

    name: ClassVar[str] = "undrift"
    title: ClassVar[str] = "undrift"
    paper: ClassVar[str] = "undrift: beyond Multi-turn Consistent Image Editing, arXiv 2505.04320"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType({"default": UndriftParams()})
    dial: ClassVar[Dial] = MappingProxyType({"skipped": (0, 12), "strong": (0.1, 0.4)})
    params: UndriftParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p = self.params
        steps = p.steps - p.skipped
        return Cost.of(model, (2 * p.map_steps, 1.0), (steps, p.source_guidance), (steps, p.guidance))

    def draws_noise(self) -> bool:
        return True

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, previous = self.params, request.previous
        edit_map = EditMap(every_step=p.map_steps > 0)
        grid = backbone.sigmas(p.steps, previous.geometry)[p.skipped :]
        if p.map_steps:
            middle, quarter = backbone.sigmas(2 * p.map_steps, previous.geometry), p.map_steps // 2
            self._pass(
                backbone, request, middle[quarter : quarter + p.map_steps + 1], (1.0, 1.0), (edit_map, *observers)
            )
        watching = observers if p.map_steps else (edit_map, *observers)
        edited = self._pass(backbone, request, grid, (p.source_guidance, p.guidance), watching)
        weights = self._weights(request, edit_map)
        latent = combine_anchors([previous.packed, edited], [1.0 - weights[..., None], weights[..., None]])
        return self._settled(backbone, request, Latent(latent, previous.geometry))

    def _pass(
        self,
        backbone: Backbone,
        request: EditRequest,
        sigmas: Tensor,
        guidance: tuple[float, float],
        observers: Sequence[Observer],
    ) -> Tensor:
        """FlowEdit along ``sigmas`` at a guidance of source and target."""
        image, geometry = request.previous.packed, request.previous.geometry
        prompts = (request.source_prompts, request.target_prompts)
        source, target = (
            backbone.velocity_field(backbone.embed(texts), geometry, value)
            for texts, value in zip(prompts, guidance, strict=True)
        )

        def noise(number: int) -> Tensor:
            return seeded_noise(request.seeds, image, stream=number)

        field = FlowEditField(source, target, image, noise, 1, request.editable_tokens)
        return integrate(field, Euler(), image, sigmas, observers=observers).final

    def _weights(self, request: EditRequest, edit_map: EditMap) -> Tensor:
        """The map per row, 1 everywhere for a row whose words act everywhere; times the region."""
        weights = edit_map.weights(self.params.softness)
        for row, prompts in enumerate(zip(request.source_prompts, request.target_prompts, strict=True)):
            scope = scope_of(*prompts) if self.params.scope == "auto" else Scope(self.params.scope)
            if scope is Scope.GLOBAL:
                weights[row] = 1.0
        return weights if request.editable_tokens is None else weights * request.editable_tokens

    def _settled(self, backbone: Backbone, request: EditRequest, edited: Latent) -> EditResult:
        """Pixels and tokens that did not change are put back."""
        geometry = edited.geometry
        shown = backbone.decode(request.previous)
        pictures = request.previous_images or shown
        images: list[Image.Image] = []
        touched: list[Tensor] = []
        for picture, before, after in zip(pictures, shown, backbone.decode(edited), strict=True):
            image, tokens = kept_elsewhere(picture, before, after, geometry, self.params.thresholds)
            images.append(image)
            touched.append(tokens)
        mask = torch.stack(touched)
        latent = torch.where(mask.flatten(1)[..., None] > 0, edited.packed, request.previous.packed)
        return EditResult(Latent(latent, geometry), mask=mask, images=tuple(images))
