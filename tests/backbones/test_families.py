"""Every family beside FLUX.1 against diffusers' own pipeline: the same velocity, pictures, words and attention."""

from __future__ import annotations

import weakref
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.support.drawing import PARITY, PROMPTS, SIZE, close, drawn, noise
from tests.support.slow_cases import slow_but_for
from tests.support.tiny_pipelines import (
    CHAT_LIMIT,
    DEV_LIMIT,
    EVERY,
    FAMILIES,
    flux2_dev,
    flux2_klein,
    loaded,
    qwen_tokenizer,
    seeded,
)
from undrift.attention import MapCapture, TextColumns, word_columns
from undrift.attention.taps import AttentionTap, Projections
from undrift.backbones import Backbone, from_pipeline, load
from undrift.backbones.base import Latent
from undrift.backbones.qwen_prompts import BEFORE, DROPPED
from undrift.backbones.registry import families
from undrift.errors import InputError
from undrift.flow import Euler, integrate
from undrift.methods.registry import get
from undrift.session.engine import EditPlan, run_turn, start_session

NAMES = list(FAMILIES)
FIVE_TURNS = ("multi_turn", "flowedit", "fireflow", "rf_inversion", "undrift")


def test_families_are_found() -> None:
    found = {name: family.__name__ for name, family in families().items()}
    assert found == {
        "Flux2KleinPipeline": "Flux2Backbone",
        "Flux2Pipeline": "Flux2Backbone",
        "FluxPipeline": "FluxBackbone",
        "QwenImagePipeline": "QwenImageBackbone",
        "StableDiffusion3Pipeline": "SD3Backbone",
        "StableDiffusionPipeline": "StableDiffusionBackbone",
        "StableDiffusionXLPipeline": "StableDiffusionXLBackbone",
    }


@pytest.mark.parametrize("name", EVERY)
def test_the_velocity_is_diffusers_own(name: str) -> None:
    family, backbone = EVERY[name], loaded(name)
    made = drawn(family.make(), name, noise(name, 2), PROMPTS, guidance=1.0)
    field = backbone.velocity_field(backbone.embed(PROMPTS), backbone.geometry(SIZE), 1.0)
    assert len(made.calls) == 3
    for named, velocity in made.calls:
        sigma = float(named["timestep"][0]) / family.timestep_scale
        close(field(family.from_pipeline(named["hidden_states"]), sigma), family.from_pipeline(velocity))


@pytest.mark.parametrize("name", EVERY)
def test_text_to_image_is_the_pipeline_s(name: str) -> None:
    """The schedule, guidance in the model's way, the solver's sum and the autoencoder, all at once."""
    backbone, start = loaded(name), noise(name, 2)
    made = drawn(EVERY[name].make(), name, start, PROMPTS, guidance=4.0)
    geometry = backbone.geometry(SIZE)
    field = backbone.velocity_field(backbone.embed(PROMPTS), geometry, 4.0)
    run = integrate(field, Euler(), start, backbone.sigmas(3, geometry))
    close(run.final, made.latents[-1], bar=3 * PARITY)
    for ours, theirs in zip(backbone.decode(Latent(run.final, geometry)), made.pictures, strict=True):
        assert ours.size == SIZE
        # A value on the border of two levels may round either way.
        assert np.abs(np.asarray(ours, dtype=np.float32) - theirs * 255.0).max() <= 0.51


@pytest.mark.parametrize("name", NAMES)
def test_a_single_step_goes_from_noise_to_the_picture(name: str) -> None:
    assert loaded(name).sigmas(1, loaded(name).geometry(SIZE)).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("name", NAMES)
def test_encoding_is_undone_by_decoding_but_for_the_autoencoder(name: str) -> None:
    """What the autoencoder alone makes of a picture and back, with latents in diffusers' own scale in between."""
    backbone = loaded(name)
    source = Image.effect_mandelbrot((26, 21), (-2, -1, 1, 1), 50).convert("RGB")
    latent = backbone.encode([source])
    assert latent.packed.shape == (1, latent.geometry.tokens, 16)
    assert (latent.geometry.rows, latent.geometry.columns) == (3, 4)
    (back,) = backbone.decode(latent)
    padded = np.pad(np.asarray(source), ((0, 3), (0, 6), (0, 0)), "edge")
    pixels = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 127.5 - 1.0
    vae = backbone._autoencoder.vae  # type: ignore[attr-defined]
    frames = pixels.unsqueeze(2) if name == "qwen_image" else pixels
    with torch.no_grad():
        plain = vae.decode(vae.encode(frames).latent_dist.mode()).sample
    expected = (plain.reshape(3, 24, 32)[:, :21, :26].permute(1, 2, 0) * 127.5 + 127.5).round().clamp(0, 255)
    # A value on the border of two levels may round either way.
    assert np.abs(np.asarray(back, dtype=np.float32) - expected.numpy()).max() <= 1


class Reads(AttentionTap):
    """Changes nothing and keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[Tensor, Tensor, int, Tensor | None]] = {}
        self.texts: set[int] = set()

    def project(self, site: Any, projections: Projections) -> Projections:
        self.texts.add(projections.text_tokens)
        return projections

    def attend(
        self, site: Any, query: Tensor, key: Tensor, value: Tensor, text_tokens: int, mask: Tensor | None = None
    ) -> Tensor | None:
        self.seen[str(site)] = query, key, text_tokens, mask
        return None


@pytest.mark.parametrize("name", NAMES)
def test_taps_that_change_nothing_change_no_bit_and_see_every_site(name: str) -> None:
    backbone, x = loaded(name), noise(name, 2)
    conditioning = backbone.embed(PROMPTS)
    field = backbone.velocity_field(conditioning, backbone.geometry(SIZE), 4.0)
    plain, tap = field(x, 0.6), Reads()
    columns = TextColumns.of([word_columns(tokens, ["a"]) for tokens in conditioning.tokens])
    with backbone.tapped(tap):
        assert torch.equal(field(x, 0.6), plain)
    with backbone.tapped(MapCapture(columns, backbone.capabilities.map_sites)):
        assert torch.equal(field(x, 0.6), plain)
    assert list(tap.seen) == [str(site) for site in backbone.sites]
    assert tap.texts == {conditioning.text_tokens}


class WhatLives(AttentionTap):
    """Whether queries and keys as they were before the rotary embedding still exist when the attention runs."""

    def __init__(self) -> None:
        self.made: list[weakref.ref[Tensor]] = []
        self.alive: list[bool] = []

    def project(self, site: Any, projections: Projections) -> Projections:
        self.made = [weakref.ref(projections.query), weakref.ref(projections.key)]
        return projections

    def attend(
        self, site: Any, query: Tensor, key: Tensor, value: Tensor, text_tokens: int, mask: Tensor | None = None
    ) -> Tensor | None:
        self.alive += [ref() is not None for ref in self.made]
        return None


@pytest.mark.parametrize("name", ["flux2", "qwen_image"])
def test_queries_and_keys_are_freed_once_they_are_turned(name: str) -> None:
    backbone, tap = loaded(name), WhatLives()
    field = backbone.velocity_field(backbone.embed(PROMPTS), backbone.geometry(SIZE), 4.0)
    with backbone.tapped(tap):
        field(noise(name, 2), 0.6)
    assert tap.alive == [False] * (2 * len(backbone.sites))


class Idle(AttentionTap):
    """Has nothing to do."""

    @property
    def idle(self) -> bool:
        return True

    def project(self, site: Any, projections: Projections) -> Projections:
        raise AssertionError("an idle tap was shown the projections")


@pytest.mark.parametrize("name", NAMES)
def test_layers_run_their_own_code_while_every_tap_is_idle(name: str) -> None:
    backbone, x = loaded(name), noise(name, 2)
    field = backbone.velocity_field(backbone.embed(PROMPTS), backbone.geometry(SIZE), 4.0)
    plain = field(x, 0.6)
    with backbone.tapped(Idle()):
        assert torch.equal(field(x, 0.6), plain)


@pytest.mark.parametrize("name", NAMES)
def test_maps_are_the_attention_that_the_image_pays_to_the_word(name: str) -> None:
    """Against softmax by hand over what the layers attend with, the text in front."""
    backbone, x = loaded(name), noise(name, 2)
    conditioning = backbone.embed(PROMPTS)
    words = [word_columns(tokens, [word]) for tokens, word in zip(conditioning.tokens, ("cat", "dog"), strict=True)]
    assert all(words)
    field = backbone.velocity_field(conditioning, backbone.geometry(SIZE), 1.0)
    tap, capture = Reads(), MapCapture(TextColumns.of(words), backbone.capabilities.map_sites)
    with backbone.tapped(tap):
        field(x, 0.6)
    with backbone.tapped(capture):
        field(x, 0.6)
    for site in backbone.capabilities.map_sites:
        query, key, text_tokens, mask = tap.seen[str(site)]
        scores = torch.einsum("bihd,bjhd->bhij", query.double(), key.double()) * query.shape[-1] ** -0.5
        weights = (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1)
        for row, columns in enumerate(words):
            expected = weights[row, :, text_tokens:, list(columns)].mean((0, 2))
            # Float32 against float64 of numbers in [0, 1].
            torch.testing.assert_close(capture._raw[site][row].double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_columns_are_those_of_the_words(name: str) -> None:
    """Changing a word changes the embedding in its columns, and in none before them."""
    backbone = loaded(name)
    one, other = (backbone.embed([f"a red {word} in the snow"]) for word in ("cat", "dog"))
    columns = word_columns(one.tokens[0], ["cat"])
    assert columns
    assert {one.tokens[0].prompt[slice(*one.tokens[0].spans[column])] for column in columns} == {"cat"}
    text, text_other = one.tensors["text"][0], other.tensors["text"][0]
    assert float((text - text_other)[list(columns)].abs().amax(-1).min()) > 1e-4
    if name != "sd3":  # T5 reads both ways; the language models read from left to right
        before = min(columns)
        torch.testing.assert_close(text[:before], text_other[:before], atol=1e-6, rtol=0)  # rounding of numbers of 1


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_rows(name: str) -> None:
    backbone, x = loaded(name), noise(name, 2)
    together = backbone.velocity_field(backbone.embed(PROMPTS), backbone.geometry(SIZE), (1.0, 4.0))(x, 0.6)
    for row, guidance in enumerate((1.0, 4.0)):
        alone = backbone.velocity_field(backbone.embed([PROMPTS[row]]), backbone.geometry(SIZE), guidance)
        close(together[row : row + 1], alone(x[row : row + 1], 0.6))


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_that_is_too_long_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"prompt 'a cat .*…' has \d+ tokens.*, the model takes \d+: shorten it"):
        loaded(name).embed(["a cat " * 300])


@pytest.mark.parametrize(("name", "method"), slow_but_for({(NAMES[0], "undrift")}, product(EVERY, FIVE_TURNS)))
def test_five_turns(name: str, method: str, tmp_path: Path) -> None:
    quick: dict[str, dict[str, Any]] = {
        "multi_turn": {"steps": 3, "highlight_start": 1},
        "flowedit": {"steps": 3, "n_max": 2, "n_min": 1},
        "fireflow": {"steps": 3, "shared_blocks": 1},
        "rf_inversion": {"steps": 3},
        "undrift": {"steps": 3, "map_steps": 2, "weak": 0.0, "strong": 0.0},
    }
    backbone = loaded(name)
    source = Image.effect_mandelbrot(SIZE, (-2, -1, 1, 1), 50).convert("RGB")
    session = start_session(tmp_path / "s", source, "a cat", backbone)
    pictures = {source.tobytes()}
    for prompt in ("a red cat", "a red cat in the snow", "a blue cat in the snow", "a blue dog", "a dog with a hat"):
        turn = run_turn(session, backbone, get(method, overrides=quick[method]), EditPlan(prompt, seed=1))
        assert turn.spec is not None
        assert turn.spec.handover == "latent"
        assert turn.evaluations == get(method, overrides=quick[method]).cost(backbone, SIZE).evaluations
        picture = session.picture(turn)
        assert picture.size == SIZE
        pictures.add(picture.tobytes())
    assert len(pictures) == 6


def test_qwen_drops_the_template_as_it_is_published() -> None:
    """34 pieces in front: counted by a tokenizer that joins the template's words as Qwen's own does."""
    assert len(qwen_tokenizer(2048)(BEFORE).input_ids) == DROPPED
    tokens = loaded("qwen_image").embed(["a cat"]).tokens[0]
    assert [tokens.prompt[slice(*span)] for span in tokens.spans[:2]] == ["a", "cat"]
    assert set(tokens.spans[2:]) == {(0, 0)}


def test_sd3_has_clip_s_columns_before_t5_s() -> None:
    tokens = loaded("sd3").embed(["a cat"]).tokens[0]
    assert [column for column, span in enumerate(tokens.spans) if span == (2, 5)] == [2, 13]
    assert len(tokens.tokens) == 12 + 3


def test_sd3_without_t5_takes_what_clip_can_read(tmp_path: Path) -> None:
    pipe = FAMILIES["sd3"].make()
    pipe.register_modules(text_encoder_3=None, tokenizer_3=None)
    pipe.save_pretrained(tmp_path / "sd3")
    backbone = load(str(tmp_path / "sd3"), device="cpu")
    x = noise("sd3", 1)
    with torch.no_grad():
        text, _, pooled, _ = pipe.encode_prompt(*PROMPTS[:1] * 3, do_classifier_free_guidance=False)
    embedded = backbone.embed(PROMPTS[:1])
    close(embedded.tensors["text"], text)
    close(embedded.tensors["pooled"], pooled)
    assert backbone.velocity_field(embedded, backbone.geometry(SIZE), 1.0)(x, 0.5).shape == x.shape
    with pytest.raises(InputError, match=r"has \d+ tokens, the model takes 12: shorten it"):
        backbone.embed(["a cat " * 12])


def test_sd3_says_how_large_a_picture_may_be() -> None:
    backbone = loaded("sd3")
    with pytest.raises(InputError, match=r"is 200 x 8 pixels, .* knows positions up to 128 x 128: give a smaller"):
        backbone.velocity_field(backbone.embed(PROMPTS[:1]), backbone.geometry((200, 8)), 1.0)


def test_klein_was_distilled_to_do_without_guidance(tmp_path: Path) -> None:
    pipe = seeded(lambda: flux2_klein(distilled=True))()
    pipe.save_pretrained(tmp_path / "klein")
    klein = load(str(tmp_path / "klein"), device="cpu")
    assert klein.capabilities.guidance == "none"
    assert loaded("flux2").capabilities.guidance == "two_evaluations"
    made = drawn(pipe, "flux2", noise("flux2", 1), PROMPTS[:1], guidance=4.0)
    field = klein.velocity_field(klein.embed(PROMPTS[:1]), klein.geometry(SIZE), 4.0)
    final = integrate(field, Euler(), noise("flux2", 1), klein.sigmas(3, klein.geometry(SIZE))).final
    close(final, made.latents[-1], bar=3 * PARITY)


def test_dev_is_told_its_guidance_and_reads_its_prompt_in_a_chat_of_its_own() -> None:
    """FLUX.2-dev's pipeline, a small language model in the place of Mistral."""
    pipe, start = flux2_dev(), noise("flux2", 1)
    backbone = from_pipeline(pipe, name="dev")
    assert backbone.capabilities.guidance == "embedded"
    calls: list[tuple[dict[str, Any], Tensor]] = []
    pipe.transformer.register_forward_hook(
        lambda _, args, named, out: calls.append((named, out[0])), with_kwargs=True
    )
    grid = FAMILIES["flux2"].to_pipeline(start, backbone.geometry(SIZE))
    options = {"num_inference_steps": 2, "guidance_scale": 2.5, "max_sequence_length": DEV_LIMIT}
    pipe(prompt=PROMPTS[0], width=SIZE[0], height=SIZE[1], latents=grid, output_type="latent", **options)
    (named, velocity), _ = calls
    conditioning = backbone.embed(PROMPTS[:1])
    # Rounding of numbers below 0.1.
    torch.testing.assert_close(conditioning.tensors["text"], named["encoder_hidden_states"], atol=1e-7, rtol=0)
    assert word_columns(conditioning.tokens[0], ["cat"])
    close(backbone.velocity_field(conditioning, backbone.geometry(SIZE), 2.5)(start, 1.0), velocity)
    with pytest.raises(InputError, match=r"the prompt holds '\[IMG\]', which stands for a picture"):
        backbone.embed(["a cat [IMG]"])


def test_prompts_take_as_many_columns_as_the_tokenizer_allows() -> None:
    assert loaded("flux2").embed(["a cat"]).text_tokens == CHAT_LIMIT


def test_a_negative_prompt_leads_away() -> None:
    backbone: Backbone = loaded("qwen_image")
    x, geometry = noise("qwen_image", 1), backbone.geometry(SIZE)
    positive, away = backbone.embed(["a cat"]), backbone.embed(["a dog"])
    led = backbone.velocity_field(positive, geometry, 3.0, away)(x, 0.5)
    plain = backbone.velocity_field(positive, geometry, 1.0)(x, 0.5)
    # Each token keeps the length of the positive branch; float32.
    torch.testing.assert_close(led.norm(dim=-1), plain.norm(dim=-1), atol=1e-5, rtol=1e-5)
    assert float((led - plain).abs().max()) > 1e-3
