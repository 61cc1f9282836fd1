"""A drawn world whose captions have fixed rules, which an edited caption then keeps: LittleWorld."""

from __future__ import annotations

from dataclasses import dataclass, replace

from undrift.instructions.caption import Caption, Part, Phrase, is_animate, parse
from undrift.instructions.english import indefinite
from undrift.instructions.lexicon import adjective_class, pairs, words
from undrift.instructions.refusals import Names, NotUnderstood, Why
from undrift.littleworld.captions import OPENINGS, PLACES, VOCABULARY
from undrift.littleworld.scenes import COMPANIONS, PATTERNS, POSES, SUBJECTS, WEARABLES, WEARERS


@dataclass(frozen=True)
class World:
    """What holds for every caption of a world.

    Attributes:
        vocabulary: all words.
        places: the ways to say where it is; a caption has one of them.
        wearers: who can wear something, and take a pose.
        patterns: what the first thing of a caption can be beside its colour; the first is never said.
        poses: what wearers can do; the first is never said.
        styles: what the captions of its styles begin with, without "of".
        roles: the things that can be the subject, those that are worn, and those beside it.
    """

    vocabulary: frozenset[str]
    places: tuple[str, ...]
    wearers: tuple[str, ...]
    patterns: tuple[str, ...]
    poses: tuple[str, ...]
    styles: tuple[str, ...]
    roles: tuple[tuple[str, ...], ...]

    def has(self, caption: Caption) -> bool:
        """Whether a caption is of this world: its words only, one place, at the end, every thing with its colour."""
        said = caption.text.lower().split()
        things = [part.phrase for part in caption.parts if part.phrase is not None and not part.is_place]
        return (
            all(word in self.vocabulary for word in said)
            and sum(part.is_place for part in caption.parts) == 1
            and any(caption.text.lower().endswith(place) for place in self.places)
            and all(coloured(phrase) for phrase in things)
        )

    def is_place(self, noun: str) -> bool:
        """Whether a noun names one of its backgrounds."""
        return any(place.split()[-1] == noun.lower() for place in self.places)

    def alike(self, one: str, other: str) -> bool:
        """Whether two nouns name things that play the same part: both a subject, both worn, or both beside it."""
        return any(one.lower() in part and other.lower() in part for part in self.roles)

    def place(self, part: Part) -> Part:
        """A place as captions of this world say it, if it is one of theirs: "in a city" for "in the city"."""
        if part.phrase is None or part.phrase.modifiers:
            return part
        said = next((said.split() for said in self.places if said.split()[-1] == part.phrase.noun.lower()), None)
        if said is None:
            return part
        return Part((said[0],), Phrase(" ".join(said[1:-1]), (), said[-1]))

    def pose(self, said: tuple[str, ...]) -> tuple[str, ...]:
        """A pose as captions of this world say it: "sitting" for "sitting down", nothing for "standing"."""
        if said[0] not in self.poses:
            return said
        return () if said[0] == self.poses[0] else said[:1]

    def quality(self, phrase: Phrase) -> Phrase:
        """A thing without the pattern that captions of this world do not say: "a red cat" for "a plain red cat"."""
        names = pairs("patterns", "akin")
        said = (names.get(word.lower(), word) for word in phrase.modifiers)
        kept = tuple(word for word in said if word != self.patterns[0])
        return replace(phrase, modifiers=kept).agreeing()

    def style(self, named: str) -> str:
        """A style as captions of this world say it, if it is one: "a pencil drawing" of "a pencil sketch"."""
        said = [_DRAWN.get(word, word) for word in named.split()]
        same = (own for own in self.styles if len(said) == 3 and own.split()[1] == said[1])
        short = (own for own in self.styles if said[1:] == ["drawing"] == own.split()[2:])
        return next(same, next(short, named))

    def introduced(self, phrase: Phrase) -> Phrase:
        """A new thing with the article that captions of this world have: none for "some glasses"."""
        if phrase.determiner != "some":
            return phrase
        return replace(phrase, determiner=indefinite((*phrase.modifiers, phrase.noun)[0], phrase.noun))

    def objection(self, caption: Caption) -> NotUnderstood | None:
        """What cannot be drawn of a caption; None if nothing speaks against it."""
        first = caption.parts[0].phrase
        if first is None:
            return None
        odd = next((part for part in caption.parts if part.phrase and _BROKEN & set(part.lead.split())), None)
        if odd is not None:
            return NotUnderstood(Why.NOT_DRAWN, said=" ".join(odd.words))
        motley = next((part.phrase for part in caption.parts if part.phrase and _colours(part.phrase) > 1), None)
        if motley is not None:
            return NotUnderstood(Why.NOT_DRAWN, said=motley.text)
        others = [part.phrase for part in caption.parts[1:] if part.phrase is not None]
        for phrase in others:
            patterned = next((word for word in phrase.modifiers if word in self.patterns), None)
            if patterned is not None:
                return NotUnderstood(Why.NO_PATTERN_HERE, thing=phrase.noun, pattern=patterned, first=first.noun)
        worn = next((part.phrase for part in caption.parts if part.lead == "wearing"), None)
        subjects, _, beside = self.roles
        if worn is not None and worn.noun in (*subjects, *beside):
            return NotUnderstood(Why.NOT_WORN_HERE, new=worn.text)
        if first.noun in self.wearers or is_animate(first):
            return None
        if worn is not None:
            return NotUnderstood(Why.TAKE_OFF_FIRST, thing=first.noun, shown=worn.text, worn=worn.noun)
        posed = next((part.lead for part in caption.parts if part.phrase is None and part.lead in self.poses), None)
        if posed is None:
            return None
        return NotUnderstood(Why.NO_POSE_HERE, thing=first.noun, pose=posed, wearers=Names(self.wearers))


_DRAWN = {"sketch": "drawing"}
"""What a style is called beside its name in captions."""

_BROKEN = frozenset({",", "as"}) | words("verbs", "leaving") - {"down", "up", "over", "together"}
"""What joins no two things of a world: left over from an instruction that was cut in the wrong place."""

LITTLEWORLD = World(
    frozenset(VOCABULARY),
    tuple(PLACES.values()),
    WEARERS,
    PATTERNS,
    POSES,
    tuple(opening.removesuffix(" of") for opening in OPENINGS.values() if opening),
    (SUBJECTS, WEARABLES, COMPANIONS),
)


def world_of(caption: str) -> World | None:
    """The world that a caption is of, None for photographs' captions."""
    return LITTLEWORLD if LITTLEWORLD.has(parse(caption)) else None


def _colours(phrase: Phrase) -> int:
    return sum(adjective_class(word) == "colour" for word in phrase.modifiers)


def coloured(phrase: Phrase) -> bool:
    """Whether a thing's colour is named."""
    return _colours(phrase) > 0


def in_place_of(old: Phrase, new: Phrase) -> Phrase:
    """A new thing of a world: where it has no pattern or colour of its own, it takes over that of the old one."""
    own = {adjective_class(word) for word in new.modifiers}
    kept = [word for word in old.modifiers if adjective_class(word) not in own]
    pattern = tuple(word for word in kept if adjective_class(word) == "pattern")
    colour = tuple(word for word in kept if adjective_class(word) == "colour")
    said = (*pattern, *new.modifiers, *colour)
    return Phrase(indefinite((*said, new.noun)[0], new.noun), said, new.noun) if pattern or colour else new
