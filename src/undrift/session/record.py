"""What a PNG says about how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from undrift import __version__
from undrift.session.model import Turn, TurnKind, TurnSpec

FORMAT = 1
SOFTWARE = f"undrift {__version__}"


def recipe(prompt: str, kind: TurnKind, number: int, spec: TurnSpec | None) -> dict[str, Any]:
    """Metadata of a picture within a session: its own turn, and nothing that changes from run to run."""
    turn = {"number": number, "kind": kind, "prompt": prompt, "spec": spec and spec.model_dump(mode="json")}
    return {"format": FORMAT, "software": SOFTWARE, "prompt": prompt, "turns": [turn]}


def chain(path: Sequence[Turn]) -> dict[str, Any]:
    """Metadata of an exported picture: every turn from the source to it, complete."""
    turns = [turn.model_dump(mode="json") for turn in path]
    return {"format": FORMAT, "software": SOFTWARE, "prompt": path[-1].prompt, "turns": turns}
