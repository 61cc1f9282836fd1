"""What every registered method promises, run on a tiny random FLUX and on a model with none of FLUX's conventions.

A new method is tested without a line here.

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

from tests.support import tiny_flux, tiny_sd
from tests.support.closeness import assert_rounded
from tests.support.small_joint import SmallJoint, small_joint
from undrift import methods
from undrift.attention.inject import FeatureStore
from undrift.attention.taps import AttentionTap
from undrift.backbones import Backbone
from undrift.backbones.base import Latent
from undrift.backbones.flux_architecture import FLUX_1
from undrift.backbones.sd1 import StableDiffusionBackbone
from undrift.errors import Cancelled, InputError
from undrift.flow import Observer, Step, StepEnd, Trajectory, integrate
from undrift.methods import value_sharing
from undrift.methods.base import EditMethod, EditRequest, Params
from undrift.methods.registry import all_methods, get

QUICK: dict[str, Mapping[str, Any]] = {
    "flowedit": {"steps": 3, "n_max": 2, "n_min": 1},
    "dec_flowedit": {"steps": 3, "n_max": 2, "map_steps": 2},
    "stable_flow": {"steps": 2, "sites": ("double.0", "single.1")},
    # Every change counts: a random network makes hardly any.
    # The latent of a new picture of 8 bits is a level off where rounding is: see tests/methods/test_undrift.py.
    "undrift": {"steps": 3, "map_steps": 2, "weak": 0.0, "strong": 0.0, "anew": False},
    "multi_turn": {"steps": 3, "highlight_start": 1, "inversion_gain": 0.5},
    "from_original": {"method": "fireflow", "method_params": {"steps": 3}},
    "revert_unchanged": {"method": "fireflow", "method_params": {"steps": 3}},
    "no_edit": {"round_trip": True},
}
BESIDE: Mapping[str, Any] = {"steps": 3, "guidance": 2.0, "cross_share": 0.7, "self_share": 0.7}
# A random network's maps are nearly flat.
BLENDED: Mapping[str, Any] = {**BESIDE, "blend_threshold": 0.97, "blend_start": 0.4}
QUICK |= {
    "ddim": {"steps": 3, "guidance": 2.0},
    "p2p": BLENDED,
    "null_text": {**BLENDED, "inner_steps": 2, "stop_below": 0.0},
    "pnp_inversion": BLENDED,
    "masactrl": {"steps": 3, "guidance": 2.0, "start_step": 1, "layers": 0.3},
}
OF_PICTURES = {"no_edit", "revert_unchanged"}
"""As they run here, the latent is that of a new picture of 8 bits."""
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "methods.md"
NAMES = [name for name, method in all_methods().items() if not method.follows_instructions]
"""Methods that edit by a model of their own are held to these promises in tests of their own."""
PROMPTS = ("a cat sitting on the grass", "a dog sitting on the grass")
PICTURE = (40, 24)


def quick(name: str, backbone: Backbone | None = None) -> EditMethod:
    """A method that is quick on ``backbone``; without one, on a FLUX of a few blocks."""
    given = dict(QUICK.get(name, {"steps": 3}))
    if backbone is not None and "sites" in given:
        given["sites"] = (str(backbone.sites[0]), str(backbone.sites[-1]))
    return get(name, overrides=given)


def fitting(name: str, backbone: Backbone) -> EditMethod:
    """``quick``, skipped on a model that it is not made for, once it has said so."""
    method = quick(name, backbone)
    refusal = ""
    try:
        method.check(backbone)
    except InputError as error:
        refusal = str(error)
    if refusal:
        assert "\n" not in refusal
        assert backbone.identity.name in refusal
        pytest.skip(refusal)
    return method


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
        rows: of the batches of all calls.
        spent: ``calls`` at the begin of each step.
        processors: what is installed at each call.
    """

    def __init__(self, backbone: Backbone, stop_at: int = -1, fail_at: int = -1) -> None:
        self._backbone, self._network = backbone, network_of(backbone)
        self._stop_at, self._fail_at = stop_at, fail_at
        self.calls, self.rows = 0, 0
        self.spent: list[int] = []
        self.processors: list[list[object]] = []

    def begin(self, step: Step) -> None:
        if len(self.spent) == self._stop_at:
            raise Cancelled("stopped")
        self.spent.append(self.calls)

    def __enter__(self) -> None:
        self._hook = self._network.register_forward_pre_hook(lambda _, given: self._call(given[0].shape[0]))

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def _call(self, rows: int) -> None:
        self.calls += 1
        self.rows += rows
        self.processors.append(processors(self._backbone))
        if self.calls == self._fail_at:
            raise MemoryError("no memory left")


def operations(backbone: Backbone) -> int:
    """Roundings of an evaluation."""
    return tiny_sd.OPERATIONS if isinstance(backbone, StableDiffusionBackbone) else tiny_flux.OPERATIONS


def network_of(backbone: Backbone) -> Any:
    return backbone._network  # type: ignore[attr-defined]


def processors(backbone: Backbone) -> list[object]:
    return [layer.processor for layer in backbone._layers.values()]  # type: ignore[attr-defined]


PLACE = re.compile(r"(equations?|algorithm|sections?|Proposition) \d|sections? on|no paper")
FORMULA = re.compile(r"<-|=|<")


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_names_the_paper_the_place_in_it_and_the_equations(name: str) -> None:
    cls = all_methods()[name]
    doc = cls.__doc__ or ""
    _, source = doc.split("Source:")
    assert PLACE.search(source), "say which equation, algorithm or section of the original"
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
def test_a_turn_is_deterministic_and_spends_what_it_announced(name: str, backbone: Backbone) -> None:
    method, asked = fitting(name, backbone), request(backbone, 1)
    before = asked.previous.packed.clone()
    watch = Watch(backbone)
    with watch:
        first = method.edit(backbone, asked)
    second = method.edit(backbone, asked)
    assert torch.equal(first.latent.packed, second.latent.packed)
    assert torch.equal(asked.previous.packed, before)
    cost = method.cost(backbone)
    assert (first.evaluations, first.sample_evaluations) == (cost.evaluations, cost.sample_evaluations)
    assert first.backward_passes == cost.backward_passes
    assert (watch.calls, watch.rows) == (cost.evaluations, cost.sample_evaluations), "the network saw something else"


@pytest.mark.parametrize("name", NAMES)
def test_pictures_need_not_be_square(name: str, backbone: Backbone) -> None:
    asked = request(backbone, 1)
    result = fitting(name, backbone).edit(backbone, asked)
    geometry = result.latent.geometry
    assert geometry == backbone.geometry(PICTURE)
    assert geometry.rows != geometry.columns or geometry.height != geometry.width
    assert result.latent.packed.shape == asked.previous.packed.shape
    assert bool(result.latent.packed.isfinite().all())
    assert backbone.decode(result.latent)[0].size == PICTURE
    if result.mask is not None:
        assert result.mask.shape == (1, geometry.rows, geometry.columns)
        assert 0.0 <= float(result.mask.min()) <= float(result.mask.max()) <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_gives_what_its_rows_give_singly(name: str, backbone: Backbone) -> None:
    method = fitting(name, backbone)
    both = method.edit(backbone, request(backbone, 1, 2))
    singly = torch.cat([method.edit(backbone, request(backbone, seed)).latent.packed for seed in (1, 2)])
    assert both.evaluations == method.cost(backbone).evaluations, "as many as a picture alone"
    if name in OF_PICTURES and not torch.equal(both.latent.packed, singly):
        # A pixel that rounds to the next level moves its token by what levels do; four, for their signs may add up.
        assert float((both.latent.packed - singly).abs().max()) <= 4 * level(backbone, both.latent)
        return
    assert_rounded(both.latent.packed, singly, max(1, both.evaluations) * operations(backbone))


def level(backbone: Backbone, latent: Latent) -> float:
    """The most that a latent moves when every pixel of its picture gets lighter by one of 255."""
    pictures = backbone.decode(latent)
    lighter = [picture.point(lambda value: min(255, value + 1)) for picture in pictures]
    return float((backbone.encode(lighter).packed - backbone.encode(pictures).packed).abs().max())


@pytest.mark.parametrize("name", NAMES)
def test_the_next_turn_takes_the_latent_or_the_picture(name: str, backbone: Backbone) -> None:
    method, first = fitting(name, backbone), request(backbone, 1)
    result = method.edit(backbone, first)
    images = list(result.images or backbone.decode(result.latent))
    for handed in (result.latent, backbone.encode(images)):
        later = replace(
            first,
            previous=handed,
            turn=2,
            source_prompts=first.target_prompts,
            target_prompts=["a blue cat in the snow"],
            previous_images=images,
        )
        following = method.edit(backbone, later)
        assert following.latent.geometry == first.original.geometry
        assert bool(following.latent.packed.isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_makes_another_picture_where_the_method_draws_noise(name: str, backbone: Backbone) -> None:
    method, asked = fitting(name, backbone), request(backbone, 1)
    first, other = method.edit(backbone, asked), method.edit(backbone, replace(asked, seeds=[2]))
    assert torch.equal(first.latent.packed, other.latent.packed) != method.draws_noise()


@pytest.mark.parametrize("name", NAMES)
def test_words_matter_where_the_method_says_so(name: str, backbone: Backbone) -> None:
    method, asked = fitting(name, backbone), request(backbone, 1)
    first, other = method.edit(backbone, asked), method.edit(backbone, replace(asked, words=[()]))
    assert torch.equal(first.latent.packed, other.latent.packed) != method.steered_by_words()


@pytest.mark.parametrize("name", NAMES)
def test_a_chain_goes_on_from_the_turn_before_and_a_fresh_start_does_not(name: str, backbone: Backbone) -> None:
    method, first = fitting(name, backbone), request(backbone, 1)
    elsewhere = backbone.encode([picture(3)])
    later = replace(first, turn=2, source_prompts=first.target_prompts, target_prompts=["a blue cat in the snow"])
    here = method.edit(backbone, replace(later, previous_images=()))
    there = method.edit(backbone, replace(later, previous=elsewhere, previous_images=()))
    fresh = name == "from_original" or method.redraws
    assert torch.equal(here.latent.packed, there.latent.packed) == fresh


@pytest.mark.parametrize("name", RUNNING)
def test_cancelling_ends_the_turn_before_the_next_evaluation_and_leaves_no_tap(name: str, backbone: Backbone) -> None:
    method, asked, stock = fitting(name, backbone), request(backbone, 1), processors(backbone)
    watch = Watch(backbone)
    with watch:
        method.edit(backbone, asked, [watch])
    assert watch.calls == method.cost(backbone).evaluations
    for step, spent in enumerate(watch.spent):
        stopped = Watch(backbone, stop_at=step)
        with stopped, pytest.raises(Cancelled):
            method.edit(backbone, asked, [stopped])
        assert stopped.calls == spent
        assert processors(backbone) == stock


@pytest.mark.parametrize("name", RUNNING)
def test_a_network_that_fails_leaves_no_tap(name: str, backbone: Backbone) -> None:
    method, asked, stock = fitting(name, backbone), request(backbone, 1), processors(backbone)
    for call in (1, method.cost(backbone).evaluations):
        with Watch(backbone, fail_at=call), pytest.raises(MemoryError):
            method.edit(backbone, asked)
        assert processors(backbone) == stock


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
def test_a_tap_installed_around_a_turn_hears_every_step_of_it_once(name: str, backbone: Backbone) -> None:
    method, tap, watch = fitting(name, backbone), Alongside(), Watch(backbone)
    with backbone.tapped(tap):
        method.edit(backbone, request(backbone, 1), [watch])
    assert len(tap.within) == len(watch.spent)
    # Of guidance by two evaluations a tap hears the positive branch alone.
    heard = method.cost(Once(backbone)).evaluations
    assert (sum(tap.within), tap.outside) == (heard, 0)
    assert min(tap.within) > 0


class Once:
    """A model's shape if each of its velocities took one evaluation."""

    def __init__(self, backbone: Backbone) -> None:
        self.capabilities = replace(backbone.capabilities, guidance="none")
        self.geometry = backbone.geometry
        self.feature_bytes, self.state_bytes = backbone.feature_bytes, backbone.state_bytes


@pytest.mark.parametrize("name", ["direct_edit", "fireflow", "multi_turn", "rf_solver", "stable_flow"])
def test_the_methods_that_look_into_attention_do_so_in_these_tests(name: str, backbone: Backbone) -> None:
    watch, stock = Watch(backbone), processors(backbone)
    with watch:
        fitting(name, backbone).edit(backbone, request(backbone, 1), [watch])
    assert any(seen != stock for seen in watch.processors)


@pytest.mark.parametrize("name", NAMES)
def test_features_kept_are_counted_and_grow_with_the_picture(name: str) -> None:
    method = get(name)
    small, large = (method.cost(FLUX_1, (side, side)).feature_bytes for side in (512, 1024))
    assert 0 <= small <= large < 64e9


@pytest.mark.parametrize("name", NAMES)
def test_the_states_kept_are_those_that_a_turn_records(
    name: str, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = []

    def spied(*arguments: Any, **named: Any) -> Trajectory:
        run = integrate(*arguments, **named)
        recorded.append(len(run.states))
        return run

    for module in pkgutil.iter_modules(methods.__path__, f"{methods.__name__}."):
        monkeypatch.setattr(f"{module.name}.integrate", spied, raising=False)
    method = fitting(name, backbone)
    method.edit(backbone, request(backbone, 1))
    assert sum(recorded) == method.cost(backbone).kept_states
    assert len(recorded) == {"no_edit": 0, "flow_align": 1, "repaint": 1, "null_text": 3}.get(name, 2)


@pytest.mark.parametrize("name", ["direct_edit", "fireflow", "rf_solver"])
@pytest.mark.parametrize("memory_gb", [8.0, 0.0])
def test_the_bytes_of_features_are_those_that_a_turn_stores_and_the_budget_moves_them_away(
    name: str, memory_gb: float, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = []

    class Spied(FeatureStore):
        def __init__(self, budget_bytes: int | None = None) -> None:
            super().__init__(budget_bytes)
            stores.append(self)

    monkeypatch.setattr(value_sharing, "FeatureStore", Spied)
    asked = request(backbone, 1)
    blocks = len(backbone.capabilities.sharing_sites)
    method = get(name, overrides={"steps": 3, "inject_steps": 2, "shared_blocks": blocks, "memory_gb": memory_gb})
    result = method.edit(backbone, asked)
    announced = method.cost(backbone, PICTURE).feature_bytes
    assert sum(tensor.nbytes for tensor in stores[0]._features.values()) == announced > 0
    assert stores[0].device_bytes == (announced if memory_gb else 0)
    unbounded = get(name, overrides={**method.params.model_dump(), "memory_gb": 8.0}).edit(backbone, asked)
    assert torch.equal(result.latent.packed, unbounded.latent.packed)


def test_vital_layers_come_from_the_backbone(backbone: Backbone) -> None:
    asked = request(backbone, 1)
    first, last = backbone.sites[0], backbone.sites[-1]
    with pytest.raises(InputError, match=r"needs layers known to be vital and .* has none: name layers with"):
        get("stable_flow").edit(backbone, asked)
    with pytest.raises(InputError, match=f"no layer 'double.9', this model has {first} to {last}"):
        get("stable_flow", overrides={"sites": ("double.9",), "steps": 1}).edit(backbone, asked)


def test_an_unchanged_latent_object_is_what_no_edit_returns(backbone: Backbone) -> None:
    asked = request(backbone, 1)
    result: Latent = get("no_edit").edit(backbone, asked).latent
    assert result is asked.previous


@pytest.mark.parametrize("name", NAMES)
def test_a_method_that_needs_layers_says_so_before_it_starts_and_never_does_nothing(name: str) -> None:
    """On a model whose layers make no maps and share no features, each method runs whole or names what is missing."""
    bare, method = SmallJoint(maps=False, sharing=False), quick(name, small_joint())
    if not method.needs():
        assert method.edit(bare, request(bare, 1)).evaluations == method.cost(bare).evaluations
        return
    watch = Watch(bare)
    with (
        watch,
        pytest.raises(
            InputError, match=r"^method '\w+' needs layers (that|in which) .* and small-joint has none: set \w+="
        ),
    ):
        method.edit(bare, request(bare, 1))
    assert watch.calls == bare.counter.evaluations == 0


def test_what_is_needed_follows_the_parameters() -> None:
    assert get("multi_turn", overrides={"highlight": False}).needs() == ()
    assert get("fireflow", overrides={"inject_steps": 0}).needs() == ()
    inside = {"method": "fireflow", "method_params": {"steps": 3}}
    assert get("from_original", overrides=inside).needs() == get("fireflow").needs() != ()
