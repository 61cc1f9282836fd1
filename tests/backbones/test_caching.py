"""Step caches: exact where nothing is left out, one memory per field and integration, whole where a tap looks on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support import tiny_flux
from tests.support.tiny_pipelines import saved
from tests.support.toy import toy_picture
from undrift.attention import MapCapture, TextColumns
from undrift.backbones import Backbone, from_pipeline, load
from undrift.backbones.caching import KINDS, UNFIT, Cache
from undrift.backbones.memory import VelocityMemory
from undrift.cli.options import ModelChoice
from undrift.cli.placement import recorded
from undrift.errors import Cancelled, InputError, ModelError
from undrift.flow import Euler, Observer, Step, integrate
from undrift.methods.base import EditRequest
from undrift.methods.registry import get
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.script import commands, python_script

STEPS = 5
EVERYTHING = "first_block:1"
"""A threshold that no difference of these tiny networks exceeds: only the first evaluation is whole."""


class Whole:
    """Counts the evaluations that reached a network's last block."""

    def __init__(self, backbone: Any) -> None:
        self.count = 0
        *_, last = backbone._layers.values()
        linear = next(part for part in last.modules() if isinstance(part, torch.nn.Linear))
        linear.register_forward_hook(self._reached)

    def _reached(self, *_: object) -> None:
        self.count += 1


def request(backbone: Backbone) -> EditRequest:
    latent = backbone.encode([toy_picture(48, 40)])
    return EditRequest(
        original=latent,
        previous=latent,
        turn=1,
        source_prompts=["a red cat"],
        target_prompts=["a blue dog in the field"],
        words=[None],
        seeds=[3],
        previous_images=[toy_picture(48, 40)],
    )


def sampled(backbone: Backbone, guidance: float = 3.5) -> Tensor:
    """The end of a short integration of one prompt."""
    latent = backbone.encode([toy_picture(48, 40)])
    field = backbone.velocity_field(backbone.embed(["a red cat"]), latent.geometry, guidance)
    start = torch.randn(latent.packed.shape, generator=torch.Generator().manual_seed(1))
    with backbone.turning():
        return integrate(field, Euler(), start, backbone.sigmas(STEPS, latent.geometry)).final


def test_a_cache_that_leaves_nothing_out_changes_no_bit(tiny_flux: Backbone, tiny_flux_folder: Path) -> None:
    cached = load(str(tiny_flux_folder), device="cpu", cache="first_block:0")
    reached = Whole(cached)
    assert torch.equal(sampled(cached), sampled(tiny_flux))
    assert reached.count == STEPS


def test_an_evaluation_that_resembles_the_last_leaves_the_later_blocks_out(
    tiny_flux: Backbone, tiny_flux_folder: Path
) -> None:
    cached = load(str(tiny_flux_folder), device="cpu", cache=EVERYTHING)
    reached = Whole(cached)
    made = sampled(cached)
    assert reached.count == 1
    assert not torch.equal(made, sampled(tiny_flux))
    assert torch.equal(sampled(cached), made), "an integration remembers nothing of the one before"
    assert reached.count == 2
    assert cached.counter.evaluations == 2 * STEPS, "what is left out is counted: it was asked for"


def test_source_and_target_have_a_memory_of_their_own(tiny_flux_folder: Path) -> None:
    cached = load(str(tiny_flux_folder), device="cpu", cache=EVERYTHING)
    reached, latent = Whole(cached), cached.encode([toy_picture(48, 40)])
    source, target = (
        cached.velocity_field(cached.embed([words]), latent.geometry, 3.5)
        for words in ("a red cat", "a blue dog in the field")
    )

    def difference(x: Tensor, sigma: float) -> Tensor:
        return target(x, sigma) - source(x, sigma)

    with cached.turning():
        integrate(difference, Euler(), latent.packed, cached.sigmas(STEPS, latent.geometry))
    assert reached.count == 2


def test_both_branches_of_guidance_have_a_memory_of_their_own(tmp_path: Path) -> None:
    folder = str(saved("qwen_image", tmp_path / "qwen"))
    cached = load(folder, device="cpu", cache=EVERYTHING)
    reached = Whole(cached)
    sampled(cached)
    assert reached.count == 2
    assert torch.equal(
        sampled(load(folder, device="cpu", cache="first_block:0")), sampled(load(folder, device="cpu"))
    )


def test_what_a_tap_looks_at_is_computed_whole(tiny_flux: Backbone, tiny_flux_folder: Path) -> None:
    cached = load(str(tiny_flux_folder), device="cpu", cache=EVERYTHING)
    ends = []
    for backbone in (tiny_flux, cached):
        tap = MapCapture(TextColumns.of([[1]]), backbone.capabilities.map_sites)
        with backbone.tapped(tap):
            ends.append((sampled(backbone), tap.maps))
    assert all(torch.equal(*pair) for pair in zip(*ends, strict=True))


def test_outside_of_a_turn_every_evaluation_is_whole(tiny_flux: Backbone, tiny_flux_folder: Path) -> None:
    cached = load(str(tiny_flux_folder), device="cpu", cache=EVERYTHING)
    x = cached.encode([toy_picture(48, 40)])
    values = [
        backbone.velocity_field(backbone.embed(["a red cat"]), x.geometry, 3.5)(x.packed + shift, 0.5)
        for shift in (0.0, 0.01)
        for backbone in (tiny_flux, cached)
    ]
    assert torch.equal(values[0], values[1])
    assert torch.equal(values[2], values[3])


class Stops(Observer):
    def begin(self, step: Step) -> None:
        if step.index == 2:
            raise Cancelled("stopped")


def test_a_turn_that_was_cancelled_leaves_nothing_behind(tiny_flux_folder: Path) -> None:
    cached = load(str(tiny_flux_folder), device="cpu", cache=EVERYTHING)
    method, asked = get("fireflow", overrides={"steps": STEPS}), request(cached)
    expected = method.edit(cached, asked).latent.packed
    with pytest.raises(Cancelled):
        method.edit(cached, asked, [Stops()])
    assert torch.equal(method.edit(cached, asked).latent.packed, expected)


def test_taylorseer_computes_one_attention_in_so_many(tiny_flux: Backbone, tiny_flux_folder: Path) -> None:
    cached = load(str(tiny_flux_folder), device="cpu", cache="taylorseer:2")
    reached = Whole(cached)
    made = sampled(cached)
    assert 2 < reached.count < STEPS
    assert not torch.equal(made, sampled(tiny_flux))


def test_velocities_under_a_cache_are_not_shared_between_methods(tiny_flux_folder: Path) -> None:
    cached = load(str(tiny_flux_folder), device="cpu", cache=EVERYTHING)
    cached.memory = VelocityMemory()
    assert torch.equal(sampled(cached), sampled(cached))
    assert (cached.counter.remembered, cached.memory.held) == (0, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("teacache", "cache is 'teacache', expected one of: none, first_block, taylorseer"),
        ("mag_cache:0.1", "cache is 'mag_cache:0.1', which is diffusers' and not taken: its curve of magnitudes"),
        (
            "first_block:2",
            "cache is 'first_block:2', expected first_block:0 to first_block:1, how far the first block",
        ),
        ("first_block:", "cache is 'first_block:', expected first_block:0 to"),
        ("taylorseer:nan", "cache is 'taylorseer:nan', expected taylorseer:2 to taylorseer:100, every how many"),
    ],
)
def test_what_is_no_cache_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Cache.parse(text)


def test_a_cache_is_written_as_it_is_read() -> None:
    assert Cache.parse("none") is None
    for text in ("first_block:0.05", "taylorseer:3"):
        assert str(Cache.parse(text)) == str(Cache.parse(text.partition(":")[0])) == text


@pytest.mark.slow
def test_models_that_diffusers_has_no_cache_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"diffusers has no step cache for .*, a SD3Transformer2DModel: leave out --cache"
    ):
        load(str(saved("sd3", tmp_path / "sd3")), device="cpu", cache="first_block")
    with pytest.raises(
        ModelError, match=r"first_block does not know how blocks follow in .*: use --cache taylorseer"
    ):
        load(str(saved("flux2", tmp_path / "flux2")), device="cpu", cache="first_block")
    assert sampled(load(str(tmp_path / "flux2"), device="cpu", cache="taylorseer:2")).isfinite().all()
    pipe = tiny_flux.pipeline()
    pipe.transformer.enable_cache(Cache("first_block", 0.1).config())
    with pytest.raises(ModelError, match=r"the network of mine has a step cache: call its disable_cache\(\) first"):
        from_pipeline(pipe, name="mine")


def test_a_cache_and_compiled_blocks_are_refused(tiny_flux_folder: Path) -> None:
    message = r"cache=first_block:0\.05 and compile=True do not go together: leave one of them out"
    with pytest.raises(ModelError, match=message):
        load(str(tiny_flux_folder), device="cpu", cache="first_block", compile=True)


def test_a_turn_records_its_cache_and_is_made_again_with_it(tiny_flux_folder: Path, tmp_path: Path) -> None:
    backbone = load(str(tiny_flux_folder), device="cpu", cache="first_block:0.2")
    session = start_session(tmp_path / "s", toy_picture(40, 24), "a cat", backbone)
    method = get("fireflow", overrides={"steps": 2})
    turn = run_turn(session, backbone, method, EditPlan("a dog", seed=1))
    assert turn.spec is not None
    assert turn.spec.options == ("cache=first_block:0.2",)
    (command,) = commands(session, turn)
    assert "--cache first_block:0.2" in command
    assert "'cache': 'first_block:0.2'" in python_script(session, turn)
    assert ModelChoice(None, None, None, None, None).settled(recorded(turn.spec)).held["cache"] == "first_block:0.2"


def test_every_cache_of_diffusers_is_taken_or_refused_by_name() -> None:
    import diffusers.hooks

    theirs = {name for name in dir(diffusers.hooks) if name.startswith("apply_") and name.endswith("_cache")}
    taken = {f"apply_{name}_cache" for name in KINDS}
    assert taken < theirs
    refused = {name.removeprefix("apply_") for name in theirs - taken} | {"pyramid_attention_broadcast"}
    assert refused == UNFIT.keys()
