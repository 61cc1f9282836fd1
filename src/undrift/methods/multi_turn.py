"""Multi-turn Consistent Image Editing (arXiv 2505.04320): the method this package is built around.

One turn is: invert the previous result to noise with the reused midpoint (section 3.2), then sample with the
target prompt under dual-objective LQR guidance towards the original and the previous result (section 3.3,
Proposition 1) and adaptive attention highlighting (section 3.4). 2 (N + 1) evaluations for N steps.

Beyond the paper, ``retain`` keeps tokens on the inverted path where the prompt does not change their velocity.
docs/parity.md measures the defaults; the presets ``paper`` and ``faithful`` are the paper and its code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from undrift.attention.columns import TextColumns
from undrift.attention.highlight import AdaptiveHighlight, HighlightSettings
from undrift.attention.kernel import KernelName
from undrift.attention.words import changed_columns, word_columns
from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone, Conditioning, Geometry
from undrift.flow import (
    CONTROL_TIMES,
    LQR,
    Controller,
    Observer,
    ReusedMidpoint,
    Trajectory,
    evaluations,
    integrate,
    inverted,
)
from undrift.flow.retain import Chain, Hold, Retain
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, Params, seeded_noise
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.needs import Need
from undrift.methods.references import anchored

TimeName = Literal["sigma", "index", "late_midpoint"]


class PathParams(Params):
    """The way to the noise and back (sections 3.2 and 3.3)."""

    steps: int = Field(15, ge=1, le=1000, description="N; a turn costs 2 (N + 1) evaluations")
    guidance: float = Field(3.5, ge=0, description="guidance while sampling the target prompt")
    inversion_guidance: float = Field(1.0, ge=0, description="guidance while inverting the source prompt")
    inversion_gain: float = Field(0.0, ge=0, le=1, description="pull towards seeded noise in every inversion step")
    inversion_time: TimeName = Field("sigma", description="remaining sigma the inversion control divides by")
    gain: float = Field(0.9, ge=0, le=1, description="pull towards the anchor while sampling (eta)")
    control_steps: int = Field(2, ge=0, description="number of first sampling steps that are controlled")
    control_time: TimeName = Field("sigma", description="remaining sigma the sampling control divides by")
    previous_weight: float = Field(0.7, ge=0, le=1, description="anchor = X_0 + weight (X_{k-1} - X_0) (lambda)")
    retain: tuple[float, float] | None = Field(
        (0.3, 0.6), description="ramp of velocity change over which a token leaves the inverted path; null: all leave"
    )


class MultiTurnParams(HighlightSettings, PathParams):
    """Parameters of ``multi_turn``. docs/parity.md says where the paper and its released code differ."""

    highlight: bool = Field(True, description="adaptive attention highlighting")
    map_column: int | None = Field(None, ge=0, description="text column of the maps; none takes the edited words")
    scaled_columns: int | None = Field(None, ge=1, description="scale the first n text columns; none: edited words")


FAITHFUL = MultiTurnParams(
    inversion_gain=0.5,
    inversion_time="late_midpoint",
    control_steps=3,
    control_time="index",
    map_column=2,
    scaled_columns=15,
    ranks=(11, 15),
    retain=None,
    quantise=True,
)
PAPER = MultiTurnParams(inversion_gain=0.5, control_steps=4, retain=None)


class MultiTurn(EditMethod):
    """Second-order inversion, dual-objective LQR guidance, adaptive attention highlighting.

    v <- v + gain ((x - anchor) / sigma - v) with anchor = X_0 + lambda (X_{k-1} - X_0) in the first sampling steps;
    references, if there are any, are further terms of the anchor (``undrift.methods.references``).

    Source: Zhou et al. 2025, "Multi-turn Consistent Image Editing", arXiv 2505.04320, sections 3.2 to 3.4.
    """

    name: ClassVar[str] = "multi_turn"
    title: ClassVar[str] = "Multi-turn consistent editing"
    paper: ClassVar[str] = "Multi-turn Consistent Image Editing, arXiv 2505.04320"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {
            "default": MultiTurnParams(),
            "fast": MultiTurnParams(steps=8),
            "paper": PAPER,
            "paper-8": PAPER.updated({"steps": 8}),
            "faithful": FAITHFUL,
            "faithful-8": FAITHFUL.updated({"steps": 8, "control_steps": 2}),
        }
    )
    takes_references: ClassVar[bool] = True
    dial: ClassVar[Dial] = MappingProxyType({"retain": ((0.0, 0.1), (0.6, 1.0)), "control_steps": (2, 5)})
    params: MultiTurnParams

    solver: ClassVar[ReusedMidpoint] = ReusedMidpoint()
    kernel: KernelName = "auto"
    """How attention is computed while it is read or scaled; what comes out is the same but for rounding."""

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p, calls = self.params, evaluations(self.solver, self.params.steps)
        states = 0 if p.retain is None else p.steps + 1
        return Cost.of(model, (calls, p.inversion_guidance), (calls, p.guidance), kept_states=states)

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        geometry = request.previous.geometry
        source, target = backbone.embed(request.source_prompts), backbone.embed(request.target_prompts)
        noise = seeded_noise(request.seeds, request.previous.packed)
        held = request.editable_tokens is not None
        inversion = self.invert(backbone, request.previous.packed, noise, source, geometry, observers, record=held)
        weight = self.params.previous_weight
        own = [request.original.packed, request.previous.packed]
        anchor = anchored(own, [1.0 - weight, weight], request.references)
        tap = self.highlighter(backbone, request, target)
        path = inversion.states[::-1]
        sampling = self.sample(
            backbone, inversion.final, anchor, target, geometry, tap, observers, path, request.editable_tokens
        )
        return EditResult.of(geometry, sampling.final, None if tap is None else tap.mask)

    def invert(
        self,
        backbone: Backbone,
        image: Tensor,
        noise: Tensor,
        source: Conditioning,
        geometry: Geometry,
        observers: Sequence[Observer] = (),
        *,
        record: bool = False,
    ) -> Trajectory:
        """Carry ``image`` to sigma 1 under a pull towards ``noise`` of ``inversion_gain`` (section 3.2).

        ``retain`` and ``record`` keep every state.
        """
        p = self.params
        return integrate(
            backbone.velocity_field(source, geometry, p.inversion_guidance),
            self.solver,
            image,
            inverted(backbone.sigmas(p.steps, geometry)),
            controller=LQR(noise, (p.inversion_gain,) * p.steps, CONTROL_TIMES[p.inversion_time]),
            observers=observers,
            record=record or p.retain is not None,
        )

    def sample(
        self,
        backbone: Backbone,
        start: Tensor,
        anchor: Tensor,
        target: Conditioning,
        geometry: Geometry,
        tap: AdaptiveHighlight | None = None,
        observers: Sequence[Observer] = (),
        path: Sequence[Tensor] = (),
        region: Tensor | None = None,
    ) -> Trajectory:
        """Sample ``target`` from ``start``, pulled towards ``anchor`` in the first steps (sections 3.3, 3.4).

        With ``retain``, tokens whose velocity the prompt does not change stay on ``path``, the inverted states
        from sigma 1 to 0; tokens outside ``region``, (batch, tokens), always do.
        """
        p = self.params
        taps = () if tap is None else (tap,)
        controller: Controller = LQR(anchor, (p.gain,) * p.control_steps, CONTROL_TIMES[p.control_time])
        if p.retain is not None:
            smooth = partial(box_mean, geometry=geometry)
            controller = Chain((controller, Retain(path, *p.retain, smooth=smooth, region=region)))
        elif region is not None:
            controller = Chain((controller, Hold(path, region)))
        with backbone.tapped(*taps):
            return integrate(
                backbone.velocity_field(target, geometry, p.guidance),
                self.solver,
                start,
                backbone.sigmas(p.steps, geometry),
                controller=controller,
                observers=observers,
            )

    def needs(self) -> tuple[Need, ...]:
        return (Need("map_sites", "set highlight=false"),) if self.params.highlight else ()

    def draws_noise(self) -> bool:
        return self.params.inversion_gain > 0

    def steered_by_words(self) -> bool:
        p = self.params
        return p.highlight and (p.map_column is None or p.scaled_columns is None)

    def highlighter(self, backbone: Backbone, request: EditRequest, target: Conditioning) -> AdaptiveHighlight | None:
        """The tap of section 3.4 for a request, None if highlighting is off or no word tells what changes."""
        p = self.params
        if not p.highlight:
            return None
        rows = range(len(request.target_prompts))
        edited = TextColumns.of([edited_columns(request, target, row) for row in rows])
        batch = len(rows)
        maps = edited if p.map_column is None else TextColumns.of([[p.map_column]] * batch)
        first = min(p.scaled_columns or 0, target.text_tokens)
        scaled = TextColumns.first(first, batch) if first else edited
        return AdaptiveHighlight(maps, scaled, backbone.capabilities.map_sites, p, self.kernel)


def box_mean(values: Tensor, geometry: Geometry, side: int = 3) -> Tensor:
    """Mean over the square of ``side`` tokens, odd, around each token, (batch, tokens); the border repeats itself."""
    grid = values.view(-1, 1, geometry.rows, geometry.columns)
    reach = side // 2
    return avg_pool2d(pad(grid, (reach,) * 4, mode="replicate"), side, stride=1).flatten(1)


def edited_columns(request: EditRequest, target: Conditioning, row: int) -> tuple[int, ...]:
    """Text columns of the words that steer ``row``: the user's, else those that the source prompt lacks."""
    words = request.words[row]
    if words is None:
        return changed_columns(request.source_prompts[row], target.tokens[row])
    return word_columns(target.tokens[row], words)
