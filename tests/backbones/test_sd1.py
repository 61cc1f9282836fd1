"""Stable Diffusion as a straight path, against diffusers' own schedulers, pipeline and attention."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.support.closeness import assert_rounded
from tests.support.slow_cases import slow_but_for
from tests.support.tiny_sd import LEVELS, OPERATIONS, backbone_of, pipeline, save_tiny_sd, tiny_sd, unet
from undrift.attention import MapCapture, TextColumns
from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.backbones import load
from undrift.backbones.clip_prompts import ClipPrompts
from undrift.backbones.folder import read_folder
from undrift.backbones.geometry import pack, unpack
from undrift.backbones.hub import Listing
from undrift.backbones.noise_levels import NoiseLevels, variance_preserving
from undrift.backbones.placement import Placement, gradients
from undrift.backbones.sd1 import StableDiffusionBackbone
from undrift.backbones.weights import weights_digest
from undrift.errors import InputError, ModelError
from undrift.flow import Euler, LateNoise, integrate, inverted
from undrift.methods.registry import get
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.making import stored_latent
from undrift.session.store import Session

CPU = Placement(torch.device("cpu"), torch.float32)

PROMPT = "a red cat sitting on the grass"
SIZE = (64, 64)
STEPS = 10
CLOSE = 1e-5
"""What the identity with DDIM must hold to over a whole trajectory whose states have a size of 1 to 4."""


def noise(rows: int = 1) -> Tensor:
    return torch.randn((rows, 4, 16, 16), generator=torch.Generator().manual_seed(1))


def embeddings(pipe: Any) -> tuple[Tensor, Tensor]:
    """Of the prompt and of the empty one, by diffusers."""
    positive, negative = pipe.encode_prompt(PROMPT, "cpu", 1, True, "")
    return positive.detach(), negative.detach()


@torch.no_grad()
def guided(pipe: Any, z: Tensor, timestep: int, guidance: float) -> Tensor:
    """The network's prediction with guidance, by the UNet with diffusers' own processors."""
    positive, negative = (pipe.unet(z, timestep, encoder_hidden_states=text).sample for text in embeddings(pipe))
    mixed: Tensor = negative + guidance * (positive - negative)
    return mixed


def field(backbone: StableDiffusionBackbone, guidance: float) -> Any:
    return backbone.velocity_field(backbone.embed([PROMPT]), backbone.geometry(SIZE), guidance)


@pytest.mark.parametrize("prediction", slow_but_for({"epsilon"}, ["epsilon", "v_prediction"]))
@pytest.mark.parametrize("guidance", slow_but_for([3.0], [1.0, 3.0]))
def test_sampling_is_the_ddim_scheduler(prediction: str, guidance: float) -> None:
    from diffusers import DDIMScheduler

    pipe = pipeline(prediction_type=prediction)
    settings = {**LEVELS, "clip_sample": False, "set_alpha_to_one": True, "prediction_type": prediction}
    scheduler = DDIMScheduler(**settings)
    scheduler.set_timesteps(STEPS)
    z = noise()
    for timestep in scheduler.timesteps:
        z = scheduler.step(guided(pipe, z, timestep, guidance), timestep, z).prev_sample

    backbone = backbone_of(pipeline(prediction_type=prediction))
    sigmas = backbone.sigmas(STEPS, backbone.geometry(SIZE))
    start = pack(noise()) / variance_preserving(float(sigmas[0]))
    final = integrate(field(backbone, guidance), Euler(), start, sigmas).final
    assert float((unpack(final, backbone.geometry(SIZE)) - z).abs().max()) < CLOSE * float(z.abs().max())


def test_inversion_is_the_ddim_inverse_scheduler() -> None:
    """Of predicted noise. A predicted v says another noise at another level, and diffusers takes the start's
    level."""
    from diffusers import DDIMInverseScheduler

    pipe, backbone = pipeline(), backbone_of(pipeline())
    scheduler = DDIMInverseScheduler(**LEVELS, clip_sample=False, set_alpha_to_one=True)
    scheduler.set_timesteps(STEPS)
    z = noise()
    for timestep in scheduler.timesteps:
        z = scheduler.step(guided(pipe, z, timestep, 1.0), int(timestep), z).prev_sample

    sigmas = inverted(backbone.sigmas(STEPS, backbone.geometry(SIZE)))
    final = integrate(field(backbone, 1.0), LateNoise(), pack(noise()), sigmas).final
    ours = unpack(final, backbone.geometry(SIZE)) * variance_preserving(float(sigmas[-1]))
    assert float((ours - z).abs().max()) < CLOSE * float(z.abs().max())


def test_ddim_inverts_a_constant_noise_exactly() -> None:
    """With e that depends on nothing both passes are straight lines through the same points."""
    sigmas, e = tiny_sd().sigmas(STEPS, tiny_sd().geometry(SIZE)), noise().double()

    def velocity(x: Tensor, sigma: float) -> Tensor:
        return (e - x) / (1.0 - sigma)

    up = integrate(velocity, LateNoise(), e.flip(-1), inverted(sigmas)).final
    down = integrate(velocity, Euler(), up, sigmas).final
    assert_rounded(down, e.flip(-1), 10 * STEPS)


def test_timesteps_and_sigmas_are_each_other_s_inverse_and_stay_on_the_table() -> None:
    levels = NoiseLevels.of(LEVELS)
    for timestep in (0, 1, 499, 500, 980, 999):
        assert levels.timestep(levels.sigma(timestep)) == pytest.approx(timestep)
    between = levels.timestep((levels.sigma(500) + levels.sigma(501)) / 2)
    assert 500 < between < 501
    assert (levels.timestep(0.0), levels.timestep(1.0)) == (0.0, 999.0)
    # sqrt(abar) of Stable Diffusion's last level is 0.0683: Lin et al. 2024, arXiv 2305.08891, section 3.1.
    assert (1 - levels.last) * variance_preserving(levels.last) == pytest.approx(0.0683, abs=5e-5)


def test_the_velocity_is_finite_from_the_picture_to_pure_noise() -> None:
    for sigma in (0.0, 0.01, 0.936, 0.97, 1.0):
        assert bool(field(tiny_sd(), 1.0)(pack(noise()), sigma).isfinite().all())


@pytest.mark.parametrize(("steps", "levels"), [(0, 1000), (1001, 1000)])
def test_there_are_no_more_steps_than_levels(steps: int, levels: int) -> None:
    with pytest.raises(InputError, match=f"steps is {steps}, expected 1 to {levels}"):
        tiny_sd().sigmas(steps, tiny_sd().geometry(SIZE))
    assert len(tiny_sd().sigmas(levels, tiny_sd().geometry(SIZE))) == 1 + levels


def test_a_network_that_predicts_something_else_is_refused() -> None:
    with pytest.raises(ModelError, match="prediction_type is 'sample', expected epsilon or v_prediction"):
        StableDiffusionBackbone(unet(), scheduler={**LEVELS, "prediction_type": "sample"})


def test_a_folder_loads_and_gives_the_pipeline_s_latents(tmp_path: Path) -> None:
    backbone = load(str(save_tiny_sd(tmp_path / "sd")), dtype="float32", device="cpu")
    assert isinstance(backbone, StableDiffusionBackbone)
    shared = field(tiny_sd(), 1.0)(pack(noise()), 0.5)
    assert_rounded(field(backbone, 1.0)(pack(noise()), 0.5), shared, OPERATIONS)


def test_a_folder_s_identity_knows_the_autoencoder(tmp_path: Path) -> None:
    """So that another UNet with the same one goes on from the latents of a session."""
    folder = save_tiny_sd(tmp_path / "sd")
    first = load(str(folder), dtype="float32", device="cpu").identity
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(file).items()}, file)
    second = load(str(folder), dtype="float32", device="cpu").identity
    assert first.vae_hash == second.vae_hash == weights_digest(sorted((folder / "vae").glob("*.safetensors")))
    assert first.weights_hash != second.weights_hash


def test_the_safety_checker_is_neither_counted_nor_hashed(tmp_path: Path) -> None:
    """It is never loaded; Stable Diffusion 1.5's takes 1.2 GB."""
    folder = save_tiny_sd(tmp_path / "sd")
    before = read_folder(folder, "sd")
    index = json.loads((folder / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "safety_checker").mkdir()
    save_file({"a": torch.zeros(1000)}, folder / "safety_checker" / "model.safetensors")
    after = read_folder(folder, "sd")
    assert (after.resident_bytes(4), after.weights_hash) == (before.resident_bytes(4), before.weights_hash)
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*.*")}
    assert not [path for path in Listing("main", sizes).needed(after) if "safety_checker" in path]
    load(str(folder), device="cpu")


def test_a_model_put_together_by_hand_is_known_by_its_weights(tmp_path: Path) -> None:
    pipe = pipeline()
    prompts = ClipPrompts(pipe.text_encoder, pipe.tokenizer, CPU)
    bare = StableDiffusionBackbone(pipe.unet, vae=pipe.vae, prompts=prompts)
    picture = Image.new("RGB", (16, 16), "teal")
    session = start_session(tmp_path / "s", picture, "a cat", bare)
    turn = run_turn(session, bare, get("no_edit"), EditPlan("a dog", seed=1))
    again = Session.open(session.folder)
    assert stored_latent(again, turn, bare) is not None
    other = StableDiffusionBackbone(unet(), vae=pipe.vae)
    assert other.identity.weights_hash != bare.identity.weights_hash
    assert other.identity.vae_hash == bare.identity.vae_hash


def test_layers_are_numbered_as_they_run() -> None:
    order: list[Site] = []

    class Notes(AttentionTap):
        def project(self, site, projections):  # type: ignore[no-untyped-def]
            order.append(site)
            return projections

    with tiny_sd().tapped(Notes()):
        field(tiny_sd(), 1.0)(pack(noise()), 0.5)
    assert order == list(tiny_sd().sites)
    assert len(order) == 14


def test_maps_are_read_at_the_grid_s_resolution_and_change_no_bit() -> None:
    backbone, sites = tiny_sd(), tiny_sd().capabilities.map_sites
    capture = MapCapture(TextColumns.of([[3]]), sites)
    plain = field(backbone, 3.0)(pack(noise()), 0.5)
    with backbone.tapped(capture):
        tapped = field(backbone, 3.0)(pack(noise()), 0.5)
    assert torch.equal(plain, tapped)
    assert capture.maps.shape == (len(sites), 1, backbone.geometry(SIZE).tokens)


def test_a_map_is_the_layer_s_own_cross_attention() -> None:
    """Against diffusers' ``get_attention_scores`` on the hidden states that the layer is given."""
    backbone, site = tiny_sd(), tiny_sd().capabilities.map_sites[0]
    layer: Any = backbone._layers[site]
    given: list[tuple[Tensor, Tensor]] = []
    hook = layer.register_forward_pre_hook(
        lambda _, positional, named: given.append((positional[0], named["encoder_hidden_states"])), with_kwargs=True
    )
    seen: list[Tensor] = []

    class Reads(AttentionTap):
        def wants(self, site_asked: Site) -> bool:
            return site_asked == site

        def attend(self, site, query, key, value, text_tokens, mask=None):  # type: ignore[no-untyped-def]
            scores = query[:, text_tokens:].transpose(1, 2) @ key.permute(0, 2, 3, 1) * query.shape[-1] ** -0.5
            seen.append(scores.softmax(-1))

    try:
        with backbone.tapped(Reads()):
            field(backbone, 1.0)(pack(noise()), 0.5)
    finally:
        hook.remove()
    image, text = given[0]
    query, key = layer.head_to_batch_dim(layer.to_q(image)), layer.head_to_batch_dim(layer.to_k(text))
    assert_rounded(seen[0].flatten(0, 1), layer.get_attention_scores(query, key), 200)


def test_pictures_of_any_size_are_padded_to_what_every_resolution_can_halve() -> None:
    g = tiny_sd().geometry((41, 24))
    assert (g.rows, g.columns, g.token_side) == (3, 6, 8)
    assert (g.height, g.width) == (24, 41)


def test_gradients_flow_only_where_they_are_asked_for() -> None:
    backbone = tiny_sd()
    text = backbone.embed([""]).tensors["text"].clone().requires_grad_()
    inputs = {"text": text, "geometry": backbone.geometry(SIZE)}
    before = backbone.counter.copy()
    assert not backbone.evaluate(pack(noise()), 0.5, inputs).requires_grad
    with gradients():
        velocity = backbone.evaluate(pack(noise()), 0.5, inputs, tapped=False)
        (slope,) = torch.autograd.grad(velocity.square().sum(), [text])
    assert backbone.counter.backward_passes == before.backward_passes + 1
    assert float(slope.abs().max()) > 0
    assert not backbone.evaluate(pack(noise()), 0.5, inputs).requires_grad
    assert all(parameter.grad is None for parameter in backbone._network.parameters())


def test_a_gradient_is_the_slope() -> None:
    backbone = tiny_sd()
    text = backbone.embed([""]).tensors["text"].clone()
    direction = torch.randn(text.shape, generator=torch.Generator().manual_seed(3))
    geometry = backbone.geometry(SIZE)

    def loss(at: Tensor) -> Tensor:
        with gradients():
            made = backbone.evaluate(pack(noise()), 0.5, {"text": at, "geometry": geometry})
        return made.double().square().mean()

    leaf = text.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(leaf), [leaf])
    h = 1e-2
    measured = float(loss(text + h * direction) - loss(text - h * direction)) / (2 * h)
    # The error of the difference, of h^2, and the rounding over h are far below one per cent.
    assert float((slope * direction).sum()) == pytest.approx(measured, rel=0.01)


def test_a_prompt_that_is_too_long_is_refused() -> None:
    with pytest.raises(InputError, match=r"has \d+ tokens, the model takes 16: shorten it"):
        tiny_sd().embed(["a cat " * 20])
