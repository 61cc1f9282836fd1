"""Where the words of an edit act, from the difference of two captions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from undrift.attention.segments import Span
from undrift.attention.words import FUNCTION_WORDS, word_changes

PLACES = frozenset({"in", "on", "at", "under", "inside", "outside", "during", "by", "near"})
"""Prepositions that begin the last phrase of a caption, its place or time."""
_STYLES = """
style painting drawing sketch sketched photo photograph watercolour watercolor oil pencil cartoon anime comic pixel
render rendering monochrome sepia illustration impressionist cubist
night day dawn dusk sunset sunrise winter summer autumn spring rain rainy snowy foggy
"""
STYLES = frozenset(_STYLES.split())
"""Words that say how the whole picture looks."""
_OPENING = re.compile(
    r"\W*(?:\w+\W+){0,5}?"
    r"(?:art|drawing|engraving|etching|illustration|image|mosaic|painting|photo|photograph|picture|portrait|print"
    r"|render|rendering|scene|sketch|snapshot|woodcut)\s+of\b",
    re.IGNORECASE,
)
"""What a caption begins with that says how it was made: "a neon picture of"."""


class Scope(StrEnum):
    """Where an edit acts: nowhere, in a place, everywhere, or where something comes to be or goes."""

    NONE = "none"
    LOCAL = "local"
    GLOBAL = "global"
    ADDITION = "addition"
    DELETION = "deletion"


def scope_of(source_prompt: str, target_prompt: str) -> Scope:
    """The scope of the edit between two captions.

    None where no word changed; global where every changed run of words holds a word of ``STYLES``, lies in an opening
    such as "a neon picture of", or lies in the last phrase that a word of ``PLACES`` begins, in both captions ("in a
    meadow" to "on a beach"); addition where words are only added, deletion where they are only left out; else local.
    """
    runs = [(old, new) for old, new, equal in word_changes(source_prompt, target_prompt) if not equal]
    replaced, added = any(old for old, _ in runs), any(new for _, new in runs)
    if not runs:
        return Scope.NONE
    if all(_everywhere(source_prompt, old) and _everywhere(target_prompt, new) for old, new in runs):
        return Scope.GLOBAL
    if added and not replaced:
        return Scope.ADDITION
    return Scope.DELETION if replaced and not added else Scope.LOCAL


def _everywhere(prompt: str, spans: Sequence[Span]) -> bool:
    """Whether words at ``spans`` speak of the whole picture: of how it is made, or of its place. No words do."""
    words = [prompt[start:stop].lower() for start, stop in spans]
    if STYLES.intersection(words):
        return True
    telling = [start for (start, _), word in zip(spans, words, strict=True) if word not in FUNCTION_WORDS]
    opening = _OPENING.match(prompt)
    if telling and opening is not None and telling[-1] < opening.end():
        return True
    begins = [match.start() for match in re.finditer(r"[^\W\d_]+", prompt) if match.group().lower() in PLACES]
    return all(begins and start >= begins[-1] for start, _ in spans)
