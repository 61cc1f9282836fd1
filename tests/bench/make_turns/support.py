"""What several tests of the turns need."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from undrift.bench.data.pie import PieEntry
from undrift.bench.make_turns.make import Writer, make_turns, read_pictures


def entry(kind: int = 1, name: str = "111000000000", target: str = "a red [dog] in a meadow") -> PieEntry:
    """A picture whose cat became a dog."""
    plain = target.replace("[", "").replace("]", "")
    return PieEntry(
        name,
        kind,
        "x.jpg",
        "a red cat in a meadow",
        plain,
        ("dog",),
        "swap",
        ("cat", "dog"),
        (),
        lambda: Image.new("L", (1, 1)),
    )


def made(data: Path, writer: Writer, turns: int = 5) -> dict[str, list[str]]:
    """State -> ids."""
    found: dict[str, list[str]] = {}
    for done in make_turns(read_pictures(data), data / "MTC_prompts", writer, turns):
        found.setdefault(done.state, []).append(done.id)
    return found
