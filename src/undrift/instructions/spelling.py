"""Slips of the pen in an instruction: which are corrected, and which are only asked about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from undrift.instructions.lexicon import is_slip, nearest, template_texts, words
from undrift.instructions.refusals import NotUnderstood, Why
from undrift.instructions.tokens import Token
from undrift.instructions.world import LITTLEWORLD, world_of


def corrected(tokens: Sequence[Token], caption: str, history: Sequence[str] = ()) -> tuple[list[Token], list[str]]:
    """The words without slips of the pen, and what was corrected, a note each.

    A slip is corrected where only one word can be meant: one of the captions, of the sentence forms, a colour, or, of
    the drawn world, a word of its captions. Of other words, such as "moat" for "boat", nobody can know.

    Raises:
        NotUnderstood: a word is like one that is known, but need not be a slip of it.
    """
    there = tuple(dict.fromkeys(re.findall(r"[^\W\d_]+", " ".join((caption, *history)).lower())))
    right: list[Token] = []
    notes: list[str] = []
    for place, token in enumerate(tokens):
        is_name = token.text[:1].isupper() and not token.text.isupper() and place > 0
        named = is_name or _names_artist(tokens[:place])
        close = None if token.quoted or named else nearest(token.low, there)
        if close is None or (close in _filling() and close not in there):
            right.append(token)
            continue
        meant = _meant(token.low, there, drawn=world_of(caption) is not None)
        if meant is None:
            raise NotUnderstood(Why.UNKNOWN_WORD, word=token.text, close=close)
        right.append(token._replace(text=meant, low=meant))
        notes.append(f"'{token.text}' read as '{meant}'")
    return right, notes


def _names_artist(before: Sequence[Token]) -> bool:
    """Whether what follows these words is somebody's name: "in the style of ..."."""
    lows = [token.low for token in before]
    return any(pair == ("style", "of") for pair in zip(lows, lows[1:], strict=False))


def _meant(word: str, there: Sequence[str], *, drawn: bool) -> str | None:
    """The one word that ``word`` is a slip of; None if there are several, or letters are other ones."""
    certain = _certain() | (LITTLEWORLD.vocabulary if drawn else frozenset())
    for known in (there, sorted(certain)):
        slips = [other for other in known if is_slip(word, other)]
        if slips:
            return slips[0] if len(slips) == 1 else None
    return None


@cache
def _certain() -> frozenset[str]:
    """The words of the sentence forms, and colours."""
    literal = re.sub(r"\{\w+\}|<\w+>|@\w+", " ", " ".join(template_texts()))
    return frozenset(re.findall(r"[a-z]{3,}", literal)) | words("adjectives", "colour")


@cache
def _filling() -> frozenset[str]:
    """Words that are listed only so that they are no slips of others: neither do others count as slips of them."""
    return words("common", "words") - _certain()
