"""LME-Bench's two passes over a run: did each turn succeed, and is each frame still a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image

from undrift.bench.case import Case
from undrift.bench.judging import verdicts
from undrift.bench.judging.questions import (
    FRAME,
    TURN,
    Answer,
    Content,
    FrameAnswer,
    TurnAnswer,
    frame_question,
    read_answer,
    schema_of,
    turn_question,
)
from undrift.bench.judging.verdicts import Verdict
from undrift.bench.records import RunFolder
from undrift.bench.statistics import Estimate, mean_of
from undrift.bench.suites.registry import open_suite
from undrift.errors import InputError
from undrift.instructions.chat_model import Messages
from undrift.instructions.exchange import NoAnswer
from undrift.pictures import read_picture

TRIES = 3
"""Answers to one question until one can be read."""


class Judge(Protocol):
    """A model that sees pictures, such as ``ChatModel``."""

    @property
    def name(self) -> str:
        """What it is called."""

    def answer(self, messages: Messages, schema: dict[str, Any] | None, seed: int = 0) -> str:
        """The text of an answer.

        Raises:
            NoAnswer: there is none.
        """


@dataclass(frozen=True)
class Judged:
    """What became of a case.

    Attributes:
        label, case: which.
        verdict: what is known of it.
        why: in a line why it is not complete; None if it is.
    """

    label: str
    case: Case
    verdict: Verdict
    why: str | None = None


def judge_run(
    run: RunFolder, labels: Sequence[str], judge: Judge, limit: int | None = None, workers: int = 4
) -> Iterator[Judged]:
    """The verdicts on every finished case of a run, as they are reached; what is on disk is not asked again.

    Args:
        run: the folder.
        labels: of the methods; empty takes all.
        judge: answers.
        limit: only the first so many cases.
        workers: cases that are judged at a time.

    Raises:
        InputError: no such method, a case without all its turns, or the judge's server refuses the request itself.
        SessionError: a verdict cannot be written.
    """
    manifest = run.manifest()
    known = [spec.label for spec in manifest.methods]
    for label in labels:
        if label not in known:
            raise InputError(f"no method '{label}' in '{run.path}': known are {', '.join(known)}")
    cases = open_suite(manifest.suite)[:limit]
    work = [(label, case) for label in labels or known for case in cases]
    for label, case in work:
        _pictures(run, label, case)
    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(_judge_case, run, label, case, judge) for label, case in work]
        try:
            for each in waiting:
                yield each.result()
        finally:
            for each in waiting:
                each.cancel()


def rates(judged: Sequence[Judged], turn: int) -> tuple[Estimate, Estimate]:
    """SR and CR at ``turn`` in %, over complete cases: all turns so far succeeded; the session has collapsed."""
    done = [each.verdict for each in judged if each.why is None and each.case.turns >= turn]
    success = np.array([[100.0 * verdict.succeeded(turn)] for verdict in done]).reshape(-1, 1)
    collapse = np.array([[100.0 * verdict.collapsed(turn)] for verdict in done]).reshape(-1, 1)
    return mean_of(success), mean_of(collapse)


def questions_left(run: RunFolder, labels: Sequence[str], model: str, limit: int | None = None) -> int:
    """At most so many answers are still to be had."""
    manifest, left = run.manifest(), 0
    for label in labels or [spec.label for spec in manifest.methods]:
        for case in open_suite(manifest.suite)[:limit]:
            verdict = verdicts.read(verdicts.file_of(run, model, label, case.id), model, _pictures(run, label, case))
            first = 0 if verdict.failed_at else case.turns - len(verdict.turns)
            left += first + case.turns - len(verdict.frames)
    return left


def _pictures(run: RunFolder, label: str, case: Case) -> dict[int, str | None]:
    found = {record.turn: record.image_hash for record in run.records(label, case.id) if record.error is None}
    if missing := set(range(1, case.turns + 1)) - set(found):
        raise InputError(
            f"'{run.path}' lacks turn {min(missing)} of case {case.id} by {label}: repeat its command to go on"
        )
    return {turn: found[turn] for turn in range(1, case.turns + 1)}


def _judge_case(run: RunFolder, label: str, case: Case, judge: Judge) -> Judged:
    file = verdicts.file_of(run, judge.name, label, case.id)
    verdict = verdicts.read(file, judge.name, _pictures(run, label, case))
    if verdict.complete(case.turns):
        return Judged(label, case, verdict)
    folder = run.folder(label, case.id)
    shown = [case.original(), *(read_picture(folder / f"{turn}.png") for turn in range(1, case.turns + 1))]
    try:
        _ask(case, shown, verdict, judge, lambda: verdicts.write(file, verdict))
    except NoAnswer as error:
        if error.final:
            raise InputError(f"the judge '{judge.name}': {error}") from None
        return Judged(label, case, verdict, str(error))
    return Judged(label, case, verdict)


def _ask(case: Case, shown: Sequence[Image.Image], verdict: Verdict, judge: Judge, keep: Callable[[], None]) -> None:
    """Have everything answered that ``verdict`` lacks; ``keep`` is called after each answer."""
    for turn in range(1, case.turns + 1):
        if verdict.failed_at is not None:
            break
        if turn not in verdict.turns:
            question = turn_question(case.tasks[:turn], shown[: turn + 1])
            verdict.turns[turn] = _answered(judge, TURN, question, TurnAnswer)
            keep()
    for turn in range(1, case.turns + 1):
        if turn not in verdict.frames:
            question = frame_question(case.tasks[:turn], shown[0], shown[turn])
            verdict.frames[turn] = _answered(judge, FRAME, question, FrameAnswer)
            keep()


def _answered(judge: Judge, told: str, question: Content, kind: type[Answer]) -> Answer:
    wrong = ""
    for seed in range(TRIES):
        text = judge.answer([("system", told), ("user", question)], schema_of(kind), seed)
        try:
            return read_answer(text, kind)
        except ValueError as error:
            wrong = str(error)
    raise NoAnswer(f"no answer that can be read in {TRIES} tries: {wrong}")
