"""RePaint (arXiv 2201.09865) for flows: what a region covers is drawn anew from the caption, the rest is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.flow import Euler, Follower, Observer, VelocityField, integrate, interpolate, renoised
from undrift.methods.base import EditMethod, EditRequest, EditResult, Params, seeded_noise
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.flowedit import NoiseSource


class RePaintParams(Params):
    """Parameters of ``repaint``."""

    steps: int = Field(14, ge=1, le=1000, description="N, the length of the schedule")
    tries: int = Field(4, ge=1, le=100, description="U, how often a step is made before the next; 1 is the quickest")
    guidance: float = Field(1.5, ge=0, description="guidance of the target prompt")


class Repainting(Follower):
    """The velocity of a step that is made U times, the known tokens on their noised path before each:

        y <- w y + (1 - w) ((1 - sigma) x0 + sigma e),   y' = y + h v(y, sigma),   y <- y' noised back to sigma

    with fresh e, and fresh noise to go back with (``renoised``), each time. What the step takes is (y' - x) / h of
    the last y'. The steps from pure noise and to the picture are made once: another try of the first is another seed,
    and after the last nothing is left that could agree.

    Args:
        field: v.
        image: x0, (batch, tokens, channels).
        unknown: w, (batch, tokens), 1 where the picture is not known.
        noise: where e and the noise to go back with come from.
        tries: U.
    """

    def __init__(self, field: VelocityField, image: Tensor, unknown: Tensor, noise: NoiseSource, tries: int) -> None:
        self.parts = (field,)
        self._field, self._image, self._noise, self._tries = field, image, noise, tries
        self._unknown = unknown.unsqueeze(-1)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        step = self.step
        draws = iter(range(2 * self._tries * step.index, 2 * self._tries * (step.index + 1)))
        after = self._moved(x, sigma, step.sigma_next, next(draws))
        for _ in range(self._tries - 1 if 0 < step.index < step.count - 1 else 0):
            back = renoised(after, self._noise(next(draws)), step.sigma_next, sigma)
            after = self._moved(back, sigma, step.sigma_next, next(draws))
        return (after - x) / (step.sigma_next - sigma)

    def _moved(self, x: Tensor, sigma: float, sigma_next: float, draw: int) -> Tensor:
        """y' of x: the known tokens put where the path has them, then one step of Euler."""
        known = interpolate(self._image, self._noise(draw), sigma)
        state = torch.lerp(known, x, self._unknown)
        return state + (sigma_next - sigma) * self._field(state, sigma)


class RePaint(EditMethod):
    """Sampling in which the known part is put on its own path: x <- w x + (1 - w) ((1 - sigma) x0 + sigma e).

    The unknown part, ``EditRequest.editable_tokens``, is drawn from the target prompt alone, and going back and
    forth between two noise levels (``Repainting``) makes it agree with the known one. N - 2 of N steps are made U
    times.

    Source: Lugmayr et al. 2022, "RePaint: Inpainting using Denoising Diffusion Probabilistic Models",
    arXiv 2201.09865, algorithm 1, with the flow's path in place of the diffusion's.
    """

    name: ClassVar[str] = "repaint"
    title: ClassVar[str] = "RePaint"
    paper: ClassVar[str] = "RePaint: Inpainting using Denoising Diffusion Probabilistic Models, arXiv 2201.09865"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {"default": RePaintParams(), "once": RePaintParams(tries=1)}
    )
    redraws: ClassVar[bool] = True
    params: RePaintParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p = self.params
        return Cost.of(model, (p.steps + max(0, p.steps - 2) * (p.tries - 1), p.guidance))

    def draws_noise(self) -> bool:
        return True

    def rehearsed(self) -> None:
        """None: all that it asks of the network depends on the prompt."""

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, image, geometry = self.params, request.previous.packed, request.previous.geometry
        unknown = request.editable_tokens
        unknown = image.new_ones(image.shape[:2]) if unknown is None else unknown.to(image)

        def noise(number: int) -> Tensor:
            return seeded_noise(request.seeds, image, stream=number)

        target = backbone.velocity_field(backbone.embed(request.target_prompts), geometry, p.guidance)
        sigmas = backbone.sigmas(p.steps, geometry)
        start = float(sigmas[0]) * noise(2 * p.tries * p.steps)  # nothing of what is to be drawn anew
        field = Repainting(target, image, unknown, noise, p.tries)
        made = integrate(field, Euler(), start, sigmas, observers=observers).final
        return EditResult.of(geometry, torch.lerp(image, made, unknown.unsqueeze(-1)))
