"""Run folders with chosen numbers, written through the module that knows their layout."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from undrift.bench.records import Manifest, MethodSpec, RunFolder, Scores, TurnRecord, TurnScores
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite
from undrift.files import write_atomically

Numbers = Mapping[str, Mapping[str, Sequence[Sequence[float | None]]]]
"""Label -> metric name -> number per case and turn."""


def spec(label: str, method: str = "multi_turn", preset: str = "default", **params: Any) -> MethodSpec:
    """A method of a run."""
    return MethodSpec(label=label, method=method, preset=preset, params=params)


def write_run(
    path: Path,
    numbers: Numbers,
    *,
    suite: SuiteSpec | None = None,
    methods: Sequence[MethodSpec] | None = None,
    failed: Mapping[tuple[str, str, int], str] | None = None,
    sets: Mapping[str, Mapping[int, Scores]] | None = None,
    model: str = "littleworld",
) -> RunFolder:
    """A run whose pictures are the right answers and whose scores are ``numbers``.

    Args:
        path: of the folder.
        numbers: what the metrics found; its shape decides how many cases and turns there are.
        suite: default: as many cases and turns of LittleWorld's quick set as there are numbers.
        methods: default: one per label.
        failed: (label, case, turn) -> why; the turns after it are not made.
        sets: numbers of whole sets.
        model: what made them.
    """
    rows = next(iter(next(iter(numbers.values())).values()))
    wanted = suite or SuiteSpec(name="littleworld", variant="quick", limit=len(rows), turns=len(rows[0]))
    manifest = Manifest(
        suite=wanted,
        methods=tuple(methods or [spec(label) for label in numbers]),
        model=model,
        weights_hash="ab" * 32,
        dtype="float32",
        versions={"undrift": "0", "torch": "2"},
        created="2026-01-01T00:00:00+00:00",
    )
    run = RunFolder(path)
    run.start(manifest)
    for label, by_metric in numbers.items():
        for row, case in enumerate(open_suite(wanted)):
            scores = [
                TurnScores(turn=turn, values={metric: values[row][turn - 1] for metric, values in by_metric.items()})
                for turn in range(1, case.turns + 1)
            ]
            _write_case(run, label, case, scores, failed or {})
    for label, by_turn in (sets or {}).items():
        for turn, values in by_turn.items():
            run.write_set(label, turn, values, "")
    return run


def _write_case(
    run: RunFolder, label: str, case: Any, scores: Sequence[TurnScores], failed: Mapping[tuple[str, str, int], str]
) -> None:
    records = []
    for turn, task in enumerate(case.tasks, 1):
        error = failed.get((label, case.id, turn))
        record = TurnRecord(
            label=label,
            case=case.id,
            turn=turn,
            edit_type=task.edit_type,
            source_prompt=task.source_prompt,
            target_prompt=task.target_prompt,
            seed=case.seed + turn - 1,
            image=None if error else f"{turn}.png",
            evaluations=32,
            device="cpu",
            error=error,
        )
        records.append(record)
        if error:
            break
        run.folder(label, case.id).mkdir(parents=True, exist_ok=True)
        write_atomically(run.folder(label, case.id) / f"{turn}.png", _png(case.truth(turn)))
    run.write_records(label, case.id, records)
    run.write_scores(label, case.id, scores[: len(records) - bool(records[-1].error)])


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
