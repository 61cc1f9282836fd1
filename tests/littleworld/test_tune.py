"""The search for a model's own parameters, on made-up scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.toy import ToyBackbone
from training import chains, tune, tune_sd, unet_save
from undrift.backbones import load
from undrift.littleworld.weights import model_path
from undrift.methods.registry import get


class Made:
    """Scores that peak at guidance 2 and are a trifle better with alpha 10."""

    def __init__(self) -> None:
        self.tried: list[Mapping[str, Any]] = []
        self.told: list[Mapping[str, Any]] = []

    def objective(self, method: str, overrides: Mapping[str, Any], tuned: Mapping[str, Any]) -> float:
        self.tried.append(overrides)
        self.told.append(tuned)
        guidance, alpha = overrides.get("guidance", 3.5), overrides.get("alpha", 5.0)
        return float(1.0 - abs(guidance - 2.0) + 0.001 * alpha)


def test_the_search_keeps_what_is_clearly_better_and_the_paper_s_value_otherwise() -> None:
    made = Made()
    assert tune.search(cast(tune.Trials, made), "steerflow", {}) == {"guidance": 2.0}
    assert {"guidance": 2.0, "alpha": 10.0} in made.tried


def test_of_several_better_values_the_best_is_taken_and_the_method_s_own_tuned_ones_do_not_count() -> None:
    made = Made()
    tuned = {"steerflow": {"guidance": 2.0}, "reflow": {"guidance": 2.0}}
    assert tune.search(cast(tune.Trials, made), "reflow", tuned) == {"guidance": 2.0}
    assert made.tried == [{}, {"guidance": 1.5}, {"guidance": 2.0}, {"guidance": 2.5}]
    assert made.told == [{"steerflow": {"guidance": 2.0}}] * 4


def test_every_searched_parameter_exists_and_its_values_are_allowed() -> None:
    for method, space in tune.SPACE.items():
        for name, values in space.items():
            for value in values:
                get(method, overrides={**tune.SHORTER.get(method, {}), name: value})


def test_a_trial_is_recorded_and_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "RECORD", tmp_path / "record.json")
    backbone, sequences = ToyBackbone(), chains.sequences(tune.FIRST_SEED, 1, 2)
    first = tune.Trials(backbone, sequences, 2).objective("no_edit", {}, {})
    encoded = backbone.encoded
    # The record keeps four decimals.
    assert tune.Trials(backbone, sequences, 2).objective("no_edit", {}, {}) == pytest.approx(first, abs=1e-4)
    assert backbone.encoded == encoded


def test_the_values_that_were_found_are_parameters_of_the_methods() -> None:
    found = json.loads(tune.TUNED.read_text(encoding="utf-8"))
    for method in found["tuned"]:
        get(method, tuned=found["tuned"])
    assert {kind for kind, _ in found["vital_sites"]} <= {"double", "single"}


@pytest.mark.parametrize("method", tune_sd.SPACE)
def test_the_editors_of_stable_diffusion_are_searched_with_values_they_allow(method: str) -> None:
    made = Made()
    space, shorter = tune_sd.SPACE[method], tune_sd.SHORTER[method]
    found = tune.search(cast(tune.Trials, made), method, {}, space, shorter)
    nearest = min(space["guidance"], key=lambda value: abs(float(value) - 2.0))
    assert found == {"guidance": nearest}, "the nearest to 2, where made-up scores peak, without its own steps"
    for tried in made.tried:
        assert get(method, overrides=tried).params.model_dump()["steps"] == shorter["steps"] < 50


def test_what_was_found_for_stable_diffusion_is_written_to_its_folder_and_fits_the_methods(tmp_path: Path) -> None:
    files = tmp_path / "a.json", tmp_path / "b.json"
    tune_sd.write({"p2p": {"guidance": 3.0}}, *files)
    assert [json.loads(file.read_text()) for file in files] == [{"tuned": {"p2p": {"guidance": 3.0}}}] * 2


class Recorded:
    """The scores of a record; a trial that is not there was never run."""

    def __init__(self, record: Path, fewer: Mapping[str, tuple[int, int]], usual: tuple[int, int]) -> None:
        self.trials = json.loads(record.read_text(encoding="utf-8"))
        self.looked_up: list[Mapping[str, Any]] = []
        self._fewer, self._usual = fewer, usual

    def objective(self, method: str, overrides: Mapping[str, Any], tuned: Mapping[str, Any]) -> float:
        sequences, turns = self._fewer.get(method, self._usual)
        params = get(method, overrides=overrides, tuned=tuned).params.model_dump(mode="json")
        key = {"method": method, "params": params, "sequences": sequences, "turns": turns}
        (trial,) = [trial for trial in self.trials if key.items() <= trial.items()]
        self.looked_up.append(trial)
        return float(trial["objective"])


def test_the_tuned_values_are_what_the_search_makes_of_the_record() -> None:
    recorded = Recorded(tune.RECORD, tune.FEWER, (tune.SEQUENCES, tune.TURNS))
    found = json.loads(tune.TUNED.read_text(encoding="utf-8"))
    tuned: dict[str, Any] = {}
    for method in tune.SPACE:
        tuned[method] = json.loads(json.dumps(tune.search(cast(tune.Trials, recorded), method, tuned)))
    assert tuned == found["tuned"]
    assert all(trial in recorded.looked_up for trial in recorded.trials)
    assert {trial["weights"] for trial in recorded.trials} == {load("littleworld").identity.weights_hash}


def test_the_model_s_folder_holds_the_same_values() -> None:
    embedded = (model_path() / "undrift.json").read_text(encoding="utf-8")
    assert json.loads(embedded) == json.loads(tune.TUNED.read_text(encoding="utf-8"))


def test_the_values_of_stable_diffusion_are_what_the_search_makes_of_the_record_and_in_its_folder() -> None:
    recorded = Recorded(tune_sd.RECORD, {}, (tune_sd.SEQUENCES, tune_sd.TURNS))
    tuned: dict[str, Any] = {}
    for method, space in tune_sd.SPACE.items():
        search = tune.search(cast(tune.Trials, recorded), method, tuned, space, tune_sd.SHORTER[method])
        tuned[method] = json.loads(json.dumps(search))
    tuned |= {name: tuned[other] for name, other in tune_sd.LIKE.items()}
    found = json.loads(unet_save.TUNED.read_text(encoding="utf-8"))
    assert found == {"tuned": tuned}
    assert all(trial in recorded.looked_up for trial in recorded.trials)
    assert json.loads((model_path(tune_sd.MODEL) / "undrift.json").read_text(encoding="utf-8")) == found
