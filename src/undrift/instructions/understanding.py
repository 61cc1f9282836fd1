"""From a text to what the picture is to show: the one place that joins forms, edits, history and worlds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from undrift.instructions.advice import advice
from undrift.instructions.caption import Part, Phrase, parse
from undrift.instructions.draft import Draft
from undrift.instructions.edits import EDITS
from undrift.instructions.english import singular
from undrift.instructions.forms import MOST_WORDS, Named, Request, requests
from undrift.instructions.history import thing_meant, turn_meant
from undrift.instructions.names import Reference, references
from undrift.instructions.reading import Kind, Reading, TextForm
from undrift.instructions.refusals import NotUnderstood, Why
from undrift.instructions.spelling import corrected
from undrift.instructions.text_form import named_in, text_form
from undrift.instructions.tokens import Token, tokenise, without_politeness
from undrift.instructions.world import world_of

_STEPS: dict[str, Kind] = {"undo": "undo", "back": "back"}
_ADDING = frozenset({"add", "want", "wear"})
_STRENGTHS: dict[str, tuple[Kind, int]] = {"more": ("more", 1), "less": ("less", -1)}


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
        raise NotUnderstood(Why.EMPTY)
    said = form or text_form(text, caption)
    if said == "caption":
        return Reading(text, "caption", (), caption, text)
    spoken = tokenise(text)
    if len(spoken) > MOST_WORDS:
        raise NotUnderstood(Why.TOO_LONG, words=len(spoken), most=MOST_WORDS)
    spelt, notes = corrected(spoken, caption, history)
    tokens = without_politeness(spelt)
    if not tokens:
        raise NotUnderstood(Why.NO_WORDS, text=text)
    turns = list(history) or [caption]
    named = named_in(caption)
    asked = requests(tokens, named) or requests(spelt, named)
    if asked is None or not all(request.refers for request in asked):
        meant = requests(tokens, named, fragments=True)
        if meant is not None and all(request.refers for request in meant):
            asked = meant
            notes.append("read as a change of what is there; --caption makes it all that the picture is to show")
    if asked is None and any(token.low == "please" for token in spelt):
        asked = _wished(tokens, named)
    if asked is None:
        raise advice(text, tokens, caption, lambda said: _is_read(said, caption, turns))
    reading = _answer(text, caption, turns, asked)
    return replace(reading, note="; ".join((*notes, *filter(None, [reading.note]))))


def _wished(tokens: Sequence[Token], named: Named) -> list[Request] | None:
    """A thing that somebody says "please" for, "yellow balloon please", as one to be added: no caption has a please.

    Of a picture that has such a thing already, nobody knows what becomes of that.
    """
    asked = requests([Token("add", "add"), *tokens], named)
    bare = asked is not None and [request.edit for request in asked] == ["add"] and set(asked[0].gaps) == {"new"}
    if asked is None or not bare:
        return None
    phrases = [new.phrase for new in asked[0].gaps["new"]]
    fresh = all(each.determiner.lower() in ("a", "an", "") and singular(each.noun) not in named for each in phrases)
    return asked if fresh else None


def _is_read(tokens: Sequence[Token], caption: str, history: list[str]) -> bool:
    """Whether words are an instruction that can be carried out."""
    asked = requests(tokens, named_in(caption)) if tokens else None
    try:
        return asked is not None and bool(_answer(" ".join(token.text for token in tokens), caption, history, asked))
    except NotUnderstood:
        return False


def _answer(text: str, caption: str, history: list[str], asked: list[Request]) -> Reading:
    first = asked[0]
    if first.edit in _STEPS:
        turn = turn_meant(first.edit, first.gaps, history)
        return Reading(text, "instruction", (_STEPS[first.edit],), caption, history[turn], turn=turn)
    if first.edit in _STRENGTHS:
        if len(history) < 2:
            raise NotUnderstood(Why.NO_TURN_TO_STRENGTHEN, step=first.edit)
        kind, strength = _STRENGTHS[first.edit]
        return Reading(text, "instruction", (kind,), history[-2], caption, strength=strength)
    return _edited(text, caption, history, asked)


def _edited(text: str, caption: str, history: list[str], asked: list[Request]) -> Reading:
    source = caption if caption.strip() else _implied(asked)
    world = world_of(source)
    draft = Draft(parse(source), world)
    for request in asked:
        _edit(draft, request, history)
    if _puts_in_place(text) and "add" in draft.kinds and "delete" not in draft.kinds:
        swapped = [replace(request, edit="swap_in") if request.edit in _ADDING else request for request in asked]
        if swapped == asked or not all("new" in request.gaps for request in swapped if request.edit == "swap_in"):
            raise NotUnderstood(Why.INSTEAD_OF_WHAT)
        return _edited(text, caption, history, swapped)
    if _puts_in_place(text) and draft.kinds == ["background"] and len(draft.parts) > len(draft.caption.parts):
        raise NotUnderstood(Why.INSTEAD_OF_WHAT)
    target = draft.text
    objection = world.objection(parse(target)) if world else None
    if objection:
        raise objection
    if target == source:
        raise NotUnderstood(Why.CHANGES_NOTHING, text=text, caption=source)
    note = "; ".join(dict.fromkeys(draft.notes))
    return Reading(text, "instruction", tuple(draft.kinds), source, target, _steering(draft, target), note=note)


def _puts_in_place(text: str) -> bool:
    """Whether a text says "instead" without saying of what."""
    words = re.findall(r"[\w']+", text.lower())
    return "instead" in words and "instead of" not in " ".join(words)


def _edit(draft: Draft, request: Request, history: Sequence[str]) -> None:
    if request.edit == "put_back":
        past, new = thing_meant(str(request.gaps["past"]), history)
        if past.lead == "holding":
            EDITS["hold"](draft, {"things": (Reference("it", (), draft.phrase(0).noun.lower()),), "new": (new,)})
        else:
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
        raise NotUnderstood(Why.NO_CAPTION)
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
