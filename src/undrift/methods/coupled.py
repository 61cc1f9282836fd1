"""FlowEdit's equation for some rows of a request, and the target sampled on from where it led."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from undrift.backbones.base import Backbone
from undrift.flow import LQR, Euler, Observer, VelocityField, integrate, interpolate
from undrift.methods.base import EditRequest, seeded_noise
from undrift.methods.edit_map import changed_tokens
from undrift.methods.flowedit import FlowEditField
from undrift.methods.references import mean_of, share_of
from undrift.methods.sparse import source_and_target


class Within:
    """w v(x, sigma) + (1 - w) straight: a token of weight 0 follows a straight line.

    Args:
        field: v.
        straight: the line's velocity, shape of the state.
        weight: w, (batch, tokens, 1).
    """

    def __init__(self, field: VelocityField, straight: Tensor, weight: Tensor) -> None:
        self.parts = (field,)
        self._field, self._straight, self._weight = field, straight, weight

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self._weight * self._field(x, sigma) + (1.0 - self._weight) * self._straight


class Coupled:
    """Some rows of a request, to be carried along FlowEdit's equation.

    Args:
        rows: which.
        region: (batch, tokens) of the whole request, what the edit of a token is multiplied by; None for 1.
        sparse: evaluate the target where the region reaches alone.
    """

    def __init__(
        self,
        backbone: Backbone,
        request: EditRequest,
        rows: Sequence[int],
        region: Tensor | None,
        sparse: bool = False,
    ) -> None:
        self._backbone, self._geometry = backbone, request.previous.geometry
        self._image = request.previous.packed[list(rows)]
        self._seeds = [request.seeds[row] for row in rows]
        self._source_prompts, self._target_prompts = (
            [prompts[row] for row in rows] for prompts in (request.source_prompts, request.target_prompts)
        )
        self._region = None if region is None else region[list(rows)]
        self._reach = self._region if sparse else None
        self._pull = _pull_of(request, rows, self._region)

    def carried(
        self,
        state: Tensor,
        sigmas: Tensor,
        guidance: tuple[float, float],
        first_noise: int,
        observers: Sequence[Observer],
        pulled: int = 0,
    ) -> Tensor:
        """``state`` at the end of ``sigmas``, whose first ``pulled`` steps are pulled towards the references.

        Args:
            guidance: of source and target.
            first_noise: step i takes noise first_noise + i.
        """

        def noise(number: int) -> Tensor:
            return self._noise(first_noise + number)

        controller = None if self._pull is None else LQR(self._pull[0], (self._pull[1],) * pulled)
        prompts = self._source_prompts, self._target_prompts
        with source_and_target(self._backbone, prompts, self._geometry, guidance, self._reach) as (source, target):
            field = FlowEditField(source, target, self._image, noise, 1, self._region)
            return integrate(field, Euler(), state, sigmas, controller=controller, observers=observers).final

    def closed(
        self, edited: Tensor, sigmas: Tensor, guidance: float, noise_number: int, observers: Sequence[Observer]
    ) -> Tensor:
        """The target sampled along ``sigmas`` from the edit under noise, in the tokens that the edit changed."""
        words = self._backbone.embed(self._target_prompts)
        target = self._backbone.velocity_field(words, self._geometry, guidance)
        noise = self._noise(noise_number)
        where = changed_tokens(self._image, edited, self._geometry)
        inside = (where if self._region is None else where * self._region)[..., None]
        field = Within(target, noise - self._image, inside)
        start = interpolate(self._image, noise, float(sigmas[0])) + inside * (edited - self._image)
        return integrate(field, Euler(), start, sigmas, observers=observers).final

    def _noise(self, number: int) -> Tensor:
        return seeded_noise(self._seeds, self._image, stream=number)


def _pull_of(request: EditRequest, rows: Sequence[int], region: Tensor | None) -> tuple[Tensor, Tensor] | None:
    """What the references pull ``rows`` towards, and how hard per token, (rows, tokens, 1); None without any."""
    if not request.references:
        return None
    anchor, gain = mean_of(request.references)[list(rows)], share_of(request.references)[list(rows)]
    return anchor, gain if region is None else gain * region.unsqueeze(-1)
