"""Edits that speak of the colours that are there: taken over from another thing, kept, or exchanged."""

from __future__ import annotations

from undrift.instructions.caption import Phrase, is_animate
from undrift.instructions.draft import Draft
from undrift.instructions.forms import Gaps
from undrift.instructions.qualities import quality_class, set_qualities, with_qualities
from undrift.instructions.refusals import NotUnderstood, Why


def colours_of(phrase: Phrase) -> tuple[str, ...]:
    """The colour of a thing with its shade, ("light", "blue"); empty if the caption names none."""
    said = tuple(word.lower() for word in phrase.modifiers)
    return tuple(word for word in said if word != "and" and quality_class(word, said) == "colour")


def match(draft: Draft, gaps: Gaps) -> None:
    """Give things the colour of another thing."""
    phrase = draft.phrase(draft.find(gaps["anchor"]))
    colour = _known(phrase)
    for reference in gaps["things"]:
        set_qualities(draft, draft.find(reference), colour, reference)


def tinted(draft: Draft, gaps: Gaps) -> None:
    """Give things a colour that they are said to be "in".

    Raises:
        NotUnderstood: somebody on a photograph, who may wear it.
    """
    for reference in gaps["things"]:
        number = draft.find(reference)
        if draft.world is None and is_animate(draft.phrase(number)):
            noun = draft.phrase(number).noun
            raise NotUnderstood(Why.MAY_BE_WORN, colour=" ".join(gaps["quality"]), thing=noun)
        set_qualities(draft, number, gaps["quality"], reference)


def keep_colour(draft: Draft, gaps: Gaps) -> None:
    """Let what was just put in the place of something have the colour of that."""
    part = draft.last
    if part is None or part not in draft.parts or part.origin is None or part.phrase is None:
        raise NotUnderstood(Why.SAME_AS_WHAT)
    before = draft.caption.parts[part.origin].phrase
    colour = () if before is None else colours_of(before)
    if colours_of(part.phrase) != colour and colour:
        draft.rewrite(draft.parts.index(part), with_qualities(part.phrase, colour))


def swap_colours(draft: Draft, gaps: Gaps) -> None:
    """Exchange the colours of two things, of the only two if none are named."""
    coloured = [k for k, phrase in draft.named() if colours_of(phrase) and not draft.parts[k].is_place]
    numbers = [draft.find(reference) for reference in gaps["things"]] if "things" in gaps else coloured
    if len(numbers) != 2:
        raise NotUnderstood(Why.WHICH_TWO, named=draft.names())
    first, second = (draft.phrase(number) for number in numbers)
    colours = _known(second), _known(first)
    for number, phrase, colour in zip(numbers, (first, second), colours, strict=True):
        draft.rewrite(number, with_qualities(phrase, colour))
        draft.kinds.append("colour")


def swap(draft: Draft, gaps: Gaps) -> None:
    """Refuse to swap two things without what of them: their colours, or their places.

    Raises:
        NotUnderstood: always.
    """
    names = [draft.phrase(draft.find(reference)).noun for reference in gaps["things"]]
    if len(names) != 2:
        raise NotUnderstood(Why.WHICH_TWO, named=draft.names())
    raise NotUnderstood(Why.SWAP_WHAT, one=names[0], other=names[1])


def _known(phrase: Phrase) -> tuple[str, ...]:
    colour = colours_of(phrase)
    if not colour:
        raise NotUnderstood(Why.NO_COLOUR, thing=phrase.noun)
    return colour
