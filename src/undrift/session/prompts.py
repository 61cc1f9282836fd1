"""Two prompts side by side, for people: what stays, what goes, what is new, and which words steer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from undrift.attention.words import changed_words, word_changes

Change = Literal["kept", "removed", "added"]


def prompt_diff(source: str, target: str) -> list[tuple[Change, str]]:
    """The words of both prompts in reading order, each with what becomes of it.

    Words are compared as for the highlighting, without case; ``kept`` and ``added`` words are written as in
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
