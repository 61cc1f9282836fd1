from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tests.bench.runner.support import PictureCase, make, order
from tests.support.toy import ToyBackbone
from undrift.bench.metrics import registry
from undrift.bench.metrics.base import Metric, Outcome, SetMetric
from undrift.bench.records import RunFolder, TurnScores
from undrift.bench.runner import scoring
from undrift.errors import InputError


class Red(Metric):
    """Mean of red; not defined for turn 2 of case b."""

    name = "red"
    title = "Red"
    higher_is_better = None
    group = "drift"
    asked: ClassVar[list[list[tuple[str, int]]]] = []

    def score(self, outcomes: Sequence[Outcome]) -> list[float | None]:
        self.asked.append([(outcome.case.id, outcome.turn) for outcome in outcomes])
        return [self.red(outcome) for outcome in outcomes]

    def red(self, outcome: Outcome) -> float | None:
        return (
            None if (outcome.case.id, outcome.turn) == ("b", 2) else float(np.asarray(outcome.picture)[..., 0].mean())
        )


class Picky(Red):
    """Fails on case a."""

    name = "picky"
    asked: ClassVar[list[list[tuple[str, int]]]] = []

    def red(self, outcome: Outcome) -> float | None:
        if outcome.case.id == "a":
            raise ValueError("does not\nlike a")
        return 1.0


class Absent(Red):
    """Cannot run here."""

    name = "absent"

    def missing(self) -> str | None:
        return "it needs the package moonbeam"


class Spread(SetMetric):
    """Number of the pictures, and how often it was asked."""

    name = "spread"
    title = "Spread"
    higher_is_better = None
    group = "paper"
    asked: ClassVar[list[int]] = []

    def score_set(self, outcomes: Sequence[Outcome]) -> float | None:
        self.asked.append(len(outcomes))
        return float(len(outcomes))


CASES = [PictureCase("a"), PictureCase("b"), PictureCase("gone", missing=True)]
LABELS = ["no_edit"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run of two turns of two cases, a third of which failed, and four metrics that are the only ones."""
    known = {metric.name: metric() for metric in (Red, Picky, Absent, Spread)}
    monkeypatch.setattr(registry, "all_metrics", lambda: known)
    for metric in (Red, Picky, Spread):
        monkeypatch.setattr(metric, "asked", [])
    return make(tmp_path, ToyBackbone(), order(["no_edit"]), CASES)


def lines(run: RunFolder, case: str) -> dict[int, TurnScores]:
    return run.scores("no_edit", case)


def test_every_finished_turn_gets_its_numbers(run: RunFolder) -> None:
    problems = scoring.score(run, LABELS, CASES, scoring.chosen(["red", "spread"]))
    red = float(np.asarray(CASES[0].original())[..., 0].mean())
    assert problems == {}
    assert [line.values for line in lines(run, "a").values()] == [{"red": red}] * 2
    assert [line.values for line in lines(run, "b").values()] == [{"red": red}, {"red": None}]
    assert lines(run, "gone") == {}
    assert run.sets() == {"no_edit": {1: {"spread": 2.0}, 2: {"spread": 2.0}}}
    assert Red.asked == [[("a", 1), ("a", 2), ("b", 1), ("b", 2)]], "in one batch"


def test_nothing_is_scored_twice_and_new_metrics_are_added(run: RunFolder) -> None:
    scoring.score(run, LABELS, CASES, scoring.chosen(["red", "spread"]))
    scoring.score(run, LABELS, CASES, scoring.chosen(["red", "spread"]))
    assert (len(Red.asked), len(Spread.asked)) == (1, 2)
    scoring.score(run, LABELS, CASES, scoring.chosen(["picky", "red"]))
    assert len(Red.asked) == 1
    assert set(lines(run, "b")[1].values) == {"red", "picky"}


def test_again_forgets_the_earlier_numbers_of_these_metrics_only(run: RunFolder) -> None:
    scoring.score(run, LABELS, CASES, scoring.chosen(["red", "spread"]))
    before = lines(run, "a")
    scoring.score(run, LABELS, CASES, scoring.chosen(["spread"]), again=True)
    assert (len(Red.asked), len(Spread.asked)) == (1, 4)
    scoring.score(run, LABELS, CASES, scoring.chosen(["red"]), again=True)
    assert len(Red.asked) == 2
    assert lines(run, "a") == before


def test_the_numbers_of_another_picture_do_not_count(run: RunFolder) -> None:
    scoring.score(run, LABELS, CASES, scoring.chosen(["red", "spread"]))
    records = run.records("no_edit", "a")
    run.write_records("no_edit", "a", [records[0].model_copy(update={"image_hash": "other"}), records[1]])
    scoring.score(run, LABELS, CASES, scoring.chosen(["red", "spread"]))
    assert Red.asked[1:] == [[("a", 1)]]
    assert Spread.asked == [2, 2, 2], "turn 1 again, turn 2 not"


def test_a_metric_that_fails_is_an_error_of_that_turn_and_tried_again_later(run: RunFolder) -> None:
    problems = scoring.score(run, LABELS, CASES, scoring.chosen(["picky", "red"]))
    assert problems == {"picky": "ValueError: does not like a"}
    assert lines(run, "a")[1].errors == {"picky": "ValueError: does not like a"}
    assert "picky" not in lines(run, "a")[1].values
    assert lines(run, "b")[1].values["picky"] == 1.0
    Picky.asked.clear()
    scoring.score(run, LABELS, CASES, scoring.chosen(["picky"]))
    assert Picky.asked[0] == [("a", 1), ("a", 2)]


def test_a_damaged_picture_is_an_error_of_the_turns_that_show_it(run: RunFolder) -> None:
    (run.folder("no_edit", "a") / "1.png").write_bytes(b"rubbish")
    problems = scoring.score(run, LABELS, CASES, scoring.chosen(["red"]))
    assert "1.png" in problems["red"]
    assert [set(line.errors) for line in lines(run, "a").values()] == [{"red"}, {"red"}]
    assert lines(run, "b")[1].values["red"] is not None


@pytest.mark.parametrize(
    ("names", "left", "message"),
    [
        (
            None,
            ["red", "picky", "spread"],
            "left out for want of packages or weights: absent (name one with --metrics to hear what it needs)",
        ),
        (["absent", "red"], ["red"], "metric absent is left out: it needs the package moonbeam"),
    ],
)
def test_metrics_that_cannot_run_are_left_out_and_named(
    run: RunFolder, caplog: pytest.LogCaptureFixture, names: list[str] | None, left: list[str], message: str
) -> None:
    with caplog.at_level(logging.WARNING, "undrift"):
        found = scoring.chosen(names)
    assert [metric.name for metric in found] == left
    assert [record.getMessage() for record in caplog.records] == [message]


def test_an_unknown_metric_is_refused(run: RunFolder) -> None:
    with pytest.raises(InputError, match=r"^no metric 'rde': did you mean 'red'\? known are red, picky"):
        scoring.chosen(["rde"])
