"""From pictures to numbers: every turn that lacks a metric's score gets it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

from undrift.bench.case import Case
from undrift.bench.metrics import registry
from undrift.bench.metrics.base import Measure, Metric, Outcome, SetMetric
from undrift.bench.records import RunFolder, TurnRecord, TurnScores
from undrift.bench.runner.plan import chunks
from undrift.bench.runner.worker import one_line
from undrift.errors import Cancelled
from undrift.files import sha256
from undrift.pictures import read_picture

log = logging.getLogger(__name__)

TOGETHER = 8
"""Cases that are scored together."""


class Card:
    """The numbers of one turn while they grow; its pictures are read when a metric wants to see them.

    Attributes:
        case, record: the turn.
        values, errors: as in ``TurnScores``.
    """

    def __init__(self, run: RunFolder, label: str, case: Case, record: TurnRecord, known: TurnScores | None) -> None:
        self.case, self.record = case, record
        self._folder = run.folder(label, case.id)
        valid = known is not None and known.image_hash == record.image_hash
        self.values = dict(known.values) if known is not None and valid else {}
        self.errors = dict(known.errors) if known is not None and valid else {}

    @cached_property
    def outcome(self) -> Outcome:
        """What metrics see.

        Raises:
            PictureError: a picture is missing or damaged.
        """
        return outcome(self._folder, self.case, self.record)

    def line(self) -> TurnScores:
        """The line to write."""
        record = self.record
        return TurnScores(turn=record.turn, values=self.values, errors=self.errors, image_hash=record.image_hash)


def outcome(folder: Path, case: Case, record: TurnRecord) -> Outcome:
    """A finished turn whose pictures lie in ``folder``.

    Raises:
        PictureError: a picture is missing or damaged.
    """
    original = case.original()
    previous = original if record.turn == 1 else read_picture(folder / f"{record.turn - 1}.png")
    picture = read_picture(folder / f"{record.turn}.png")
    return Outcome(case=case, turn=record.turn, picture=picture, previous=previous, original=original, record=record)


def chosen(names: Sequence[str] | None) -> list[Measure]:
    """The metrics ``names``, or all; those that cannot run here are left out, and a warning says so.

    Raises:
        InputError: no such metric.
    """
    metrics = [registry.get(name) for name in (registry.all_metrics() if names is None else dict.fromkeys(names))]
    lacking = {metric.name: why for metric in metrics if (why := metric.missing()) is not None}
    if names is None and lacking:
        log.warning(
            "left out for want of packages or weights: %s (name one with --metrics to hear what it needs)",
            ", ".join(lacking),
        )
    elif names is not None:
        for name, why in lacking.items():
            log.warning("metric %s is left out: %s", name, why)
    return [metric for metric in metrics if metric.name not in lacking]


def score(
    run: RunFolder,
    labels: Iterable[str],
    cases: Sequence[Case],
    metrics: Sequence[Measure],
    *,
    again: bool = False,
    told: Callable[[int], None] = lambda turns: None,
) -> dict[str, str]:
    """Give every finished turn the scores that it lacks, and every set its numbers.

    Args:
        run: the folder.
        labels: of the methods.
        cases: of the suite.
        metrics: see ``chosen``.
        again: forget earlier numbers of these metrics.
        told: hears of the number of turns that are done.

    Returns:
        Why metrics failed: by metric name, the first reason.

    Raises:
        SessionError: the folder cannot be written.
    """
    single = [metric for metric in metrics if isinstance(metric, Metric)]
    whole = [metric for metric in metrics if isinstance(metric, SetMetric)]
    problems: dict[str, str] = {}
    for label in labels:
        for together in chunks(cases, TOGETHER):
            _score_turns(run, label, together, single, again, problems)
            told(sum(len(run.records(label, case.id)) for case in together))
        _score_sets(run, label, cases, whole, again, problems)
    return problems


def _score_turns(
    run: RunFolder,
    label: str,
    cases: Sequence[Case],
    metrics: Sequence[Metric],
    again: bool,
    problems: dict[str, str],
) -> None:
    cards = {case.id: _cards(run, label, case) for case in cases}
    changed: set[str] = set()
    for metric in metrics:
        lacking = [card for of_case in cards.values() for card in of_case if again or metric.name not in card.values]
        _give(metric, lacking, problems)
        changed |= {card.case.id for card in lacking}
    for case in changed:
        run.write_scores(label, case, [card.line() for card in cards[case]])


def _give(metric: Metric, cards: Sequence[Card], problems: dict[str, str]) -> None:
    """Score ``cards`` together; if that fails singly, so that only the culprit is left without."""
    if not cards:
        return
    try:
        numbers = metric.score([card.outcome for card in cards])
    except Cancelled:
        raise
    except Exception as error:
        if len(cards) == 1:
            cards[0].errors[metric.name] = one_line(error)
            problems.setdefault(metric.name, one_line(error))
            return
        for card in cards:
            _give(metric, [card], problems)
        return
    for card, number in zip(cards, numbers, strict=True):
        card.values[metric.name] = number
        card.errors.pop(metric.name, None)


def _cards(run: RunFolder, label: str, case: Case) -> list[Card]:
    known = run.scores(label, case.id)
    records = [record for record in run.records(label, case.id) if record.error is None]
    return [Card(run, label, case, record, known.get(record.turn)) for record in records]


def _score_sets(
    run: RunFolder,
    label: str,
    cases: Sequence[Case],
    metrics: Sequence[SetMetric],
    again: bool,
    problems: dict[str, str],
) -> None:
    if not metrics:
        return
    for turn in range(1, max(case.turns for case in cases) + 1):
        found = [(case, record) for case in cases if (record := _finished(run, label, case, turn)) is not None]
        mark = sha256("".join(str(record.image_hash) for _, record in found).encode())
        known = {} if again or run.set_mark(label, turn) != mark else run.sets().get(label, {}).get(turn, {})
        lacking = [metric for metric in metrics if metric.name not in known]
        if not found or not lacking:
            continue
        outcomes = [outcome(run.folder(label, case.id), case, record) for case, record in found]
        for metric in lacking:
            try:
                known = {**known, metric.name: metric.score_set(outcomes)}
            except Exception as error:
                problems.setdefault(metric.name, one_line(error))
        run.write_set(label, turn, known, mark)


def _finished(run: RunFolder, label: str, case: Case, turn: int) -> TurnRecord | None:
    records = run.records(label, case.id)
    return next((record for record in records if record.turn == turn and record.error is None), None)
