"""What every registered method promises, run on a tiny random FLUX. A new method is tested without a line here.

A method that needs more than ``steps`` to be quick on a tiny model names its parameters in ``QUICK``.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.support.closeness import assert_rounded
from tests.support.tiny_flux import OPERATIONS
from undrift import methods
from undrift.attention.inject import FeatureStore
from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap
from undrift.backbones import Backbone
from undrift.backbones.base import Latent
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.flux_architecture import FLUX_1
from undrift.errors import Cancelled, InputError
from undrift.flow import Observer, Step, StepEnd, Trajectory, integrate
from undrift.methods import value_sharing
from undrift.methods.base import EditMethod, EditRequest, Params
from undrift.methods.registry import all_methods, get

QUICK: Mapping[str, Mapping[str, Any]] = {
    "flowedit": {"steps": 3, "n_max": 2, "n_min": 1},
    "stable_flow": {"steps": 2, "sites": ("double.0", "single.1")},
    "multi_turn": {"steps": 3, "highlight_start": 1, "inversion_gain": 0.5},
    "from_original": {"method": "fireflow", "method_params": {"steps": 3}},
    "revert_unchanged": {"method": "fireflow", "method_params": {"steps": 3}},
    "no_edit": {"round_trip": True},
}
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "methods.md"
NAMES = list(all_methods())
PROMPTS = ("a cat sitting on the grass", "a dog sitting on the grass")
PICTURE = (40, 24)


def quick(name: str) -> EditMethod:
    return get(name, overrides=QUICK.get(name, {"steps": 3}))


RUNNING = [name for name in NAMES if quick(name).cost(FLUX_1).evaluations]


def picture(seed: int, size: tuple[int, int] = PICTURE) -> Image.Image:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (3, 4, 3), generator=generator, dtype=torch.uint8).numpy()
    return Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR)


def request(backbone: Backbone, *seeds: int) -> EditRequest:
    """A first turn on one picture per seed; target prompts differ between the rows."""
    images = [picture(seed) for seed in seeds]
    latent = backbone.encode(images)
    return EditRequest(
        original=latent,
        previous=latent,
        turn=1,
        source_prompts=[PROMPTS[0]] * len(seeds),
        target_prompts=[f"a {'red' if seed % 2 else 'green'} cat sitting on the grass" for seed in seeds],
        words=[None] * len(seeds),
        seeds=seeds,
        original_prompts=[PROMPTS[0]] * len(seeds),
        previous_images=images,
    )


class Watch(Observer):
    """Counts the calls of the network itself, and may cancel at a step or fail at a call.

    Args:
        backbone: whose network.
        stop_at: step of the turn, from 0 through all its passes, at whose begin the turn is cancelled.
        fail_at: call of the network, from 1, that raises.

    Attributes:
        calls: of the network so far.
        spent: ``calls`` at the begin of each step.
        processors: what is installed at each call.
    """

    def __init__(self, backbone: Backbone, stop_at: int = -1, fail_at: int = -1) -> None:
        assert isinstance(backbone, FluxBackbone)
        self._backbone, self._network = backbone, backbone._transformer
        self._stop_at, self._fail_at = stop_at, fail_at
        self.calls = 0
        self.spent: list[int] = []
        self.processors: list[list[object]] = []

    def begin(self, step: Step) -> None:
        if len(self.spent) == self._stop_at:
            raise Cancelled("stopped")
        self.spent.append(self.calls)

    def __enter__(self) -> None:
        self._hook = self._network.register_forward_pre_hook(lambda *_: self._call())

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def _call(self) -> None:
        self.calls += 1
        self.processors.append(processors(self._backbone))
        if self.calls == self._fail_at:
            raise MemoryError("no memory left")


def processors(backbone: Backbone) -> list[object]:
    assert isinstance(backbone, FluxBackbone)
    return list(backbone._transformer.attn_processors.values())


PLACE = re.compile(r"(equations?|algorithm|sections?|Proposition) \d|sections? on|no paper")
FORMULA = re.compile(r"<-|=|<")


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_names_the_paper_the_place_in_it_and_the_equations(name: str) -> None:
    cls = all_methods()[name]
    doc = cls.__doc__ or ""
    _, source = doc.split("Source:")
    assert PLACE.search(source), "say which equation, algorithm or section of the source"
    assert FORMULA.search(doc), "give the equation that makes the method"
    assert set(re.findall(r"\d{4}\.\d{5}", cls.paper)) <= set(re.findall(r"\d{4}\.\d{5}", source))


@pytest.mark.parametrize("name", NAMES)
def test_the_documentation_has_a_section_on_it(name: str) -> None:
    assert f"\n## {name}\n" in DOCUMENTATION.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_presets_are_of_the_method_s_parameters_and_every_field_is_described(name: str) -> None:
    presets = all_methods()[name].presets
    assert {type(params) for params in presets.values()} == {type(presets["default"])}
    fields = type(presets["default"]).model_fields
    assert issubclass(type(presets["default"]), Params)
    assert [key for key, field in fields.items() if not field.description] == []


@pytest.mark.parametrize("name", NAMES)
def test_recorded_parameters_bring_back_the_same_method(name: str) -> None:
    method = quick(name)
    again = get(name, overrides=method.params.model_dump(mode="json"))
    assert again.params == method.params


@pytest.mark.parametrize("name", NAMES)
def test_a_turn_is_deterministic_and_spends_what_it_announced(name: str, tiny_flux: Backbone) -> None:
    method, asked = quick(name), request(tiny_flux, 1)
    before = asked.previous.packed.clone()
    first, second = method.edit(tiny_flux, asked), method.edit(tiny_flux, asked)
    assert torch.equal(first.latent.packed, second.latent.packed)
    assert torch.equal(asked.previous.packed, before)
    cost = method.cost(tiny_flux)
    assert (first.evaluations, first.sample_evaluations) == (cost.evaluations, cost.sample_evaluations)


@pytest.mark.parametrize("name", NAMES)
def test_pictures_need_not_be_square(name: str, tiny_flux: Backbone) -> None:
    asked = request(tiny_flux, 1)
    result = quick(name).edit(tiny_flux, asked)
    geometry = result.latent.geometry
    assert (geometry.rows, geometry.columns) == (3, 5)
    assert result.latent.packed.shape == asked.previous.packed.shape
    assert bool(result.latent.packed.isfinite().all())
    assert tiny_flux.decode(result.latent)[0].size == PICTURE
    if result.mask is not None:
        assert result.mask.shape == (1, 3, 5)
        assert 0.0 <= float(result.mask.min()) <= float(result.mask.max()) <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_gives_what_its_rows_give_singly(name: str, tiny_flux: Backbone) -> None:
    method = quick(name)
    both = method.edit(tiny_flux, request(tiny_flux, 1, 2))
    singly = [method.edit(tiny_flux, request(tiny_flux, seed)).latent.packed for seed in (1, 2)]
    operations = max(1, both.evaluations) * OPERATIONS
    assert_rounded(both.latent.packed, torch.cat(singly), operations)


@pytest.mark.parametrize("name", NAMES)
def test_the_next_turn_takes_the_latent_or_the_picture(name: str, tiny_flux: Backbone) -> None:
    method, first = quick(name), request(tiny_flux, 1)
    result = method.edit(tiny_flux, first)
    images = list(result.images or tiny_flux.decode(result.latent))
    for handed in (result.latent, tiny_flux.encode(images)):
        later = replace(
            first,
            previous=handed,
            turn=2,
            source_prompts=first.target_prompts,
            target_prompts=["a blue cat in the snow"],
            previous_images=images,
        )
        following = method.edit(tiny_flux, later)
        assert following.latent.geometry == first.original.geometry
        assert bool(following.latent.packed.isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_makes_another_picture_where_the_method_draws_noise(name: str, tiny_flux: Backbone) -> None:
    method, asked = quick(name), request(tiny_flux, 1)
    first, other = method.edit(tiny_flux, asked), method.edit(tiny_flux, replace(asked, seeds=[2]))
    assert torch.equal(first.latent.packed, other.latent.packed) != method.draws_noise()


@pytest.mark.parametrize("name", NAMES)
def test_words_matter_where_the_method_says_so(name: str, tiny_flux: Backbone) -> None:
    method, asked = quick(name), request(tiny_flux, 1)
    first, other = method.edit(tiny_flux, asked), method.edit(tiny_flux, replace(asked, words=[()]))
    assert torch.equal(first.latent.packed, other.latent.packed) != method.steered_by_words()


@pytest.mark.parametrize("name", NAMES)
def test_a_chain_goes_on_from_the_turn_before_and_a_fresh_start_does_not(name: str, tiny_flux: Backbone) -> None:
    method, first = quick(name), request(tiny_flux, 1)
    elsewhere = tiny_flux.encode([picture(3)])
    later = replace(first, turn=2, source_prompts=first.target_prompts, target_prompts=["a blue cat in the snow"])
    here = method.edit(tiny_flux, replace(later, previous_images=()))
    there = method.edit(tiny_flux, replace(later, previous=elsewhere, previous_images=()))
    assert torch.equal(here.latent.packed, there.latent.packed) == (name == "from_original")


@pytest.mark.parametrize("name", RUNNING)
def test_cancelling_ends_the_turn_before_the_next_evaluation_and_leaves_no_tap(
    name: str, tiny_flux: Backbone
) -> None:
    method, asked, stock = quick(name), request(tiny_flux, 1), processors(tiny_flux)
    watch = Watch(tiny_flux)
    with watch:
        method.edit(tiny_flux, asked, [watch])
    assert watch.calls == method.cost(tiny_flux).evaluations
    for step, spent in enumerate(watch.spent):
        stopped = Watch(tiny_flux, stop_at=step)
        with stopped, pytest.raises(Cancelled):
            method.edit(tiny_flux, asked, [stopped])
        assert stopped.calls == spent
        assert processors(tiny_flux) == stock


@pytest.mark.parametrize("name", RUNNING)
def test_a_network_that_fails_leaves_no_tap(name: str, tiny_flux: Backbone) -> None:
    method, asked, stock = quick(name), request(tiny_flux, 1), processors(tiny_flux)
    for call in (1, method.cost(tiny_flux).evaluations):
        with Watch(tiny_flux, fail_at=call), pytest.raises(MemoryError):
            method.edit(tiny_flux, asked)
        assert processors(tiny_flux) == stock


class Alongside(AttentionTap):
    """Hears the steps, and notes the number of evaluations within each and of those outside of any."""

    def __init__(self) -> None:
        self.within: list[int] = []
        self.outside = 0
        self._open = False

    def begin(self, step: Step) -> None:
        assert not self._open, "a step begins before the one before it has ended"
        self._open = True
        self.within.append(0)

    def end(self, event: StepEnd) -> None:
        self._open = False

    def evaluation(self, sigma: float) -> None:
        if self._open:
            self.within[-1] += 1
        else:
            self.outside += 1


@pytest.mark.parametrize("name", RUNNING)
def test_a_tap_installed_around_a_turn_hears_every_step_of_it_once(name: str, tiny_flux: Backbone) -> None:
    method, tap, watch = quick(name), Alongside(), Watch(tiny_flux)
    with tiny_flux.tapped(tap):
        method.edit(tiny_flux, request(tiny_flux, 1), [watch])
    assert len(tap.within) == len(watch.spent)
    assert (sum(tap.within), tap.outside) == (method.cost(tiny_flux).evaluations, 0)
    assert min(tap.within) > 0


@pytest.mark.parametrize("name", ["fireflow", "multi_turn", "rf_solver", "stable_flow"])
def test_the_methods_that_look_into_attention_do_so_in_these_tests(name: str, tiny_flux: Backbone) -> None:
    watch, stock = Watch(tiny_flux), processors(tiny_flux)
    with watch:
        quick(name).edit(tiny_flux, request(tiny_flux, 1), [watch])
    assert any(seen != stock for seen in watch.processors)


@pytest.mark.parametrize("name", NAMES)
def test_features_kept_are_counted_and_grow_with_the_picture(name: str) -> None:
    method = get(name)
    small, large = (method.cost(FLUX_1, (side, side)).feature_bytes for side in (512, 1024))
    assert 0 <= small <= large < 64e9


@pytest.mark.parametrize("name", NAMES)
def test_the_states_kept_are_those_that_a_turn_records(
    name: str, tiny_flux: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = []

    def spied(*arguments: Any, **named: Any) -> Trajectory:
        run = integrate(*arguments, **named)
        recorded.append(len(run.states))
        return run

    for module in pkgutil.iter_modules(methods.__path__, f"{methods.__name__}."):
        monkeypatch.setattr(f"{module.name}.integrate", spied, raising=False)
    method = quick(name)
    method.edit(tiny_flux, request(tiny_flux, 1))
    assert sum(recorded) == method.cost(tiny_flux).kept_states
    assert len(recorded) == (0 if name == "no_edit" else 2)


@pytest.mark.parametrize("name", ["fireflow", "rf_solver"])
@pytest.mark.parametrize("memory_gb", [8.0, 0.0])
def test_the_bytes_of_features_are_those_that_a_turn_stores_and_the_budget_moves_them_away(
    name: str, memory_gb: float, tiny_flux: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = []

    class Spied(FeatureStore):
        def __init__(self, budget_bytes: int | None = None) -> None:
            super().__init__(budget_bytes)
            stores.append(self)

    monkeypatch.setattr(value_sharing, "FeatureStore", Spied)
    asked = request(tiny_flux, 1)
    blocks = len(tiny_flux.capabilities.sharing_sites)
    method = get(name, overrides={"steps": 3, "inject_steps": 2, "shared_blocks": blocks, "memory_gb": memory_gb})
    result = method.edit(tiny_flux, asked)
    announced = method.cost(tiny_flux, PICTURE).feature_bytes
    assert sum(tensor.nbytes for tensor in stores[0]._features.values()) == announced > 0
    assert stores[0].device_bytes == (announced if memory_gb else 0)
    unbounded = get(name, overrides={**method.params.model_dump(), "memory_gb": 8.0}).edit(tiny_flux, asked)
    assert torch.equal(result.latent.packed, unbounded.latent.packed)


def test_vital_layers_come_from_the_backbone(tiny_flux: Backbone) -> None:
    asked = request(tiny_flux, 1)
    with pytest.raises(InputError, match="vital layers are unknown"):
        get("stable_flow").edit(tiny_flux, asked)
    with pytest.raises(InputError, match=r"no layer 'double.9', this model has double.0 to single.1"):
        get("stable_flow", overrides={"sites": ("double.9",), "steps": 1}).edit(tiny_flux, asked)
    assert Site("double", 0) in tiny_flux.sites


def test_an_unchanged_latent_object_is_what_no_edit_returns(tiny_flux: Backbone) -> None:
    asked = request(tiny_flux, 1)
    result: Latent = get("no_edit").edit(tiny_flux, asked).latent
    assert result is asked.previous
