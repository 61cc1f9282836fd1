"""What turns have to be, whoever proposes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from undrift.bench.data.pie import TYPES, PieEntry, has_words
from undrift.bench.data.prompts import MAX_WORDS, count_words
from undrift.errors import UndriftError

DELETE = 3


class Dropped(UndriftError):
    """No good turns could be made for a picture; the message says why."""


@dataclass(frozen=True)
class Proposal:
    """A turn that follows the benchmark's own edit.

    Attributes:
        type: key of ``TYPES``, not 0.
        instruction: the edit as an instruction.
        caption: what the picture then shows, all earlier edits included.
        phrase: the words of the caption that are new; for a delete the words that are gone.
    """

    type: int
    instruction: str
    caption: str
    phrase: str


def complaints(entry: PieEntry, proposals: Sequence[Proposal], count: int) -> list[str]:
    """What is wrong with turns for a picture, a line each; empty if they may be used.

    There are to be ``count`` of them, each of another type than all others and than the benchmark's own edit, never
    of type 0. Each caption has to change, to be short enough for CLIP, to say what is new, and to keep what earlier
    turns and the benchmark's own edit brought, unless a delete took it away.
    """
    found = [f"{len(proposals)} turns, expected {count}"] if len(proposals) != count else []
    kept, before, used = list(kept_phrases(entry)), entry.target_prompt, [entry.type]
    for number, turn in enumerate(proposals, 2):
        wrong = [*_of_type(turn, used), *_of_caption(turn, before, kept)]
        found += [f"turn {number}: {said}" for said in wrong]
        kept = _after(turn, kept)
        used, before = [*used, turn.type], turn.caption
    return found


def kept_phrases(entry: PieEntry) -> tuple[str, ...]:
    """What the benchmark's own edit brought, as its brackets mark it."""
    return tuple(part for part in entry.marked if has_words(entry.target_prompt, part))


def _of_type(turn: Proposal, used: Sequence[int]) -> list[str]:
    if turn.type not in TYPES or turn.type == 0:
        return [f"type {turn.type}, expected 1 to {max(TYPES)}"]
    return [f"type {turn.type} was already used"] if turn.type in used else []


def _of_caption(turn: Proposal, before: str, kept: Sequence[str]) -> list[str]:
    found = [] if turn.instruction.strip() else ["no instruction"]
    if turn.caption.strip() == before.strip():
        found.append("the caption does not change")
    if count_words(turn.caption) > MAX_WORDS:
        found.append(f"the caption has {count_words(turn.caption)} words, at most {MAX_WORDS} fit")
    return [*found, *_of_phrase(turn, before), *_of_carry_over(turn, kept)]


def _of_phrase(turn: Proposal, before: str) -> list[str]:
    holder, other = (before, turn.caption) if turn.type == DELETE else (turn.caption, before)
    where = ("before", "after") if turn.type == DELETE else ("after", "before")
    if not has_words(holder, turn.phrase):
        return [f"the phrase '{turn.phrase}' is not in the caption {where[0]} the turn"]
    if has_words(other, turn.phrase):
        return [f"the phrase '{turn.phrase}' is also in the caption {where[1]} the turn"]
    return []


def _of_carry_over(turn: Proposal, kept: Sequence[str]) -> list[str]:
    lost = [phrase for phrase in _after(turn, kept) if not has_words(turn.caption, phrase)]
    return [f"the caption lost '{phrase}' of an earlier edit" for phrase in lost]


def _after(turn: Proposal, kept: Sequence[str]) -> list[str]:
    """The phrases that captions from this turn on have to keep."""
    if turn.type != DELETE:
        return [*kept, turn.phrase]
    return [phrase for phrase in kept if not (has_words(phrase, turn.phrase) or has_words(turn.phrase, phrase))]
