"""What would make an edit a guess, and is refused instead."""

from __future__ import annotations

from collections.abc import Callable

from undrift.instructions.caption import SCENE, Part, Phrase
from undrift.instructions.draft import Draft
from undrift.instructions.english import is_time, same_noun, spelt
from undrift.instructions.lexicon import compared, pairs, words
from undrift.instructions.names import New, Reference
from undrift.instructions.refusals import Names, NotUnderstood, Why


def check_before(draft: Draft, number: int, before: tuple[str, ...] | None) -> None:
    if before is None:
        return
    phrase = draft.phrase(number)
    if not {spelt(word) for word in before} <= {spelt(word) for word in (*phrase.modifiers, phrase.noun)}:
        raise NotUnderstood(Why.NOT_WHAT_IT_SAYS, shown=phrase.text, said=" ".join(before))


def check_place(draft: Draft, before: tuple[str, ...]) -> None:
    places = [draft.phrase(k) for k, part in enumerate(draft.parts) if part.is_place]
    if not any(before[-1] == phrase.noun.lower() for phrase in places):
        said, shown = " ".join(before), Names(phrase.text for phrase in places)
        if shown:
            raise NotUnderstood(Why.OTHER_BACKGROUND, shown=shown, said=said)
        raise NotUnderstood(Why.NO_BACKGROUND, said=said)


def check_new(draft: Draft, new: New) -> None:
    if new.phrase.noun in ("one", "ones"):
        raise NotUnderstood(Why.ONE_OF_WHAT, said=new.phrase.text)
    pattern = pairs("patterns", "words").get(new.phrase.noun)
    if pattern is not None:
        raise NotUnderstood(Why.PATTERN_IS_NO_THING, said=new.phrase.text, pattern=pattern)
    if is_time(new.phrase.noun) or (draft.world is not None and draft.world.is_place(new.phrase.noun)):
        raise NotUnderstood(Why.BACKGROUND_NOT_ADDED, said=new.phrase.text)
    more = new.phrase.determiner.lower() in words("determiners", "counting")
    there = any(same_noun(phrase.noun, new.phrase.noun) for _, phrase in draft.named())
    if known(draft, new) is not None or (more and there):
        raise NotUnderstood(Why.THERE_ALREADY, thing=new.phrase.noun)


def check_pose(draft: Draft, number: int, before: tuple[str, ...] | None) -> None:
    """Refuse "jump instead of sitting" of what does not sit."""
    if before is None:
        return
    posed = [part for k, part in enumerate(draft.parts) if draft.owner(k) == number]
    if draft.world is not None and before[0] == draft.world.poses[0] and not any(part.pose for part in posed):
        return  # standing is what its captions do not say
    if not any(part.joiner[: len(before)] == before for part in posed):
        raise NotUnderstood(Why.POSE_NOT_SAID, thing=draft.phrase(number).noun, pose=" ".join(before))


def check_time(draft: Draft, number: int, new: New) -> None:
    """Refuse what is no time in the place of one, and a time in the place of a thing; a world has places only."""
    part = draft.parts[number]
    if part.is_place and draft.world is not None and draft.world.is_place(new.phrase.noun):
        return
    if part.is_time and not is_time(new.phrase.noun):
        raise NotUnderstood(Why.NO_TIME, said=new.phrase.text)
    if not part.is_place and is_time(new.phrase.noun):
        raise NotUnderstood(Why.IS_TIME, said=new.phrase.text, time=new.phrase.noun)


def check_pictured(draft: Draft, number: int, new: New) -> None:
    """Refuse to turn a thing into what only a whole picture can be, a scene or a sketch; a poster can become one."""
    noun, old = new.phrase.noun.lower(), draft.phrase(number).noun.lower()
    drawn = draft.world is not None and draft.world.is_place(noun)
    if (noun in words("styles", "settings") or drawn) and not draft.parts[number].is_place:
        raise NotUnderstood(Why.IS_SETTING, said=new.phrase.text)
    if noun in words("styles", "nouns") and old not in words("styles", "nouns") | {"mirror", "sign", "screen"}:
        raise NotUnderstood(Why.IS_STYLE, said=new.phrase.text)


def check_wearer(draft: Draft, number: int, new: New) -> None:
    """Refuse clothes, in a world, for what cannot wear them."""
    who = draft.phrase(number).noun
    if draft.world is not None and is_wearable(new.phrase) and who not in draft.world.wearers:
        raise NotUnderstood(Why.CANNOT_WEAR, thing=who, new=new.phrase.text, wearers=Names(draft.world.wearers))


def is_wearable(phrase: Phrase) -> bool:
    """Whether a thing is worn."""
    return any(same_noun(phrase.noun, noun) for noun in words("nouns", "wearable"))


def check_comparing(draft: Draft, new: New) -> None:
    """Refuse to add "a bigger flower": it speaks of one that is there."""
    word = next((word for word in new.phrase.modifiers if compared(word.lower())), None)
    if word is not None:
        raise NotUnderstood(Why.COMPARED_WITH_WHAT, said=new.phrase.text, quality=word, thing=new.phrase.noun)


def check_shared(draft: Draft, concerned: Callable[[Part], bool]) -> None:
    """Refuse to change for one what the caption says of several together."""
    for number, part in enumerate(draft.parts):
        if number and concerned(part) and not part.is_place and draft.owner(number) == SCENE and part.lead != "and":
            raise NotUnderstood(Why.SHARED, said=" ".join(part.words))


def known(draft: Draft, new: New) -> Reference | None:
    """A reference to what is there already, where a new thing is called "the ..." and something has its name."""
    reference = Reference(new.phrase.text, new.phrase.modifiers, new.phrase.noun)
    there = any(same_noun(phrase.noun, new.phrase.noun) for _, phrase in draft.named())
    return reference if new.definite and there else None


def repeats(other: Phrase, phrase: Phrase) -> bool:
    """Whether a phrase speaks of the same thing once more."""
    return same_noun(other.noun, phrase.noun) and other.determiner == "the"
