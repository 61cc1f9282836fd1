"""The velocity field against recorded numbers and against diffusers' own pipeline."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from tests.support import golden, tiny_flux
from tests.support.closeness import assert_rounded
from tests.support.tiny_flux import OPERATIONS
from undrift.backbones import Backbone, Geometry, load
from undrift.backbones.flux import VITAL_SITES, FluxBackbone
from undrift.backbones.prompts import conditioning_of
from undrift.errors import InputError
from undrift.flow import Euler, integrate

GRID = Geometry(height=40, width=24, rows=5, columns=3, token_side=8)
PROMPTS = ("a red cat on the grass", "a dog in the snow with a blue hat")


def noise(rows: int, geometry: Geometry, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, geometry.tokens, 4 * tiny_flux.LATENT_CHANNELS, generator=generator)


def test_velocity_is_the_recorded_one() -> None:
    recorded = golden.arrays("mtc")
    backbone = golden.backbone()
    field = backbone.velocity_field(backbone.embed([golden.SOURCE]), golden.GRID, 3.5)
    velocity = field(recorded["x0"], 0.7313)
    golden.close(velocity, recorded["velocity_t0.7313_g3.5"])


@pytest.mark.parametrize("steps", [8, 15, 28])
@pytest.mark.parametrize("side", [8, 32])
def test_sigmas_are_the_recorded_ones(steps: int, side: int) -> None:
    recorded = golden.arrays("mtc")[f"sigmas_{steps}_n{side * side}"]
    sigmas = golden.backbone().sigmas(steps, Geometry(16 * side, 16 * side, side, side, 16))
    assert_rounded(sigmas, recorded.double(), 10, dtype=torch.float32)  # what recorded it


def test_vital_sites_are_known_for_the_full_architecture_alone(tiny_flux: Backbone) -> None:
    assert golden.backbone().capabilities.vital_sites == VITAL_SITES
    assert tiny_flux.capabilities.vital_sites == ()


@pytest.mark.parametrize(
    ("guidance", "scheduler"),
    [
        (True, {}),
        (False, {"use_dynamic_shifting": False, "shift": 1.0}),
        (True, {"use_dynamic_shifting": False}),
        (True, {"time_shift_type": "linear", "base_shift": 1.6, "max_shift": 25.6}),
    ],
    ids=["dev", "schnell", "static shift", "linear shift"],
)
def test_euler_sampling_equals_the_stock_pipeline(
    tmp_path: Path, guidance: bool, scheduler: dict[str, object]
) -> None:
    pipe = tiny_flux.pipeline(guidance, **scheduler)
    pipe.set_progress_bar_config(disable=True)
    start = noise(2, GRID)
    expected = pipe(
        list(PROMPTS),
        height=GRID.height,
        width=GRID.width,
        num_inference_steps=4,
        guidance_scale=3.5,
        latents=start,
        output_type="latent",
        max_sequence_length=tiny_flux.T5_LIMIT,
    ).images
    pipe.save_pretrained(tmp_path)
    backbone = load(str(tmp_path), device="cpu")
    field = backbone.velocity_field(backbone.embed(PROMPTS), GRID, 3.5)
    sigmas = backbone.sigmas(4, GRID)
    assert_rounded(sigmas, pipe.scheduler.sigmas.double(), 10, dtype=torch.float32)
    trajectory = integrate(field, Euler(), start, sigmas)
    assert_rounded(trajectory.final, expected, 4 * OPERATIONS)


def test_a_batch_equals_its_rows_with_their_own_prompts_and_guidance(tiny_flux: Backbone) -> None:
    x = noise(2, GRID)
    both = tiny_flux.embed(PROMPTS)
    batched = tiny_flux.velocity_field(both, GRID, (1.0, 3.5))(x, 0.6)
    for index, guidance in enumerate((1.0, 3.5)):
        single = tiny_flux.velocity_field(both.take([index]), GRID, guidance)(x[index : index + 1], 0.6)
        assert_rounded(batched[index : index + 1], single, OPERATIONS)
    assert (batched[0] - batched[1]).abs().max() > 1e-3


def test_velocity_is_an_ordinary_float32_tensor_in_any_dtype() -> None:
    backbone = FluxBackbone(tiny_flux.transformer().to(torch.bfloat16))
    conditioning = conditioning_of(
        torch.randn(1, 6, tiny_flux.TEXT_WIDTH), torch.randn(1, tiny_flux.POOLED_WIDTH), ()
    )
    velocity = backbone.velocity_field(conditioning, GRID, 1.0)(noise(1, GRID), 0.5)
    assert velocity.dtype == torch.float32
    assert not velocity.requires_grad
    velocity += 1.0  # refused for tensors made in inference mode
    assert backbone.identity.dtype == "bfloat16"


def test_guidance_on_a_model_without_it_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    backbone = FluxBackbone(tiny_flux.transformer(guidance=False))
    conditioning = conditioning_of(
        torch.zeros(1, 6, tiny_flux.TEXT_WIDTH), torch.zeros(1, tiny_flux.POOLED_WIDTH), ()
    )
    with caplog.at_level(logging.WARNING, "undrift"):
        for guidance in (1.0, 3.5, 2.0):
            backbone.velocity_field(conditioning, GRID, guidance)
    assert [record.getMessage() for record in caplog.records] == [
        "bare takes no guidance: the value 3.5 has no effect"
    ]


def test_rows_and_tokens_that_do_not_fit_are_refused(tiny_flux: Backbone) -> None:
    conditioning = tiny_flux.embed(PROMPTS)
    field = tiny_flux.velocity_field(conditioning, GRID, 1.0)
    with pytest.raises(InputError, match="1 latents for 2 prompts, expected one prompt per latent"):
        field(noise(1, GRID), 0.5)
    with pytest.raises(InputError, match=r"expected \(batch, 15, channels\) for a grid of 5 x 3 tokens"):
        field(noise(2, Geometry(8, 8, 1, 1, 8)), 0.5)
    with pytest.raises(InputError, match="3 guidance values for 2 prompts"):
        tiny_flux.velocity_field(conditioning, GRID, (1.0, 2.0, 3.0))


def test_a_negative_prompt_that_would_have_no_effect_is_refused(tiny_flux: Backbone) -> None:
    prompts, negative = tiny_flux.embed(PROMPTS[:1]), tiny_flux.embed([""])
    with pytest.raises(InputError, match="takes no negative prompt, its guidance has but one evaluation"):
        tiny_flux.velocity_field(prompts, GRID, 3.5, negative)
