"""What a check says, and checks that several layouts share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from undrift.bench.data.pie import SIZE, TYPES, has_words

AGAIN = "get the file again"
GET_ALL = "get the whole data set, or pass --subset"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        where: the file, record or field.
        problem: what is wrong.
        fix: what to do about it.
    """

    where: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}; {self.fix}"


Examined = tuple[str, Iterator[Finding]]
"""What was looked at, such as "700 pictures", and all that is wrong."""


@dataclass(frozen=True)
class Health:
    """The outcome of an examination.

    Attributes:
        layout: what the data turned out to be, a suite's name where it is one.
        checked: what was looked at, such as "700 pictures".
        findings: everything that is wrong; empty if nothing is.
    """

    layout: str
    checked: str
    findings: tuple[Finding, ...]


def check_mask(where: str, runs: Sequence[int]) -> Iterator[Finding]:
    """A run-length mask has to lie in the picture and to cover something."""
    for start, length in zip(runs[::2], runs[1::2], strict=False):
        if length == 0 or start + length > SIZE * SIZE:
            problem = f"mask run {start} {length} is out of range, the picture has {SIZE * SIZE} pixels"
            yield Finding(where, problem, "correct the mask; the official reader cuts it off")
    if not runs:
        yield Finding(
            where, "mask is empty, only the border counts as edited", "leave the picture out of mask metrics"
        )


def check_type(where: str, name: str, kind: int) -> Iterator[Finding]:
    """An id has twelve digits, of which the first is the type."""
    if len(name) != 12 or not name.isdigit():
        yield Finding(where, f"id '{name}' is not twelve digits", "restore the original id")
    elif name[0] != str(kind):
        problem = f"type {kind} ({TYPES[kind]}), but its id begins with {name[0]}"
        yield Finding(where, problem, "correct the type, or the id")


def check_brackets(where: str, field: str, prompt: str) -> Iterator[Finding]:
    """Brackets come in pairs and do not nest."""
    marks = [character for character in prompt if character in "[]"]
    if marks != ["[", "]"] * (len(marks) // 2) or len(marks) % 2:
        yield Finding(where, f"{field} has unmatched brackets: {prompt}", "close every [ with one ]")


def check_blend(where: str, words: Sequence[str], source: str, target: str) -> Iterator[Finding]:
    """Two blend words, found in their prompts: if not, prompt-to-prompt editing silently returns the source."""
    if len(words) not in (0, 2):
        yield Finding(where, f"blended_word is '{' '.join(words)}', expected two words or none", "correct it")
        return
    for word, prompt, name in zip(words, (source, target), ("source", "target"), strict=False):
        if not has_words(prompt, word):
            yield Finding(where, f"blend word '{word}' is not in the {name} prompt: {prompt}", "correct it")


def check_unique(names: Sequence[str], what: str) -> Iterator[Finding]:
    """No name occurs twice."""
    for name, count in Counter(names).items():
        if count > 1:
            yield Finding(name, f"{what} occurs {count} times", "remove all but one")
