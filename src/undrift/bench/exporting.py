"""The pictures of a run in the layouts that other benchmarks' own evaluators read."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from undrift.bench.case import Case
from undrift.bench.records import RunFolder
from undrift.bench.suites.registry import open_suite
from undrift.discovery import look_up
from undrift.errors import InputError
from undrift.files import new_folder
from undrift.pictures import png_bytes

Layout = Callable[[Case, int], str]
"""Where the picture of a case after a turn lies, 0 being the original."""


def _lme(case: Case, turn: int) -> str:
    return f"{case.id}/turn{turn}.png" if turn else f"{case.id}/source.png"


def _edival(case: Case, turn: int) -> str:
    stem = f"{int(case.id) if case.id.isdigit() else case.id}_input_raw"
    return f"multipass/{stem}_turn_{turn}.png" if turn else f"multipass/{stem}.png"


def _plain(case: Case, turn: int) -> str:
    return f"{case.id}/{turn}.png"


LAYOUTS: Mapping[str, Layout] = MappingProxyType({"lme-bench": _lme, "edival": _edival, "plain": _plain})


def export(run: RunFolder, label: str, output: Path, layout: str | None = None) -> int:
    """Write every picture of a method in a run to a new folder; it is there complete or not at all.

    Args:
        run: the folder.
        label: of the method.
        output: the new folder.
        layout: key of ``LAYOUTS``; None takes the suite's own, else plain.

    Returns:
        The number of turns written.

    Raises:
        InputError: no such method or layout, or the run lacks a turn.
        SessionError: ``output`` exists or cannot be written.
    """
    manifest = run.manifest()
    look_up("method of the run", label, {spec.label: spec for spec in manifest.methods})
    usual = manifest.suite.name if manifest.suite.name in LAYOUTS else "plain"
    place = look_up("layout", layout or usual, LAYOUTS)
    cases = open_suite(manifest.suite)
    for case in cases:
        if missing := set(range(1, case.turns + 1)) - _finished(run, label, case):
            raise InputError(
                f"'{run.path}' lacks turn {min(missing)} of case {case.id} by {label}: repeat its command to go on"
            )
    with new_folder(output) as folder:
        for case in cases:
            original = folder / place(case, 0)
            original.parent.mkdir(parents=True, exist_ok=True)
            original.write_bytes(png_bytes(case.original()))
            for turn in range(1, case.turns + 1):
                shutil.copyfile(run.folder(label, case.id) / f"{turn}.png", folder / place(case, turn))
    return sum(case.turns for case in cases)


def _finished(run: RunFolder, label: str, case: Case) -> set[int]:
    return {record.turn for record in run.records(label, case.id) if record.error is None}
