"""Null-text inversion's fit against the numbers of diffusers' community pipeline (tests/golden/README.md)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.methods.test_golden_p2p import SIZE, SOURCE, backbone
from tests.support.golden import TOLERANCE, arrays, close
from tests.support.slow_cases import slow_but_for
from undrift.backbones.base import Latent
from undrift.backbones.geometry import pack, unpack
from undrift.backbones.noise_levels import variance_preserving
from undrift.backbones.sd1 import StableDiffusionBackbone
from undrift.flow import Euler, integrate
from undrift.methods.base import EditRequest
from undrift.methods.null_text import NullTextParams, Optimised
from undrift.methods.pair import inverted_picture

__all__ = ["backbone"]

GUIDANCE, STEPS = 3.0, 3
FITTED = 10 * TOLERANCE
"""Of embeddings: Adam's step is the gradient over its own size, also where there is hardly more than rounding."""


def fitted(backbone: StableDiffusionBackbone, stop_below: float) -> tuple[Optimised, Tensor, Tensor]:
    """The field after its pass, the inverted noise in the pipeline's units, and where the pass ended."""
    geometry = backbone.geometry(SIZE)
    sigmas = backbone.sigmas(STEPS, geometry)
    latent = Latent(pack(arrays("null_text")["z"]), geometry)
    asked = EditRequest(latent, latent, 1, [SOURCE], [SOURCE], [()], [0])
    p = NullTextParams(steps=STEPS, guidance=GUIDANCE, inner_steps=10, stop_below=stop_below)
    inversion = inverted_picture(backbone, asked, [SOURCE], STEPS, 1.0, [], record=True)
    path = inversion.states[::-1]
    field = Optimised(backbone, backbone.embed([SOURCE]), backbone.embed([""]), geometry, p, path)
    final = integrate(field, Euler(), inversion.final, sigmas).final
    noise = unpack(inversion.final, geometry) * variance_preserving(float(sigmas[0]))
    return field, noise, unpack(final, geometry)


@pytest.mark.parametrize(("name", "stop_below"), slow_but_for({("early", 0.62)}, [("full", 0.0), ("early", 0.62)]))
def test_the_fit_is_the_pipeline_s(name: str, stop_below: float, backbone: StableDiffusionBackbone) -> None:
    recorded = arrays("null_text")
    field, noise, final = fitted(backbone, stop_below)
    close(noise, recorded["inverted"])
    close(torch.tensor(sum(map(len, field.losses))), recorded[f"{name}_steps"], tolerance=0)
    embeddings = torch.stack([field.fitted[step].tensors["text"] for step in (0, -1)])
    close(embeddings, recorded[f"{name}_empty"], tolerance=FITTED)
    last = recorded[f"{name}_final"]
    close(final, last, tolerance=TOLERANCE * float(last.abs().max()))


def test_what_was_fitted_and_where_it_was_stopped_move_the_numbers_by_far_more_than_the_bars() -> None:
    recorded = arrays("null_text")
    assert int(recorded["early_steps"]) < int(recorded["full_steps"]) == 10 * STEPS
    assert float((recorded["early_final"] - recorded["full_final"]).abs().max()) > 100 * TOLERANCE
    moved = (recorded["full_empty"][0] - arrays("p2p")["txt_empty"]).abs().max()
    assert float(moved) > 10 * FITTED
