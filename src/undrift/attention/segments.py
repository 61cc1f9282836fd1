"""A prompt cut into the pieces that can differ from another prompt's, in any script.

Characters are compared as they are read: composed and decomposed accents are the same (Unicode NFC), and so are curly
and straight apostrophes. Graphemes are those of UAX #29, so that a mark never comes without its letter.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import regex

Span = tuple[int, int]

UNDIVIDED = r"\p{Line_Break=SA}"
"""Thai, Lao, Khmer, Burmese and others: words without spaces between them, which only a dictionary could divide."""

_IDEOGRAPHS = r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\u30fc"
SPACELESS = UNDIVIDED + _IDEOGRAPHS
LETTERS = rf"[[\p{{L}}\p{{N}}\p{{M}}\u200c\u200d]--[{SPACELESS}]]"
"""What a word between spaces is made of, marks and joiners included."""

_SYMBOLS = r"[[\p{S}\p{Po}]--[\p{Terminal_Punctuation}\p{Quotation_Mark}…·¡¿]]"
_PART = rf"(?:(?={LETTERS})\X)+"
_PIECE = regex.compile(
    rf"(?V1)(?P<WORD>{_PART}(?:['\u2019\-\u2010\u2011]{_PART})*)"
    rf"|(?P<IDEOGRAPH>(?=[{_IDEOGRAPHS}])\X)|(?P<UNDIVIDED>(?=[{UNDIVIDED}])\X)|(?P<SYMBOL>(?={_SYMBOLS})\X)|(?s:\X)"
)
"""Every match is of whole graphemes, white space and punctuation included, lest one begin within another."""

_LOOKS = str.maketrans({"\u2019": "'", "\u2010": "-", "\u2011": "-", "\ufe0e": None, "\ufe0f": None})
"""Other ways to draw the same character."""


class Kind(Enum):
    """What a piece is: a word, or one grapheme of a script without spaces, or a symbol or an emoji."""

    WORD = "WORD"
    IDEOGRAPH = "IDEOGRAPH"
    UNDIVIDED = "UNDIVIDED"
    SYMBOL = "SYMBOL"

    @property
    def is_spaceless(self) -> bool:
        return self in (Kind.IDEOGRAPH, Kind.UNDIVIDED)


@dataclass(frozen=True)
class Piece:
    """A piece of a prompt.

    Attributes:
        start, stop: its characters.
        kind: what it is.
        exact: what it reads as.
        folded: the same without case.
    """

    start: int
    stop: int
    kind: Kind
    exact: str
    folded: str


def pieces(prompt: str) -> list[Piece]:
    """Words, symbols, emoji, and graphemes of scripts without spaces; white space and punctuation are none."""
    found = (match for match in _PIECE.finditer(prompt) if match.lastgroup is not None)
    return [
        Piece(match.start(), match.end(), Kind(match.lastgroup), same_look(match.group()), folded(match.group()))
        for match in found
    ]


def same_look(text: str) -> str:
    """``text`` as it is compared with case."""
    return unicodedata.normalize("NFC", text.translate(_LOOKS))


def folded(text: str) -> str:
    """``text`` as it is compared without case."""
    return unicodedata.normalize("NFC", same_look(text).casefold())


@dataclass(frozen=True)
class Folded:
    """A prompt without case and normalised, which still knows where its characters come from."""

    prompt: str

    @cached_property
    def _graphemes(self) -> list[tuple[Span, str]]:
        found = regex.finditer(r"\X", self.prompt)
        return [(grapheme.span(), folded(grapheme.group())) for grapheme in found]

    def occurrences(self, phrase: str) -> Iterator[Span]:
        """Where ``phrase`` stands as whole words, white space of any length between them; spans in the prompt."""
        text = "".join(part for _, part in self._graphemes)
        origin = [span for span, part in self._graphemes for _ in part]
        for found in regex.finditer(_whole(folded(phrase).split()), text):
            yield origin[found.start()][0], origin[found.end() - 1][1]


def _whole(words: Sequence[str]) -> str:
    """A pattern for ``words`` that does not match within longer ones; without spaces, words have no such ends."""
    first, last = words[0][0], words[-1][-1]
    inner = rf"[{LETTERS}_]"
    before = rf"(?<!{inner})" if regex.fullmatch(rf"(?V1){inner}", first) else ""
    after = rf"(?!{inner})" if regex.fullmatch(rf"(?V1){inner}", last) else r"(?![\p{M}\u200d])"
    return "(?V1)" + before + r"\s+".join(regex.escape(word) for word in words) + after
