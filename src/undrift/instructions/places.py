"""Where and when a picture is: putting it elsewhere, changing its time and weather."""

from __future__ import annotations

from dataclasses import replace

from undrift.instructions.caption import Part, Phrase, branch
from undrift.instructions.draft import Draft
from undrift.instructions.english import indefinite, preposition, same_noun
from undrift.instructions.lexicon import adjective_class, pairs, words
from undrift.instructions.names import New, Reference
from undrift.instructions.qualities import with_qualities
from undrift.instructions.refusals import NotUnderstood, Why
from undrift.instructions.scene_slots import Place


def set_place(draft: Draft, place: Place, *, weather: bool = False) -> None:
    """Put the picture in another place, or, as ``weather``, leave its place and change the weather or time."""
    lead = place.preposition or preposition(place.phrase.noun) or "in"
    phrase = place.phrase
    if phrase.noun.lower() == "snow" and not phrase.determiner:
        phrase = replace(phrase, determiner="the")
    known = preposition(phrase.noun)
    if known in ("at",) and phrase.determiner in ("a", "an", "the") and not phrase.modifiers:
        phrase = replace(phrase, determiner="")
    new = Part(tuple(lead.split()), phrase)
    if draft.world is not None:
        new = draft.world.place(new)
    replaced = draft.replaced_places(new, weather=weather)
    if any(draft.parts[k] == new for k in replaced):
        raise NotUnderstood(Why.SAYS_ALREADY, shown=" ".join(new.words))
    if (weather or new.is_time) and draft.world is None and _turned(draft, phrase.noun):
        return
    if replaced and new.is_time and draft.world is not None and not draft.world.is_place(phrase.noun):
        gone = " ".join(draft.parts[replaced[0]].words)
        raise NotUnderstood(Why.ONLY_BACKGROUND, new=" ".join(new.words), shown=gone)
    if replaced:
        replaced += [k for number in replaced for k in branch(draft.parts, number)[1:]]
        draft.parts[replaced[0]] = replace(new, origin=draft.parts[replaced[0]].origin)
        draft.parts = [part for k, part in enumerate(draft.parts) if k not in replaced[1:]]
    else:
        draft.parts.insert(_after_places(draft), new)
    draft.kinds.append("background")


def _turned(draft: Draft, weather: str) -> bool:
    """Change the weather where an adjective says it: rain makes "a sunny park" a rainy one; False if none does.

    Raises:
        NotUnderstood: several do, or the adjective does not go with the time of day.
    """
    said = [
        (k, word)
        for k, phrase in draft.named()
        for word in phrase.modifiers
        if adjective_class(word.lower()) == "weather"
    ]
    adjective = pairs("weather", "adjectives").get(weather)
    clash = [k for k, word in said if weather in words("weather", "dark") and word in words("weather", "sunlit")]
    if clash or (said and adjective and len(said) > 1):
        number = (clash or [k for k, _ in said])[0]
        raise NotUnderstood(Why.DOES_NOT_GO_WITH, shown=draft.phrase(number).text, weather=weather)
    if not said or adjective is None:
        return False
    number, word = said[0]
    if word == adjective:
        raise NotUnderstood(Why.SAYS_ALREADY, shown=draft.phrase(number).text)
    draft.rewrite(number, with_qualities(draft.phrase(number), (adjective,)))
    draft.kinds.append("background")
    return True


def _after_places(draft: Draft) -> int:
    """Where another place or time goes: behind the last one, with what belongs to it, else to the end."""
    places = [k for k, part in enumerate(draft.parts) if part.is_place]
    return branch(draft.parts, places[-1])[-1] + 1 if places else len(draft.parts)


def set_places(draft: Draft, new: New) -> None:
    """Where and when of "a city at night" in the place of a place."""
    odd = next((part for part in new.parts[1:] if not part.is_time), None)
    if odd is not None or (len(new.parts) > 1 and draft.world is not None):
        raise NotUnderstood(Why.TOO_MUCH_FOR_PLACE, said=" ".join((odd or new.parts[1]).words))
    set_place(draft, Place(None, new.phrase))
    for part in new.parts[1:]:
        assert part.phrase is not None, "a time has a noun"
        set_place(draft, Place(part.lead, part.phrase), weather=True)


def setting(scene: Phrase) -> Place:
    """Where "a beach scene" is set, which no thing can become."""
    place = set_in(scene)
    if place is None:
        raise NotUnderstood(Why.IS_SETTING, said=scene.text)
    return Place(None, Phrase(indefinite(place, place), (), place))


def set_in(scene: Phrase) -> str | None:
    """The place or time of "a beach scene" and "a night photo"; None if it names none."""
    pictures = words("styles", "settings") | words("styles", "nouns")
    if scene.noun.lower() not in pictures or not scene.modifiers:
        return None
    said = scene.modifiers[-1]
    place = pairs("weather", "words").get(said, said)
    return place if preposition(place) is not None else None


def is_picture(draft: Draft, reference: Reference) -> bool:
    """Whether a reference may mean the whole picture: "it", or "the picture" where the caption names none."""
    pictures = words("styles", "nouns") | words("styles", "settings")
    if reference.noun not in pictures:
        return reference.is_pronoun and draft.last is None
    return not any(same_noun(phrase.noun, reference.noun) for _, phrase in draft.named())
