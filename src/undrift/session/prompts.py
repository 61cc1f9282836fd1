"""Two prompts side by side, for people: what stays, what goes, what is new, and which words steer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from undrift.attention.words import changed_words, word_changes
from undrift.methods.base import EditMethod
from undrift.session.model import TurnSpec

Change = Literal["kept", "removed", "added"]


def prompt_diff(source: str, target: str) -> list[tuple[Change, str]]:
    """The words of both prompts in reading order, each with what becomes of it.

    Words are compared as for the highlighting, see ``word_changes``; ``kept`` and ``added`` words are written as in
    ``target``, and together they are its words.
    """
    result: list[tuple[Change, str]] = []
    for old, new, equal in word_changes(source, target):
        if not equal:
            result += [("removed", source[start:stop]) for start, stop in old]
        result += [("kept" if equal else "added", target[start:stop]) for start, stop in new]
    return result


def steering_words(source: str, target: str, words: Sequence[str] | None = None) -> tuple[str, ...]:
    """The words of ``target`` that steer a turn's attention: ``words`` if they are given, else those that differ."""
    return tuple(words) if words is not None else changed_words(source, target)


def nothing_steers(method: EditMethod, spec: TurnSpec) -> str | None:
    """In a line, that no word steers a turn of a method that words steer; None if one does."""
    if not method.steered_by_words() or steering_words(spec.source_prompt, spec.target_prompt, spec.words):
        return None
    why = "the prompt has no word that is new" if spec.words is None else "no word was chosen"
    return f"no word steers where turn '{spec.target_prompt}' edits: {why}; choose some with --words"
