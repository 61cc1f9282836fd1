"""RePaint against the conditional distribution of a Gaussian, which is known, and against plain sampling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.toy import ToyBackbone, toy_picture
from undrift.errors import InputError
from undrift.flow import Euler, integrate, linear_sigmas, renoised
from undrift.methods.base import EditRequest, seeded_noise
from undrift.methods.registry import get
from undrift.methods.repaint import Repainting

CORRELATION = 0.8
COVARIANCE = torch.tensor([[1.0, CORRELATION], [CORRELATION, 1.0]], dtype=torch.float64)
ROWS = 4000
KNOWN = 1.5


def gaussian(x: Tensor, sigma: float) -> Tensor:
    """E[e - x0 | x] of two tokens x0 ~ N(0, COVARIANCE): x ~ N(0, S), S = (1 - sigma)^2 C + sigma^2."""
    inverse = torch.linalg.inv((1.0 - sigma) ** 2 * COVARIANCE + sigma**2 * torch.eye(2, dtype=torch.float64))
    whitened = x[..., 0].double() @ inverse
    velocity: Tensor = sigma * whitened - (1.0 - sigma) * whitened @ COVARIANCE
    return velocity.unsqueeze(-1).to(x.dtype)


def drawn(steps: int, tries: int) -> Tensor:
    """The second token, drawn ``ROWS`` times where the first one is ``KNOWN``."""
    image = torch.tensor([[KNOWN], [0.0]]).expand(ROWS, 2, 1)
    unknown = torch.tensor([0.0, 1.0]).expand(ROWS, 2)
    generator = torch.Generator().manual_seed(1)

    def noise(number: int) -> Tensor:
        return torch.randn(image.shape, generator=generator)

    field = Repainting(gaussian, image, unknown, noise, tries)
    return integrate(field, Euler(), noise(0), linear_sigmas(steps)).final[:, 1, 0]


def test_what_is_unknown_follows_from_what_is_known_the_more_the_oftener_steps_are_tried() -> None:
    """E[x | known] = correlation * known. Masked sampling alone falls far short of it."""
    expected = CORRELATION * KNOWN
    means = [float(drawn(20, tries).mean()) for tries in (1, 4, 30)]
    assert means == sorted(means)
    assert means[0] < 0.5 * expected
    # What 20 steps of Euler and 30 tries leave is 2 %, the error of a mean of 4000 a further 1 %; twice that.
    assert means[2] == pytest.approx(expected, rel=0.06)


def test_going_back_puts_a_state_where_the_path_is_distributed() -> None:
    """Of x0 of variance v, the state at sigma has variance (1 - sigma)^2 v + sigma^2; the image's part is exact."""
    generator = torch.Generator().manual_seed(2)
    image, first, again = (torch.randn(200_000, generator=generator) for _ in range(3))
    x = 0.7 * 3.0 * image + 0.3 * first
    back = renoised(x, again, 0.3, 0.8)
    assert float(back.var()) == pytest.approx(0.2**2 * 9.0 + 0.8**2, rel=0.02)  # 4 errors of a variance of 200000
    assert torch.allclose(renoised(torch.ones(3), torch.zeros(3), 0.3, 0.8), torch.full((3,), 0.2 / 0.7))
    assert torch.equal(renoised(image, again, 0.4, 0.4), image)
    assert torch.equal(renoised(image, again, 0.4, 1.0), again)


@pytest.mark.parametrize(("sigma", "noisier"), [(0.5, 0.4), (1.0, 1.0), (-0.1, 0.5), (0.2, 1.1)])
def test_nothing_is_noised_back_to_less_noise(sigma: float, noisier: float) -> None:
    with pytest.raises(InputError, match=rf"noising goes from {sigma} to {noisier}, expected 0 <= from <= to <= 1"):
        renoised(torch.zeros(1), torch.zeros(1), sigma, noisier)


def asked(backbone: ToyBackbone, unknown: Tensor | None) -> EditRequest:
    latent = backbone.encode([toy_picture()])
    return EditRequest(latent, latent, 1, ["a cat"], ["a dog"], [None], [7], editable_tokens=unknown)


def made(request: EditRequest, **params: Any) -> Tensor:
    return get("repaint", overrides=params).edit(ToyBackbone(), request).latent.packed


def test_where_nothing_is_known_and_nothing_tried_again_it_is_plain_sampling() -> None:
    backbone = ToyBackbone()
    request = asked(backbone, None)
    image = request.previous
    start = seeded_noise([7], image.packed, stream=2 * 5)
    field = backbone.velocity_field(backbone.embed(["a dog"]), image.geometry, 1.0)
    sampled = integrate(field, Euler(), start, backbone.sigmas(5, image.geometry)).final
    # x + h ((y - x) / h) is y but for the rounding of three operations a step.
    assert torch.allclose(made(request, steps=5, tries=1), sampled, atol=5 * 3 * 2.0**-22)


def test_known_tokens_stay_to_the_bit_and_the_others_do_not_depend_on_what_was_there() -> None:
    backbone = ToyBackbone()
    tokens = backbone.encode([toy_picture()]).geometry.tokens
    unknown = torch.zeros(1, tokens)
    unknown[0, tokens // 2 :] = 1.0
    request = asked(backbone, unknown)
    result, before = made(request, steps=6, tries=3), request.previous.packed
    known = unknown[0] == 0
    assert torch.equal(result[0, known], before[0, known])
    assert not torch.equal(result[0, ~known], before[0, ~known])
    other = before.clone()
    other[0, ~known] = 3.0
    again = made(replace(request, previous=replace(request.previous, packed=other)), steps=6, tries=3)
    assert torch.equal(result, torch.where(known[None, :, None], result, again))


@pytest.mark.parametrize(("steps", "tries", "evaluations"), [(1, 5, 1), (2, 5, 2), (3, 1, 3), (3, 5, 7), (14, 4, 50)])
def test_the_first_and_the_last_step_are_made_once(steps: int, tries: int, evaluations: int) -> None:
    backbone = ToyBackbone()
    method = get("repaint", overrides={"steps": steps, "tries": tries})
    assert method.cost(backbone).evaluations == evaluations
    assert method.edit(backbone, asked(backbone, None)).evaluations == evaluations


def test_no_other_method_goes_around_it() -> None:
    with pytest.raises(InputError, match="method 'repaint' draws a region anew: there is no edit to go around"):
        get("revert_unchanged", overrides={"method": "repaint"}).check(ToyBackbone())
