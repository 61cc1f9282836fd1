"""The turns of a session said of another picture: captions that say of it what the recorded ones say of the first.

A caption is carried over word by word, as a file is that two people changed: what the turn changed of its words is
changed in the other caption too. Nothing is guessed: where the other caption has not the words that a turn changed,
the turn has no sure meaning there, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from undrift.attention.words import differences
from undrift.errors import InputError
from undrift.instructions import Reading
from undrift.instructions.exchange import Said
from undrift.session.model import Turn, TurnSpec
from undrift.session.saying import check_edit, heard_after
from undrift.session.tree import Tree


@dataclass(frozen=True)
class Carried:
    """The words of one edit, said of another picture.

    Attributes:
        prompt: what the result is to show.
        source_prompt: what is said of the picture before, where the recorded turn had its own words for that.
        words: those that steer; None for those that differ.
    """

    prompt: str
    source_prompt: str | None = None
    words: tuple[str, ...] | None = None


def carried_turns(tree: Tree, turns: Sequence[Turn], prompt: str) -> Mapping[str, Carried]:
    """By id, the edits among ``turns`` (parents first) as they are of a picture that shows ``prompt``.

    What was said as an instruction is understood anew, what was written as a caption is carried over.

    Raises:
        InputError: an edit that has no sure meaning there; the message names its turn.
    """
    captions: dict[str, str] = {tree.original.id: prompt}
    found: dict[str, Carried] = {}
    for turn in turns:
        if turn.parent is None:
            continue
        captions[turn.id] = turn.prompt if turn.kind == "import" else captions[turn.parent]
        if turn.spec is None:
            continue
        try:
            found[turn.id] = _carried(tree, turn, turn.spec, captions)
        except InputError as error:
            raise InputError(
                f"turn {turn.number} cannot be made of a picture that shows {prompt!r}: {error}"
            ) from None
        captions[turn.id] = found[turn.id].prompt
    return found


def merged(base: str, edited: str, other: str) -> str:
    """``other`` with the words changed that make ``edited`` of ``base``.

    Words are compared without case. Where both changed the same words, the edit is taken if it replaces all that
    either changed; so merged(b, e, b) = e, merged(b, b, o) = o and merged(b, e, e) = e, but for white space.

    Raises:
        InputError: ``other`` says something else where ``edited`` changes a part.
    """
    words, new, result = base.split(), edited.split(), other.split()
    own = _changes(words, result)
    for change in reversed([change for change in _changes(words, new) if change.tag != "equal"]):
        put = _words(new, change)
        if change.tag == "insert" and any(one.here == change.here and _words(result, one) == put for one in own):
            continue
        result[_place(change, own, words, put)] = put
    return " ".join(result)


class _Change(NamedTuple):
    """One run of words: what becomes of it, and where it is in either caption."""

    tag: str
    here: range
    there: range


def _changes(words: Sequence[str], others: Sequence[str]) -> list[_Change]:
    """What makes ``others`` of ``words``; as many words in place of others stand for them one by one."""
    folded = [[word.casefold() for word in side] for side in (words, others)]
    found: list[_Change] = []
    for tag, here, there in differences(*folded):
        if tag == "replace" and len(here) == len(there):
            found += [_Change(tag, range(i, i + 1), range(k, k + 1)) for i, k in zip(here, there, strict=True)]
        else:
            found.append(_Change(tag, here, there))
    return found


def _place(change: _Change, own: Sequence[_Change], words: Sequence[str], put: Sequence[str]) -> slice:
    """Where ``change`` belongs in the other caption, which ``own`` makes of ``words``."""
    start, stop = change.here.start, change.here.stop
    for one in own:
        meets = one.here.start < max(stop, start + 1) and start < one.here.stop and one.tag != "equal"
        inside = start <= one.here.start and one.here.stop <= stop
        if meets and not inside and not (start == stop == one.here.start):
            said = " ".join(words[min(start, one.here.start) : max(stop, one.here.stop)])
            raise InputError(f"it has something else in place of '{said}', of which the turn changes a part")
    first = _moved(start, own)
    return slice(first, first if start == stop else _moved(stop - 1, own, after=True))


def _moved(place: int, own: Sequence[_Change], *, after: bool = False) -> int:
    """Where the word at ``place`` begins, or ends, in the other caption; if it is not there, what stands for it."""
    for one in own:
        if place in one.here:
            step = place - one.here.start
            if one.tag == "equal":
                return one.there.start + step + after
            return one.there.stop if after else one.there.start
    return own[-1].there.stop if own else 0


def _carried(tree: Tree, turn: Turn, spec: TurnSpec, captions: Mapping[str, str]) -> Carried:
    before, now = tree.turns[str(turn.parent)].prompt, captions[str(turn.parent)]
    own = spec.source_prompt != before
    if now == before:
        return Carried(spec.target_prompt, spec.source_prompt if own else None, spec.words)
    reading = _understood(tree, turn, spec, captions)
    if reading is not None:
        return Carried(reading.target, reading.source if reading.source != now else None, reading.words)
    source = merged(before, spec.source_prompt, now)
    target = merged(spec.source_prompt, spec.target_prompt, source)
    there = {word.casefold() for word in target.split()}
    words = tuple(word for word in spec.words or () if word.casefold() in there)
    return Carried(target, source if own else None, words or None)


def _understood(tree: Tree, turn: Turn, spec: TurnSpec, captions: Mapping[str, str]) -> Reading | None:
    """What was said for ``turn``, understood of the other picture; None if nothing was, or it has no sure reading."""
    if spec.instruction is None:
        return None
    steps = tree.path(tree.turns[str(turn.parent)])
    said = [Said(step.spec.instruction if step.spec else None, captions[step.id]) for step in steps]
    try:
        reading = heard_after(said, spec.instruction, "instruction")
        check_edit(reading)
    except InputError:
        return None
    return reading


def _words(caption: Sequence[str], change: _Change) -> Sequence[str]:
    return caption[change.there.start : change.there.stop]
