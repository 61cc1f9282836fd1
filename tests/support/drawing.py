"""Text to image by diffusers' own pipelines of every family beside FLUX.1, and how near to them is near enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.tiny_pipelines import EVERY, loaded

PROMPTS = ("a red cat on the grass", "a dog in the snow")
SIZE = 24, 40
PARITY = 1e-5
"""How far a velocity may lie from diffusers': the bar that every family has to reach in float32."""


class Drawn(NamedTuple):
    """What diffusers' pipeline made, and its transformer's calls in order: (keywords, velocity)."""

    latents: list[Tensor]
    pictures: NDArray[np.float32]
    calls: list[tuple[dict[str, Any], Tensor]]


def drawn(pipe: Any, name: str, start: Tensor, prompts: Sequence[str], guidance: float, steps: int = 3) -> Drawn:
    """Text to image by the pipeline itself, from the packed latents ``start``."""
    family, width, height = EVERY[name], *SIZE
    calls: list[tuple[dict[str, Any], Tensor]] = []
    latents: list[Tensor] = []

    def noted(_pipe: Any, _step: int, _time: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:
        latents.append(family.from_pipeline(given["latents"]))
        return {}

    hook = pipe.transformer.register_forward_hook(
        lambda _, args, named, out: calls.append((named, out[0])), with_kwargs=True
    )
    options = dict(family.options)
    if "negative_prompt" in options:
        options["negative_prompt"] = [""] * len(prompts)
    try:
        pictures = pipe(
            prompt=list(prompts),
            height=height,
            width=width,
            num_inference_steps=steps,
            latents=family.to_pipeline(start, loaded(name).geometry(SIZE)),
            output_type="np",
            callback_on_step_end=noted,
            **{family.guidance: guidance},
            **options,
        ).images
    finally:
        hook.remove()
    return Drawn(latents, pictures, calls)


def noise(name: str, rows: int) -> Tensor:
    """Packed latents of ``rows`` pictures of ``SIZE``, the same every time."""
    shape = rows, loaded(name).geometry(SIZE).tokens, 16
    return torch.randn(shape, generator=torch.Generator().manual_seed(4))


def close(actual: Tensor, expected: Tensor, bar: float = PARITY) -> None:
    """Assert that numbers that are large enough to be compared differ by ``bar`` at most."""
    assert float(expected.abs().max()) > 0.1, "numbers too small to compare"
    torch.testing.assert_close(actual, expected, atol=bar, rtol=0)  # the bar is PARITY, as many times as steps
