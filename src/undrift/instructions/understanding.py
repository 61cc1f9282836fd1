"""From a text to what the picture is to show: the one place that joins forms, edits, history and worlds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from undrift.instructions.caption import Part, Phrase, parse
from undrift.instructions.draft import Draft
from undrift.instructions.edits import EDITS
from undrift.instructions.english import singular
from undrift.instructions.forms import Request, first_words, nearest_example, requests
from undrift.instructions.history import thing_meant, turn_meant
from undrift.instructions.lexicon import adjective_class, all_nouns, is_adjective, nearest, pairs, words
from undrift.instructions.names import references
from undrift.instructions.reading import Kind, NotUnderstood, Reading, TextForm
from undrift.instructions.tokens import Token, tokenise, without_politeness
from undrift.instructions.world import world_of

_MARKS = frozenset(
    {"please", "should", "must", "would", "could", "might", "instead", "you", "undo", "need", "needs", "want", "wish",
     "better"}
)  # fmt: skip
"""Words that make a text an instruction wherever they stand."""
_STEPS: dict[str, Kind] = {"undo": "undo", "back": "back"}
_STRENGTHS: dict[str, tuple[Kind, int]] = {"more": ("more", 1), "less": ("less", -1)}
_ARROW = re.compile(r"->|=>|\u2192")
_POINTING = (
    words("determiners", "articles")
    | words("determiners", "possessives")
    | words("pronouns", "it")
    | {"everything", "all", "only", "background", "anything", "nothing"}
)
_MEASURES = frozenset({"more", "less", "slightly", "too", "not", "even", "much"})
_AMBIGUOUS = frozenset(
    {"back", "more", "less", "no", "with", "without", "in", "on", "at", "as", "like", "now", "how"}
)


def understand(text: str, caption: str, history: Sequence[str] = (), form: TextForm | None = None) -> Reading:
    """What a text asks for.

    Args:
        text: an instruction such as "make the dog blue", or a caption, which says all that the picture is to show.
        caption: what it shows now; empty if nobody said.
        history: the captions of the turns from the original to now, ``caption`` the last; for "undo that".
        form: what the text is; None finds out.

    Raises:
        NotUnderstood: an instruction that has no sure reading; nothing is guessed.
    """
    if not text.strip():
        raise NotUnderstood("the text is empty: say what to change, or what the picture is to show")
    said = form or text_form(text, caption)
    if said == "caption":
        return Reading(text, "caption", (), caption, text)
    tokens = without_politeness(tokenise(text))
    _check_spelling(tokens, " ".join((caption, *history)))
    asked = requests(tokens, nouns_of(caption))
    if asked is None:
        example = nearest_example(" ".join(token.low for token in tokens))
        raise NotUnderstood(
            f"cannot tell what '{text}' asks for; the nearest form is '{example}', or give the whole caption"
        )
    return _answer(text, caption, list(history) or [caption], asked)


def text_form(text: str, caption: str = "") -> TextForm:
    """Whether a text is an instruction or a caption.

    It is an instruction if it begins as one, or has a word that only instructions have. What could be both, such as
    "paint on a wall", is an instruction only if all of it can be read as one.
    """
    spoken = tokenise(text)
    tokens = without_politeness(spoken)
    if not tokens:
        return "caption"
    lows = [token.low for token in tokens]
    if "?" in text or _ARROW.search(text) or _MARKS & {token.low for token in spoken} or _ends_in_quality(lows):
        return "instruction"
    if lows[0] in _MEASURES or (lows[:2] in (["a", "bit"], ["a", "little"]) and len(lows) > 2 and _measures(lows[2])):
        return "instruction"
    first, second = lows[0], lows[1] if len(lows) > 1 else ""
    named = {word.lower() for word in caption.split()}
    points = second in _POINTING | words("verbs", "leaving") or second in named - words("relations", "prepositions")
    if _commands_unknown(first, second):
        return "instruction"
    if first in words("verbs", "commands") and (points or first not in all_nouns()):
        return "instruction"
    if first in first_words() - words("determiners", "articles"):
        weak = first in _AMBIGUOUS | words("relations", "prepositions")
        unclear = weak or first in all_nouns() | words("verbs", "also_nouns") or is_adjective(first)
        if not unclear or (points and not weak):
            return "instruction"
    slip = nearest(first)
    if slip in first_words() and points and first not in named:
        return "instruction"
    return "instruction" if requests(tokens, nouns_of(caption)) else "caption"


def _commands_unknown(first: str, second: str) -> bool:
    """Whether a text begins as a command with a verb that is not listed: "ditch the ...", "see it ..."."""
    names = words("determiners", "articles") | words("determiners", "possessives") | words("determiners", "numbers")
    opens = names | words("relations", "prepositions") | {"and", "or", "just", "all"}
    known = first in opens or first in all_nouns() | words("verbs", "also_nouns") or is_adjective(first)
    plain = first.isalpha() and not first.endswith(("ing", "ed", "s"))
    return plain and not known and second in {"the", "this", "that", "it", *words("determiners", "possessives")}


def _ends_in_quality(lows: Sequence[str]) -> bool:
    """Whether a text ends as no caption does, in a thing's colour or pattern: "cat blue"."""
    if len(lows) < 2 or adjective_class(lows[-1]) not in ("colour", "pattern") or lows[-1] in all_nouns():
        return False
    before = lows[-2]
    joined = before in words("relations", "prepositions") or before in ("and", ",", "in")
    return not joined and not is_adjective(before) and before not in words("determiners", "articles")


def _measures(word: str) -> bool:
    return word in ("more", "less") or is_adjective(word) or word in pairs("comparatives", "words")


def nouns_of(caption: str) -> frozenset[str]:
    """The nouns that a caption names its things with, in the singular."""
    return frozenset(singular(phrase.noun) for _, phrase in parse(caption).things())


def _check_spelling(tokens: Sequence[Token], known: str) -> None:
    also = re.findall(r"[^\W\d_]+", known.lower())
    for place, token in enumerate(tokens):
        is_name = token.text[:1].isupper() and not token.text.isupper() and place > 0
        close = None if token.quoted or is_name else nearest(token.low, also)
        if close:
            raise NotUnderstood(
                f"'{token.text}' is no word that is known here: did you mean '{close}'? In quotes it stays"
            )


def _answer(text: str, caption: str, history: list[str], asked: list[Request]) -> Reading:
    first = asked[0]
    if first.edit in _STEPS:
        turn = turn_meant(first.edit, first.gaps, history)
        return Reading(text, "instruction", (_STEPS[first.edit],), caption, history[turn], turn=turn)
    if first.edit in _STRENGTHS:
        if len(history) < 2:
            raise NotUnderstood(f"'{first.edit}' of what? No turn was made yet: say what to change")
        kind, strength = _STRENGTHS[first.edit]
        return Reading(text, "instruction", (kind,), history[-2], caption, strength=strength)
    return _edited(text, caption, history, asked)


def _edited(text: str, caption: str, history: list[str], asked: list[Request]) -> Reading:
    source = caption if caption.strip() else _implied(asked)
    world = world_of(source)
    draft = Draft(parse(source), world)
    for request in asked:
        _edit(draft, request, history)
    target = draft.text
    objection = world.objection(parse(target)) if world else None
    if objection:
        raise NotUnderstood(objection)
    if "instead" in text.lower().split() and "add" in draft.kinds and "instead of" not in text.lower():
        raise NotUnderstood("instead of what? Say 'replace the ... with a ...'")
    if target == source:
        raise NotUnderstood(f"'{text}' changes nothing: the caption says '{source}' already")
    return Reading(text, "instruction", tuple(draft.kinds), source, target, _steering(draft, target))


def _edit(draft: Draft, request: Request, history: Sequence[str]) -> None:
    if request.edit == "put_back":
        _, new = thing_meant(str(request.gaps["past"]), history)
        EDITS["add"](draft, {"new": (new,)})
    else:
        EDITS[request.edit](draft, request.gaps)


def _implied(asked: Sequence[Request]) -> str:
    """The caption that an instruction itself implies where none is known: "make the dog blue" shows "a dog".

    Raises:
        NotUnderstood: it names nothing that the picture shows.
    """
    named = [
        reference
        for request in asked
        for gap in ("things", "thing", "anchor")
        for reference in references(request.gaps.get(gap))
        if not reference.is_pronoun and reference.owner is None and reference.beside is None
    ]
    if not named or any(request.edit in ("background", "when", "style", "remove", "put_back") for request in asked):
        raise NotUnderstood("no caption says what the picture shows: give one first, or say all that it is to show")
    phrases = [Phrase("a", each.modifiers, each.noun) for each in named[:1]]
    new = [Part((), phrase.agreeing()) for phrase in phrases]
    return " ".join(word for part in new for word in part.words)


def _steering(draft: Draft, target: str) -> tuple[str, ...] | None:
    """The new words of things, poses and style, each with its thing where it occurs more than once in the caption."""
    before = draft.caption.parts
    found: list[str] = []
    heard = re.findall(r"[\w'-]+", target.lower())
    for part in draft.parts:
        old = before[part.origin] if part.origin is not None else None
        found += _new_words(part, old, heard)
    if draft.opening != draft.caption.opening:
        found.append(re.sub(r"^(?:an?|the)\s+|\s+of$", "", draft.opening))
    if draft.manner and draft.manner != draft.caption.manner:
        found.append(draft.manner.rsplit(" of ", 1)[-1])
    return tuple(dict.fromkeys(found)) or None


def _new_words(part: Part, old: Part | None, heard: Sequence[str]) -> list[str]:
    if part.phrase is None:
        return [" ".join(part.joiner)] if old is None or old.joiner != part.joiner else []
    was = old.phrase.words if old is not None and old.phrase is not None else ()
    new = [word for word in (*part.phrase.modifiers, part.phrase.noun) if word not in was and word != "and"]
    if all(heard.count(word.lower()) == 1 for word in new):
        return new
    return [" ".join((*part.phrase.modifiers, part.phrase.noun))]
