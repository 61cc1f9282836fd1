"""Steps back: what "undo that" and "back to the red one" mean among the captions of the turns made so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from undrift.instructions.caption import Part, branch, parse
from undrift.instructions.english import same_noun, spelt
from undrift.instructions.forms import Gaps
from undrift.instructions.lexicon import pairs, words
from undrift.instructions.names import New
from undrift.instructions.refusals import NotUnderstood, Why

_FIRST = frozenset({"original", "start", "beginning", "source", "first", "originals", "scratch"})
_BEFORE = frozenset({"previous", "last", "before"})
_FILLING = frozenset(
    {"the", "a", "an", "one", "ones", "version", "picture", "image", "photo", "turn", "with", "where", "it", "was",
     "that", "had", "when", "how", "in", "on", "at", "wearing", "as", "of", "there", "is", "were", "state", "my",
     "very", "step"}
)  # fmt: skip


def turn_meant(edit: str, gaps: Gaps, history: Sequence[str]) -> int:
    """The turn, counted from the original (0), that an "undo" or "back" goes to.

    Args:
        edit: "undo" or "back".
        gaps: of the form.
        history: the captions from the original to now.

    Raises:
        NotUnderstood: no turn was made, or none is like that.
    """
    now = len(history) - 1
    if now < 1:
        if "past" in gaps and edit == "back":
            raise NotUnderstood(Why.NOTHING_TO_GO_BACK_TO, said=str(gaps["past"]))
        raise NotUnderstood(Why.NOTHING_TO_UNDO, step=edit)
    if edit == "undo" and "past" in gaps:
        return _last_change(str(gaps["past"]), history)
    if edit == "undo":
        steps = int(gaps.get("count", 1))
        if not 0 < steps <= now:
            raise NotUnderstood(Why.NOT_SO_MANY_TURNS, count=steps, last=now)
        return now - steps
    if "turn" in gaps or "numbered" in gaps:
        return _counted(int(gaps["turn" if "turn" in gaps else "numbered"]), now)
    return _remembered(str(gaps["past"]), history) if "past" in gaps else 0


def thing_meant(said: str, history: Sequence[str]) -> tuple[Part, New]:
    """What "bring back the hat" brings back: the part as it last was, and the thing with what belonged to it.

    Raises:
        NotUnderstood: no earlier picture had it, or it is there.
    """
    wanted = _telling_words(said)
    if history and wanted and _has(history[-1], wanted):
        raise NotUnderstood(Why.HAS_ALREADY, said=said)
    for caption in reversed(history[:-1]):
        parts = list(parse(caption).parts)
        for number, part in enumerate(parts):
            if part.phrase is None or part.is_place or number == 0 or not wanted:
                continue
            if _all_in(wanted, part):
                inner = [parts[k] for k in branch(parts, number)][1:]
                return part, New((Part((), part.phrase), *(replace(each, origin=None) for each in inner)))
    raise NotUnderstood(Why.NEVER_THERE, said=said)


def _last_change(said: str, history: Sequence[str]) -> int:
    """The turn before now, if what "undo the hat" names is what changed then."""
    wanted = _telling_words(said)
    now, before = (_naming(caption, wanted) for caption in (history[-1], history[-2]))
    if not wanted or now == before:
        raise NotUnderstood(Why.NO_SUCH_CHANGE, said=said)
    return len(history) - 2


def _naming(caption: str, wanted: Sequence[str]) -> list[str]:
    """The parts of a caption that have all of these words, with their joiners."""
    return [" ".join(part.words) for part in parse(caption).parts if _all_in(wanted, part)]


def _counted(turn: int, now: int) -> int:
    if not 0 <= turn < now:
        raise NotUnderstood(Why.NO_SUCH_TURN, turn=turn, last=now)
    return turn


def _remembered(said: str, history: Sequence[str]) -> int:
    heard = said.split()
    wanted = _telling_words(said)
    if wanted and all(word in _FIRST for word in wanted):
        return 0
    if wanted and all(word in _BEFORE for word in wanted):
        return len(history) - 2
    if not wanted or {"without", "before", "not", "no", "after"} & set(heard):
        raise NotUnderstood(Why.UNCLEAR_TURN, said=said)
    if _has(history[-1], wanted):
        raise NotUnderstood(Why.BACK_TO_THE_SAME, said=said)
    for turn in range(len(history) - 2, -1, -1):
        if _has(history[turn], wanted):
            return turn
    raise NotUnderstood(Why.NO_PICTURE_LIKE_THAT, said=said)


def _telling_words(said: str) -> list[str]:
    """The words that tell one picture from another; "dots" are what makes something dotted."""
    filling = _FILLING | words("determiners", "possessives")
    return [pairs("patterns", "words").get(word, word) for word in said.split() if word not in filling]


def _has(caption: str, wanted: Sequence[str]) -> bool:
    """Whether one thing of a caption has all of these words."""
    return any(_all_in(wanted, part) for part in parse(caption).parts if part.phrase is not None)


def _all_in(wanted: Sequence[str], part: Part) -> bool:
    if part.phrase is None:
        return False
    modifiers = [spelt(modifier) for modifier in part.phrase.modifiers]
    return all(spelt(word) in modifiers or same_noun(word, part.phrase.noun) for word in wanted)
