"""The search for a model's own parameters, on made-up scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.toy import ToyBackbone
from training import tune


class Made:
    """Scores that peak at guidance 2 and are a trifle better with alpha 10."""

    def __init__(self) -> None:
        self.tried: list[Mapping[str, Any]] = []

    def objective(self, method: str, overrides: Mapping[str, Any], tuned: Mapping[str, Any]) -> float:
        self.tried.append(overrides)
        guidance, alpha = overrides.get("guidance", 3.5), overrides.get("alpha", 5.0)
        return float(1.0 - abs(guidance - 2.0) + 0.001 * alpha)


def test_the_search_keeps_what_is_clearly_better_and_the_paper_s_value_otherwise() -> None:
    made = Made()
    assert tune.search(cast(tune.Trials, made), "steerflow", {}) == {"guidance": 2.0}
    assert {"guidance": 2.0, "alpha": 20.0} in made.tried


def test_every_searched_parameter_exists_and_its_values_are_allowed() -> None:
    from undrift.methods.registry import get

    for method, space in tune.SPACE.items():
        for name, values in space.items():
            for value in values:
                get(method, overrides={**tune.SHORTER.get(method, {}), name: value})


def test_a_trial_is_recorded_and_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "RECORD", tmp_path / "record.json")
    backbone, sequences = ToyBackbone(), tune._sequences(1, turns=2)
    first = tune.Trials(backbone, sequences, 2).objective("no_edit", {}, {})
    encoded = backbone.encoded
    assert tune.Trials(backbone, sequences, 2).objective("no_edit", {}, {}) == pytest.approx(first, abs=1e-4)
    assert backbone.encoded == encoded


def test_the_values_that_were_found_are_parameters_of_the_methods() -> None:
    import json

    from undrift.methods.registry import get

    found = json.loads(tune.TUNED.read_text(encoding="utf-8"))
    for method in found["tuned"]:
        get(method, tuned=found["tuned"])
    assert {kind for kind, _ in found["vital_sites"]} <= {"double", "single"}
