"""What every registered method promises about regions, seeds and the dial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.contracts.test_methods import NAMES, PICTURE, fitting, picture, request
from tests.support.closeness import assert_rounded, rounding
from tests.support.slow_cases import slow_but_for
from undrift.backbones import Backbone
from undrift.errors import InputError
from undrift.methods.base import EditMethod
from undrift.methods.dial import can_turn, turned
from undrift.methods.registry import all_methods, get
from undrift.session import latents
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.model import Turn
from undrift.session.next_turn import candidates
from undrift.session.region import changeable
from undrift.session.store import Session

USUAL = [(name, "default") for name in NAMES]
EVERY = [(name, preset) for name in NAMES for preset in all_methods()[name].presets]


def stripe() -> Image.Image:
    """The middle columns of the tests' picture, neither beginning nor ending at a token."""
    region = Image.new("L", PICTURE, 0)
    region.paste(255, (12, 0, 28, PICTURE[1]))
    return region


def stored(session: Session, turn: Turn, backbone: Backbone) -> torch.Tensor:
    data = session.latent(turn)
    assert data is not None
    return latents.from_bytes(data, backbone).latent.packed


@pytest.mark.parametrize("name", NAMES)
def test_outside_the_region_a_turn_changes_no_bit(name: str, backbone: Backbone, tmp_path: Path) -> None:
    session = start_session(tmp_path / "s", picture(1), "a cat sitting on the grass", backbone)
    turn = run_turn(
        session, backbone, fitting(name, backbone), EditPlan("a red cat in the snow", seed=1, region=stripe())
    )
    before, after = (np.asarray(session.picture(t)) for t in (session.original, turn))
    outside = np.asarray(stripe()) == 0
    assert np.array_equal(after[outside], before[outside])
    old, new = (stored(session, t, backbone)[0] for t in (session.original, turn))
    touched = changeable(stripe(), backbone.geometry(PICTURE))[0] > 0
    assert 0 < int(touched.sum()) < touched.numel()
    assert torch.equal(new[~touched], old[~touched]), "tokens that the stripe does not touch"
    if name not in ("no_edit", "revert_unchanged"):
        assert not torch.equal(new[touched], old[touched])


@pytest.mark.parametrize("retain", [None, (0.0, 0.1)])
def test_multi_turn_holds_the_outside_while_it_samples(
    retain: tuple[float, float] | None, backbone: Backbone
) -> None:
    asked = request(backbone, 1)
    method = get("multi_turn", overrides={"steps": 4, "control_steps": 1, "inversion_gain": 0.3, "retain": retain})
    region = changeable(stripe(), asked.previous.geometry)
    held = method.edit(backbone, replace(asked, editable_tokens=region)).latent.packed
    free = method.edit(backbone, asked).latent.packed
    outside = region[0] == 0
    assert_rounded(held[:, outside], asked.previous.packed[:, outside], 4 * 20)
    assert float((free - asked.previous.packed)[:, outside].abs().max()) > 1e-2
    assert float((held - asked.previous.packed)[:, ~outside].abs().max()) > 1e-2


@pytest.mark.parametrize("name", ["steerflow", "flowedit", "flow_align", "direct_edit"])
def test_methods_that_move_by_differences_hold_the_outside_exactly(name: str, backbone: Backbone) -> None:
    asked = request(backbone, 1)
    region = changeable(stripe(), asked.previous.geometry)
    method = get(name, overrides={"steps": 3, **({"n_max": 3} if name == "flowedit" else {})})
    held = method.edit(backbone, replace(asked, editable_tokens=region))
    free = method.edit(backbone, asked)
    moved = (held.latent.packed - asked.previous.packed).abs()[0].amax(-1)
    slack = rounding(3 * 20, float(asked.previous.packed.abs().max()))
    assert float(moved[region[0] == 0].max()) < slack
    assert float((free.latent.packed - asked.previous.packed).abs()[0].amax(-1)[region[0] == 0].max()) > 1e-2
    assert float(moved[region[0] == 1].max()) > 1e-2
    if held.mask is not None:
        assert float((held.mask.flatten() * (region[0] == 0)).max()) == 0


@pytest.mark.parametrize(("name", "preset"), slow_but_for(USUAL, EVERY))
def test_seeds_matter_exactly_where_the_method_says_so(name: str, preset: str, backbone: Backbone) -> None:
    fitting(name, backbone)
    method = get(name, preset)
    short = type(method)(method.params.updated(quick_overrides(method, str(backbone.sites[0]))))
    assert short.draws_noise() == method.draws_noise()
    asked = request(backbone, 1)
    one, other = (short.edit(backbone, replace(asked, seeds=[seed])).latent.packed for seed in (3, 4))
    assert torch.equal(one, other) != method.draws_noise()


def quick_overrides(method: EditMethod, site: str) -> dict[str, Any]:
    """What makes a method quick without touching what decides whether it draws noise."""
    fields = type(method.params).model_fields
    if "method_params" in fields:
        return {"method_params": {"steps": 2}}
    wanted: dict[str, Any] = {"steps": 2, "n_max": 2, "n_min": 1, "inject_steps": 1, "highlight_start": 1}
    wanted["inner_steps"] = 1
    every_change_counts = {"map_steps": 1, "weak": 0.0, "strong": 0.0}
    return {
        name: value for name, value in (wanted | every_change_counts | {"sites": (site,)}).items() if name in fields
    }


def test_without_noise_in_the_inversion_a_seed_means_nothing() -> None:
    for name in ("multi_turn", "rf_inversion"):
        assert not get(name, overrides={"inversion_gain": 0}).draws_noise()
        assert get(name, overrides={"inversion_gain": 0.1}).draws_noise()
        wrapped = {"method": name, "method_params": {"inversion_gain": 0.1}}
        assert get("from_original", overrides=wrapped).draws_noise()


@pytest.mark.parametrize(("name", "preset"), EVERY)
def test_the_dial_moves_every_parameter_towards_its_ends(name: str, preset: str) -> None:
    method = get(name, preset)
    assert turned(method, 0.0) is method
    if not can_turn(method):
        with pytest.raises(InputError, match=f"method '{name}' has nothing that the dial turns here"):
            turned(method, 1.0)
        return
    marks = [turned(method, value) for value in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    ends = {repr(each.params) for each in (marks[0], marks[2], marks[4])}
    assert len(ends) == 3 if preset == "default" else len(ends) >= 2, "another preset may begin at an end"
    for parameter in method.dial:
        values = [getattr(each.params, parameter) for each in marks]
        for line in zip(*values, strict=True) if isinstance(values[0], tuple) else [values]:
            if line[0] is not None:
                assert list(line) in (sorted(line), sorted(line, reverse=True))
                assert len({type(value) for value in line}) == 1
    untouched = {name for name in type(method.params).model_fields if name not in method.dial}
    assert marks[4].params.model_dump(include=untouched) == method.params.model_dump(include=untouched)


@pytest.mark.parametrize("value", [-1.01, 2.0, float("nan")])
def test_the_dial_ends_at_one(value: float) -> None:
    with pytest.raises(InputError, match=r"the dial is at .*, expected -1 \(obey the prompt\) to 1"):
        turned(get("multi_turn"), value)


def test_the_dial_never_turns_back_what_is_beyond_its_end() -> None:
    far = get("multi_turn", overrides={"control_steps": 12})
    assert turned(far, 1.0).params.model_dump()["control_steps"] == 12
    assert turned(far, -1.0).params.model_dump()["control_steps"] < 12


@pytest.mark.parametrize("name", [name for name in NAMES if can_turn(get(name)) and not get(name).draws_noise()])
def test_candidates_of_methods_without_noise_are_all_different(name: str) -> None:
    many = candidates(get(name), 5, 9)
    assert many[0][0].params == get(name).params
    assert len({repr(method.params) for method, _ in many}) == 9


def test_candidates_differ_by_seed_or_else_by_dial() -> None:
    noisy = get("flowedit")
    assert candidates(noisy, 2**32 - 1, 3) == [(noisy, 2**32 - 1), (noisy, 0), (noisy, 1)]
    still = get("multi_turn")
    many = candidates(still, 5, 9)
    assert many[0] == (still, 5)
    assert [seed for _, seed in many] == list(range(5, 14))
    assert len({repr(method.params) for method, _ in many}) == 9
    assert candidates(get("no_edit"), 0, 1)
    with pytest.raises(InputError, match="candidates of 'no_edit' would all be one picture"):
        candidates(get("no_edit"), 0, 2)
    with pytest.raises(InputError, match="10 candidates were asked for, expected 1 to 9"):
        candidates(still, 0, 10)
