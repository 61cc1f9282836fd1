"""The fenced blocks of the documents, and what each kind of line in them has to be."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = ("docs/results/standard/", "docs/results/long/")
"""Reports, which hold no samples."""
FENCE = re.compile(r"^([ ]*)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Sample:
    """One block: the file it stands in, the line after its fence, its language, its text."""

    file: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """Everything a person reads, in a fixed order."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in found if not str(path.relative_to(ROOT)).startswith(GENERATED)]


def samples(*languages: str) -> list[Sample]:
    """The blocks in ``languages``; all if none is named."""
    return [
        Sample(file, text.count("\n", 0, found.start()) + 2, found[2], textwrap.dedent(found[3]))
        for file in documents()
        for text in (file.read_text(encoding="utf-8"),)
        for found in FENCE.finditer(text)
        if not languages or found[2] in languages
    ]
