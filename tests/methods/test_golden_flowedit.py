"""FlowEdit lands on the latent of the authors' implementation, given the noises that it drew."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import Tensor

from tests.support import golden
from tests.support.closeness import assert_rounded
from undrift.flow import Euler, Step, integrate, interpolate
from undrift.methods import flowedit
from undrift.methods.registry import get

RECORDED = golden.arrays("rfinversion_flowedit")


def _noise(seeds: list[int], like: Tensor, stream: int) -> Tensor:
    return RECORDED["flowedit_28_nmax24_noise"][stream % 24 : stream % 24 + 1]


@pytest.fixture(autouse=True)
def _recorded_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flowedit, "seeded_noise", _noise)


def test_flowedit_lands_on_the_recorded_latent() -> None:
    result = golden.edit(get("flowedit"))
    golden.close(result.latent.packed, RECORDED["flowedit_28_nmax24_edited"])
    assert result.evaluations == 48


def test_averaging_noises_averages_their_velocities() -> None:
    backbone, image = golden.backbone(), golden.request().original.packed
    source = backbone.velocity_field(backbone.embed([golden.SOURCE]), golden.GRID, 1.5)
    target = backbone.velocity_field(backbone.embed([golden.TARGET]), golden.GRID, 5.5)
    noises = list(RECORDED["flowedit_28_nmax24_noise"][:2, None])

    def difference(draws: list[Tensor]) -> Tensor:
        field = flowedit.FlowEditField(source, target, image, draws.__getitem__, len(draws))
        field.begin(Step(index=0, count=1, sigma=0.8, sigma_next=0.0))
        return field(image, 0.8)

    first, second = (difference([noise]) for noise in noises)
    assert_rounded(difference(noises), (first + second) / 2, golden.OPERATIONS)


def test_averaging_costs_two_evaluations_per_noise() -> None:
    short = {"steps": 3, "n_max": 2, "n_avg": 3}
    assert golden.edit(get("flowedit", overrides=short)).evaluations == 12


def test_the_last_n_min_steps_sample_the_target_from_the_noised_edit() -> None:
    request, backbone = golden.request(), golden.backbone()
    image = request.original.packed
    result = golden.edit(get("flowedit", overrides={"steps": 4, "n_max": 2, "n_min": 2}))
    sigmas = backbone.sigmas(4, golden.GRID)[2:]
    target = backbone.velocity_field(backbone.embed([golden.TARGET]), golden.GRID, 5.5)
    start = interpolate(image, _noise([], image, 0), float(sigmas[0]))
    golden.close(result.latent.packed, integrate(target, Euler(), start, sigmas).final)
    assert result.evaluations == 2


@pytest.mark.slow
def test_noises_are_averaged_and_the_end_is_sampled_as_the_paper_says_step_by_step() -> None:
    backbone, image = golden.backbone(), golden.request().original.packed
    source = backbone.velocity_field(backbone.embed([golden.SOURCE]), golden.GRID, 1.5)
    target = backbone.velocity_field(backbone.embed([golden.TARGET]), golden.GRID, 5.5)
    noises = RECORDED["flowedit_28_nmax24_noise"][:, None]
    _, first, second, third, last = (float(sigma) for sigma in backbone.sigmas(4, golden.GRID))

    def noised(number: int, sigma: float) -> Tensor:
        return (1 - sigma) * image + sigma * noises[number]

    z, spent = image, 0
    for sigma, sigma_next, numbers in ((first, second, (0, 1)), (second, third, (2, 3))):
        both = [target(z + noised(i, sigma) - image, sigma) - source(noised(i, sigma), sigma) for i in numbers]
        z, spent = z + (sigma_next - sigma) * (both[0] + both[1]) / 2, spent + 4
    x = z + noised(4, third) - image
    x, spent = x + (last - third) * target(x, third), spent + 1
    result = golden.edit(get("flowedit", overrides={"steps": 4, "n_max": 3, "n_min": 1, "n_avg": 2}))
    golden.close(result.latent.packed, x)
    assert result.evaluations == spent == 9


def test_equal_prompts_and_guidance_change_nothing() -> None:
    request = replace(golden.request(), target_prompts=[golden.SOURCE])
    method = get("flowedit", overrides={"steps": 3, "n_max": 3, "guidance": 1.5})
    result = method.edit(golden.backbone(), request)
    # The two evaluations see states that differ by rounding alone.
    assert_rounded(result.latent.packed, request.original.packed, 3 * golden.OPERATIONS)
