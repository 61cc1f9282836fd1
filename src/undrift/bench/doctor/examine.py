"""Finds out what a folder is, and has it checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from undrift.bench.data import pie, pie_pp
from undrift.bench.data.parquet import parquet_files
from undrift.bench.data.pie import MAPPING, PieEntry
from undrift.bench.data.prompts import FOLDER, prompt_files
from undrift.bench.doctor import instructed, prompts, tables
from undrift.bench.doctor import pie as pie_checks
from undrift.bench.doctor.finding import Examined, Finding, Health
from undrift.bench.importing import DESCRIPTION, find_problems
from undrift.bench.suites import edival, lme_bench, magicbrush, mse_bench
from undrift.errors import InputError


@dataclass(frozen=True)
class Layout:
    """One kind of data.

    Attributes:
        name: the suite's, or what it is.
        recognise: whether a path holds it.
        examine: what was looked at, and all that is wrong; the second argument also misses what is not there.
    """

    name: str
    recognise: Callable[[Path], bool]
    examine: Callable[[Path, bool], Examined]


def examine(path: Path, whole: bool = True) -> Health:
    """All that is wrong with the data at ``path``.

    Args:
        path: a folder, or a parquet file.
        whole: a data set of known size has to be complete.

    Raises:
        InputError: there is nothing, or nothing known.
    """
    if not path.exists():
        raise InputError(f"no data at '{path}'")
    layout = next((known for known in LAYOUTS if known.recognise(path)), None)
    if layout is None:
        raise InputError(_unknown(path))
    checked, findings = layout.examine(path, whole)
    return Health(layout.name, checked, tuple(findings))


def _unknown(path: Path) -> str:
    inside = sorted(child for child in path.iterdir() if child.is_dir()) if path.is_dir() else []
    for child in inside:
        for layout in LAYOUTS:
            if layout.recognise(child):
                return f"'{path}' is no data, but '{child}' is {layout.name}: name that"
    return f"'{path}' is none of the known data: {', '.join(known.name for known in LAYOUTS)}; see docs/data.md"


def _columns(wanted: set[str]) -> Callable[[Path], bool]:
    def recognise(path: Path) -> bool:
        files = parquet_files(path) if path.is_dir() or path.suffix == ".parquet" else []
        return bool(files) and wanted <= files[0].columns

    return recognise


def _pie(path: Path, whole: bool) -> Examined:
    checked, findings = pie_checks.examine(path, whole)
    return _with_prompts(path, checked, findings, lambda: pie.read_entries(path))


def _pie_pp(path: Path, whole: bool) -> Examined:
    checked, findings = tables.examine_pie_pp(path, whole)
    return _with_prompts(path, checked, findings, lambda: pie_pp.read_entries(path))


def _with_prompts(
    path: Path, checked: str, findings: Iterator[Finding], entries: Callable[[], list[PieEntry]]
) -> Examined:
    """The pictures, and the multi-turn prompts in their folder if there are any."""
    if not (path / FOLDER).is_dir():
        return checked, findings
    try:
        known = {entry.id: entry for entry in entries()}
    except InputError:
        known = None
    also, more = prompts.examine(path / FOLDER, known)
    return f"{checked} and {also}", (finding for each in (findings, more) for finding in each)


def _imported(path: Path, whole: bool) -> Examined:
    said, found = find_problems(path)
    fix = "make the picture again"
    return f"pictures of {said.label} for {said.suite.name}", (
        Finding(f"{problem.case}, turn {problem.turn}", problem.why, fix) for problem in found
    )


LAYOUTS = (
    Layout("pie-bench", lambda path: (path / MAPPING).is_file(), _pie),
    Layout("pie-bench-pp", lambda path: path.is_dir() and any(pie_pp.type_files(path)), _pie_pp),
    Layout("pictures to import", lambda path: (path / DESCRIPTION).is_file(), _imported),
    Layout(
        "multi-turn prompts",
        lambda path: (
            path.is_dir() and (path.name == FOLDER or any(f.stem == f.parent.name for f in prompt_files(path)))
        ),
        lambda path, whole: prompts.examine(path),
    ),
    Layout("lme-bench", lambda path: (path / lme_bench.SESSIONS).is_file(), instructed.examine_lme),
    Layout("edival", lambda path: (path / edival.TABLE).is_file(), instructed.examine_edival),
    Layout("mse-bench", _columns({*mse_bench.COLUMNS, mse_bench.IMAGE}), tables.examine_mse),
    Layout("magicbrush", _columns({*magicbrush.COLUMNS, magicbrush.SOURCE}), tables.examine_magicbrush),
)
"""In the order in which they are tried."""
