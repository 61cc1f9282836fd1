"""Stable Diffusion XL against diffusers' own pipeline, and the UNet's editors on its shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.contracts.test_methods import picture
from tests.support.closeness import assert_rounded
from tests.support.slow_cases import slow_but_for
from tests.support.tiny_sdxl import OPERATIONS, pipeline, save_tiny_sdxl, tiny_sdxl
from undrift.backbones import Backbone, from_pipeline, load
from undrift.backbones.geometry import pack, unpack
from undrift.backbones.noise_levels import variance_preserving
from undrift.errors import InputError, ModelError
from undrift.flow import Euler, integrate
from undrift.methods.base import EditRequest
from undrift.methods.registry import get

PROMPT = "a red cat sitting on the grass"
SIZE = (64, 32)
STEPS = 3
CLOSE = 1e-5


def noise() -> Tensor:
    return torch.randn((1, 4, 8, 16), generator=torch.Generator().manual_seed(1))


def velocity(backbone: Backbone) -> Tensor:
    start = pack(noise(), 4)
    return backbone.velocity_field(backbone.embed([PROMPT]), backbone.geometry(SIZE), 3.0)(start, 0.5)


@pytest.mark.parametrize("zeros", [True, False], ids=["the empty prompt is zeros", "the empty prompt is embedded"])
@pytest.mark.parametrize("guidance", slow_but_for({3.0}, [1.0, 3.0]))
def test_a_sample_is_that_of_diffusers_own_pipeline(guidance: float, zeros: bool) -> None:
    """Prompts, both encoders, pooled, sizes, guidance and steps; at 64 x 32 width and height cannot be mixed up."""
    pipe = pipeline(zeros=zeros)
    backbone = from_pipeline(pipe, name="xl")
    geometry = backbone.geometry(SIZE)
    sigmas = backbone.sigmas(STEPS, geometry)
    start = pack(noise(), 4) / variance_preserving(float(sigmas[0]))
    field = backbone.velocity_field(backbone.embed([PROMPT]), geometry, guidance)
    ours = unpack(integrate(field, Euler(), start, sigmas).final, geometry, 4)
    pipe.set_progress_bar_config(disable=True)
    asked: dict[str, Any] = {"width": SIZE[0], "height": SIZE[1], "num_inference_steps": STEPS}
    theirs = pipe(PROMPT, guidance_scale=guidance, latents=noise(), output_type="latent", **asked).images
    assert float((ours - theirs).abs().max()) < CLOSE * float(theirs.abs().max())


def test_its_layers_are_found_where_they_are() -> None:
    backbone = tiny_sdxl()
    # 2 blocks on the way down at the second level, 3 at the third, 3 in the middle, then twice 3 and twice 2.
    assert len(backbone.capabilities.text_sites) == len(backbone.capabilities.sharing_sites) == 2 + 3 + 3 + 6 + 4
    assert len(backbone.capabilities.map_sites) == 3 + 3 + 6, "the coarsest resolution, as of 1024 pixels 32 x 32"
    grid = backbone.geometry(SIZE)
    assert (grid.rows, grid.columns, grid.token_side) == (2, 4, 16)


@pytest.mark.slow
def test_a_folder_is_the_pipeline(tmp_path: Path) -> None:
    folder = save_tiny_sdxl(tmp_path / "xl")
    backbone = load(str(folder), device="cpu", dtype="float32")
    assert torch.equal(velocity(backbone), velocity(from_pipeline(pipeline(), name="xl")))
    assert json.loads((folder / "model_index.json").read_text())["force_zeros_for_empty_prompt"] is True


EDITORS: dict[str, dict[str, Any]] = {
    "ddim": {},
    "p2p": {"cross_share": 0.5, "self_share": 0.5},
    "null_text": {"inner_steps": 2, "stop_below": 0.0},
    "pnp_inversion": {},
    "masactrl": {"start_step": 0, "layers": 0.5},
}


def request(target: str) -> EditRequest:
    latent = tiny_sdxl().encode([picture(4, SIZE)])
    return EditRequest(latent, latent, 1, [PROMPT], [target], [None], [0])


def edited(name: str, target: str, **params: Any) -> Tensor:
    asked = {"steps": STEPS, "guidance": 3.0, **EDITORS[name], **params}
    made = get(name, overrides=asked).edit(tiny_sdxl(), request(target))
    expected = get(name, overrides=asked).cost(tiny_sdxl())
    assert (made.evaluations, made.backward_passes) == (expected.evaluations, expected.backward_passes)
    return made.latent.packed


@pytest.mark.parametrize("name", slow_but_for({"p2p"}, EDITORS))
def test_the_unet_s_editors_edit(name: str) -> None:
    blue = edited(name, "a blue cat sitting on the grass")
    assert bool(blue.isfinite().all())
    assert float((blue - edited(name, "a red dog sitting on the grass")).abs().max()) > 1e-4


@pytest.mark.slow
def test_their_identities_hold_on_its_shape() -> None:
    plain = edited("ddim", PROMPT)
    assert_rounded(edited("p2p", PROMPT), plain, 3 * STEPS * OPERATIONS)
    assert_rounded(edited("masactrl", PROMPT, source="caption"), plain, 3 * STEPS * OPERATIONS)
    # Nothing is shared, so that the exact source changes nothing in the target.
    off = {"cross_share": 0.0, "self_share": 0.0, "blend": False, "reweight": 1.0}
    blue = "a blue cat sitting on the grass"
    assert_rounded(edited("pnp_inversion", blue, **off), edited("ddim", blue), 3 * STEPS * OPERATIONS)


def test_null_text_fits_what_is_pooled_too() -> None:
    """Its negative conditioning is the columns and the pooled vector, and both have slopes."""
    asked = get("null_text", overrides={"steps": 1, "guidance": 3.0, "inner_steps": 1, "stop_below": 0.0})
    fitted, _ = asked.fit(tiny_sdxl(), request(PROMPT))  # type: ignore[attr-defined]
    empty = tiny_sdxl().embed([""])
    for name in ("text", "pooled"):
        assert float((fitted[0].tensors[name] - empty.tensors[name]).abs().max()) > 0


def test_what_it_cannot_do_is_said_in_one_line(tmp_path: Path) -> None:
    folder = save_tiny_sdxl(tmp_path / "xl")
    with pytest.raises(ModelError, match=r"autoencoder of .* leaves the range of fp16: use --dtype bf16 or fp32"):
        load(str(folder), device="cpu", dtype="fp16")
    with pytest.raises(InputError, match=r"has \d+ tokens, the model takes 16: shorten it"):
        tiny_sdxl().embed(["a cat " * 20])
