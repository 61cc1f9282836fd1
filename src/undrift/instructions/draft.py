"""A caption while it is edited, and what the words of an instruction mean in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from undrift.instructions.caption import Caption, Part, Phrase, branch, coordinate, is_animate, owner
from undrift.instructions.english import akin, excludes, is_plural, same_noun, spelt
from undrift.instructions.lexicon import words
from undrift.instructions.names import HAVING, Reference
from undrift.instructions.reading import Kind
from undrift.instructions.refusals import Names, NotUnderstood, Why
from undrift.instructions.world import World


class Draft:
    """Parts that can be changed one after the other.

    Attributes:
        parts: the caption's parts; a changed part keeps its ``origin``.
        opening, manner: as in ``Caption``.
        kinds: the kind of every edit made so far.
        world: the world that the caption is of, None for photographs.
        last: the part that was edited last, which "it" means from then on.
        notes: what was taken for what, where the caption calls a thing by another name.
    """

    def __init__(self, caption: Caption, world: World | None = None) -> None:
        self.caption = caption
        self.world = world
        self.parts = list(caption.parts)
        self.opening, self.manner = caption.opening, caption.manner
        self.kinds: list[Kind] = []
        self.last: Part | None = None
        self.notes: list[str] = []

    @property
    def text(self) -> str:
        """The caption as it stands."""
        edited = replace(self.caption, opening=self.opening, parts=tuple(self.parts), manner=self.manner)
        return edited.text

    def phrase(self, number: int) -> Phrase:
        """The thing that a part names.

        Raises:
            NotUnderstood: it names none, as the beginning of a caption such as "and".
        """
        phrase = self.parts[number].phrase
        if phrase is None:
            said = " ".join(self.parts[number].words)
            raise NotUnderstood(Why.NO_THING_IN_CAPTION, said=said)
        return phrase

    def rewrite(self, number: int, phrase: Phrase) -> None:
        """Give a part another thing or other qualities."""
        phrase = phrase if self.world is None else self.world.introduced(phrase)
        self.parts[number] = replace(self.parts[number], phrase=phrase.agreeing())
        self.last = self.parts[number]

    def insert(self, number: int, parts: Iterable[Part]) -> None:
        """Put new parts before part ``number``."""
        new = [replace(part, origin=None) for part in parts]
        if self.world is not None:
            introduced = self.world.introduced
            new = [replace(part, phrase=part.phrase and introduced(part.phrase)) for part in new]
        self.parts[number:number] = new
        self.last = new[0]

    def delete(self, number: int) -> None:
        """Take away a thing with all that is said about it; "and ..." after it takes its place."""
        gone = branch(self.parts, number)
        following = gone[-1] + 1
        heir = self.parts[following] if following < len(self.parts) else None
        joiner = self.parts[number].joiner
        if heir is not None and heir.lead in ("and", ",") and self.parts[number].lead not in ("and", ","):
            self.parts[following] = replace(heir, joiner=joiner)
        self.parts = [part for k, part in enumerate(self.parts) if k not in gone]

    def find(self, reference: Reference) -> int:
        """The number of the part that a reference means.

        Raises:
            NotUnderstood: nothing in the caption is called that, or more than one thing is.
        """
        return self._pronoun(reference) if reference.is_pronoun else self._named(reference)

    def find_first(self, reference: Reference) -> int:
        """As ``find``, where in a world that says such things of the first thing only "it" is that one."""
        first = self.world is not None and reference.is_pronoun and self.last is None
        return 0 if first else self.find(reference)

    def find_beside(self, reference: Reference) -> int:
        """As ``find_first``, where "it" is who wears what was spoken of last: nothing stands next to a worn thing."""
        number = self.find_first(reference)
        worn = reference.is_pronoun and self.parts[number].lead == "wearing"
        return self.owner(number) if worn else number

    def find_wearer(self, reference: Reference) -> int:
        """As ``find``, where "it" can only be somebody who wears things."""
        wearers = [k for k, phrase in self.named() if is_animate(phrase)]
        spoken_of = self.last in self.parts and is_animate(self.parts[self.parts.index(self.last)].phrase)
        if reference.is_pronoun and len(wearers) == 1 and not spoken_of:
            return wearers[0]
        return self.find(reference)

    def replaced_places(self, new: Part, *, weather: bool = False) -> list[int]:
        """The parts that a new place takes the place of: places give way to places, times to times that exclude them.

        In a world that has one background only, every one gives way.

        Args:
            new: the place.
            weather: whether it is said as a weather, as "snow" can be: then no place gives way.
        """
        places = [k for k, part in enumerate(self.parts) if part.is_place]
        if self.world is not None:
            return places
        if not (new.is_time or weather):
            return [k for k in places if not self.parts[k].is_time]
        noun = new.phrase.noun if new.phrase is not None else ""
        return [k for k in places if self.parts[k].is_time and excludes(noun, self.phrase(k).noun)]

    def names(self) -> Names:
        """The things that are named, to choose from."""
        return Names([f"the {_short(phrase)}" for _, phrase in self.named()] or ["nothing"])

    def owner(self, number: int) -> int:
        """As ``Caption.owner``."""
        return owner(self.parts, number)

    def named(self) -> list[tuple[int, Phrase]]:
        """Number and phrase of everything that is named."""
        return list(replace(self.caption, parts=tuple(self.parts)).things())

    def _named(self, reference: Reference) -> int:
        found = [number for number, phrase in self.named() if _fits(reference, phrase, same_noun)]
        if not found:
            found = [number for number, phrase in self.named() if _fits(reference, phrase, akin)]
            if len(found) == 1:
                self.notes.append(f"'{reference.said}' read as 'the {_short(self.phrase(found[0]))}'")
        if reference.owner is not None and not (len(found) == 1 and reference.owner.is_pronoun):
            holder = self.find(reference.owner)
            found = [number for number in found if self.owner(number) == holder]
        if reference.beside is not None:
            found = [number for number in found if self._stands(number, *reference.beside)]
        return self._only(found, reference)

    def _pronoun(self, reference: Reference) -> int:
        word = reference.noun
        things = [(k, phrase) for k, phrase in self.named() if not self.parts[k].is_place]
        if word in words("pronouns", "plural") | {"their"}:
            found = [k for k, phrase in things if is_plural(phrase.noun)]
        elif word in ("him", "his", "he", "she", "her"):
            found = _gendered(word, [(k, phrase) for k, phrase in things if is_animate(phrase)])
        else:
            found = [k for k, phrase in things]
        if self.last in self.parts:
            recent = self.parts.index(self.last)
            found = [recent] if recent in found or word in ("it", "this", "that", "its") else found
        return self._only(found, reference)

    def _only(self, found: list[int], reference: Reference) -> int:
        if len(found) == 1:
            return found[0]
        if not found:
            raise NotUnderstood(Why.NO_SUCH_THING, said=reference.said, named=self.names())
        choices = Names(f"the {_short(self.phrase(number))}" for number in found)
        raise NotUnderstood(Why.AMBIGUOUS, said=reference.said, choices=choices)

    def _stands(self, number: int, relation: str, anchor: Reference) -> bool:
        """Whether the caption says that part ``number`` is ``relation`` to ``anchor``."""
        if anchor.is_pronoun:
            return self._stands_by_it(number, relation)
        other = self.find(anchor)
        first = coordinate(self.parts, other)
        mine, theirs = self.parts[number], self.parts[other if first is None else first]
        alike = theirs.lead.split()[-1:] == relation.split()[-1:] or {theirs.lead, relation} <= HAVING
        if self.owner(other) == number and alike:
            return True
        belongs = self.owner(number) == other
        return belongs and (relation in ("of", "on", "from") or mine.lead.endswith(relation))

    def _stands_by_it(self, number: int, relation: str) -> bool:
        """As ``_stands``, of "it": what was spoken of, who wears that, or whatever has something at its side."""
        if self.last in self.parts and self.parts[number].lead == relation:
            spoken = self.parts.index(self.last)
            return self.owner(number) in (spoken, self.owner(spoken))
        return any(part.lead == relation and self.owner(k) == number for k, part in enumerate(self.parts))


def _fits(reference: Reference, phrase: Phrase, alike: Callable[[str, str], bool]) -> bool:
    if reference.count and reference.count != phrase.determiner.lower():
        return False
    said = [spelt(modifier) for modifier in phrase.modifiers]
    wanted = [spelt(word) for word in reference.modifiers if word != "and"]
    if reference.noun in ("one", "ones"):
        return bool(wanted) and all(word in said for word in wanted)
    return alike(reference.noun, phrase.noun) and all(word in said for word in wanted)


def _gendered(word: str, people: list[tuple[int, Phrase]]) -> list[int]:
    own, other = ("gendered_he", "gendered_she") if word in ("him", "his", "he") else ("gendered_she", "gendered_he")
    sure = [k for k, phrase in people if phrase.noun.lower() in words("nouns", own)]
    return sure or [k for k, phrase in people if phrase.noun.lower() not in words("nouns", other)]


def _short(phrase: Phrase) -> str:
    return " ".join((*phrase.modifiers, phrase.noun))
