"""Writes the report of some runs: one HTML page, the same as Markdown, and the Markdown's figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from undrift.bench.report.choice import reference_of
from undrift.bench.report.html import html_page
from undrift.bench.report.markdown import FIGURES, figure_files, markdown_page
from undrift.bench.report.results import read_results
from undrift.bench.report.sections import build
from undrift.errors import SessionError
from undrift.files import reason, write_atomically

HTML, MARKDOWN = "report.html", "report.md"


@dataclass(frozen=True)
class Written:
    """Where a report lies."""

    html: Path
    markdown: Path


def write_report(
    runs: Sequence[Path], out: Path | None = None, reference: str | None = None, limit: int | None = None
) -> Written:
    """Report ``runs``, which must be of one suite.

    Args:
        runs: run folders; their methods are shown together.
        out: folder to write to; None takes ``report`` in the first run.
        reference: label of the method that the others are compared with; None takes ``undrift``.
        limit: only the first so many cases.

    Raises:
        InputError: no run, runs of different suites, nothing made yet, no such reference.
        SessionError: the folder cannot be written.
    """
    results = read_results(runs, limit)
    document = build(results, reference_of(results, reference))
    folder = runs[0] / "report" if out is None else out
    _make(folder / FIGURES)
    for name, content in figure_files(document).items():
        write_atomically(folder / FIGURES / name, content)
    written = Written(folder / HTML, folder / MARKDOWN)
    write_atomically(written.markdown, markdown_page(document).encode())
    write_atomically(written.html, html_page(document).encode())
    return written


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SessionError(f"cannot make the folder '{folder}': {reason(error)}") from error
