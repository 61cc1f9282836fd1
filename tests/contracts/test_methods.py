"""What every registered method promises, run on a tiny random FLUX. A new method is tested without a line here.

A method that needs more than ``steps`` to be quick on a tiny model names its parameters in ``QUICK``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from undrift.attention.sites import Site
from undrift.backbones import Backbone
from undrift.backbones.base import Latent
from undrift.backbones.flux import FluxBackbone
from undrift.errors import Cancelled, InputError
from undrift.flow import Observer, Step, StepEnd
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


class StopAt(Observer):
    """Cancels at the ``count``-th call of ``begin`` or, with ``ends``, of ``end``."""

    def __init__(self, count: int, ends: bool = False) -> None:
        self._left = count
        self._ends = ends
        self.seen = 0

    def begin(self, step: Step) -> None:
        self._count(not self._ends)

    def end(self, event: StepEnd) -> None:
        self.seen = event.evaluations
        self._count(self._ends)

    def _count(self, counts: bool) -> None:
        self._left -= counts
        if counts and self._left == 0:
            raise Cancelled("stopped")


def processors(backbone: Backbone) -> list[object]:
    assert isinstance(backbone, FluxBackbone)
    return list(backbone._transformer.attn_processors.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_names_the_source_and_its_equations(name: str) -> None:
    cls = all_methods()[name]
    doc = cls.__doc__ or ""
    assert "Source:" in doc
    assert re.search(r"equation|algorithm|section|no paper", doc)
    assert set(re.findall(r"\d{4}\.\d{5}", cls.paper)) <= set(re.findall(r"\d{4}\.\d{5}", doc))


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
    assert first.evaluations == method.evaluations()
    assert first.sample_evaluations >= first.evaluations


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
    together = method.edit(tiny_flux, request(tiny_flux, 1, 2)).latent.packed
    singly = [method.edit(tiny_flux, request(tiny_flux, seed)).latent.packed for seed in (1, 2)]
    torch.testing.assert_close(together, torch.cat(singly), atol=2e-4, rtol=0)


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


@pytest.mark.parametrize("name", [name for name in NAMES if quick(name).evaluations()])
def test_cancelling_at_a_step_ends_the_turn_there_and_leaves_no_tap(name: str, tiny_flux: Backbone) -> None:
    method, asked, stock = quick(name), request(tiny_flux, 1), processors(tiny_flux)
    steps = _steps(method, tiny_flux, asked)
    for stop in (StopAt(1), StopAt(steps), StopAt(steps, ends=True)):
        with pytest.raises(Cancelled):
            method.edit(tiny_flux, asked, [stop])
        assert processors(tiny_flux) == stock
        assert stop.seen <= method.evaluations()


@pytest.mark.parametrize("name", NAMES)
def test_features_kept_are_counted_and_grow_with_the_picture(name: str) -> None:
    method = get(name)
    small, large = method.feature_bytes(512 + 1024), method.feature_bytes(512 + 4096)
    assert 0 <= small <= large < 64e9


def test_vital_layers_come_from_the_backbone(tiny_flux: Backbone) -> None:
    asked = request(tiny_flux, 1)
    with pytest.raises(InputError, match="vital layers are unknown"):
        get("stable_flow").edit(tiny_flux, asked)
    with pytest.raises(InputError, match=r"no layer 'double.9', this model has double.0 to single.1"):
        get("stable_flow", overrides={"sites": ("double.9",), "steps": 1}).edit(tiny_flux, asked)
    assert Site("double", 0) in tiny_flux.sites


def _steps(method: EditMethod, backbone: Backbone, asked: EditRequest) -> int:
    class Count(Observer):
        total = 0

        def end(self, event: StepEnd) -> None:
            self.total += 1

    counted = Count()
    method.edit(backbone, asked, [counted])
    return counted.total


def test_an_unchanged_latent_object_is_what_no_edit_returns(tiny_flux: Backbone) -> None:
    asked = request(tiny_flux, 1)
    result: Latent = get("no_edit").edit(tiny_flux, asked).latent
    assert result is asked.previous
