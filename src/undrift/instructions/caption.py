"""A caption as things and what joins them, such as [a red cat] [wearing | a blue hat] [in | a meadow].

What is read is written again word by word; only white space is evened out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from undrift.instructions.english import article, is_time, preposition, same_noun
from undrift.instructions.lexicon import (
    all_nouns,
    is_adjective,
    pairs,
    pose_class,
    verb_forms,
    words,
)

SCENE = -1
"""What a place or a time belongs to: no thing, but the whole picture."""

_TOKEN = re.compile(r"[,;:.!?]|[^\s,;:.!?]+(?:\.[^\s,;:.!?]+)*")
_STYLE_SUFFIX = re.compile(r",?\s+in (?:the style of .+|(?:an? )?[\w-]+ style)$", re.IGNORECASE)
_PUNCTUATION = frozenset(",;:.!?")


@dataclass(frozen=True)
class Phrase:
    """A thing in words: "a", ("striped", "red"), "cat"."""

    determiner: str
    modifiers: tuple[str, ...]
    noun: str

    @property
    def words(self) -> tuple[str, ...]:
        """All words in order."""
        return (*((self.determiner,) if self.determiner else ()), *self.modifiers, self.noun)

    @property
    def text(self) -> str:
        """As a caption says it."""
        return " ".join(self.words)

    def agreeing(self) -> Phrase:
        """With "a" or "an" as the next word wants it."""
        if self.determiner not in ("a", "an"):
            return self
        return replace(self, determiner=article((*self.modifiers, self.noun)[0]))


@dataclass(frozen=True)
class Part:
    """A thing and what joins it to the words before: ("next", "to"), "a yellow flower"; a pose has no thing.

    Attributes:
        origin: the number of the part in the caption as it was, None for a new one.
    """

    joiner: tuple[str, ...]
    phrase: Phrase | None
    origin: int | None = field(default=None, compare=False)

    @property
    def words(self) -> tuple[str, ...]:
        """All words in order."""
        return (*self.joiner, *(self.phrase.words if self.phrase else ()))

    @property
    def lead(self) -> str:
        """The joiner in one lower-case string."""
        return " ".join(self.joiner).lower()

    @property
    def is_place(self) -> bool:
        """Whether it says where, when or in which weather the picture is."""
        return self.phrase is not None and self.lead in PLACED and preposition(self.phrase.noun) is not None

    @property
    def is_time(self) -> bool:
        """Whether it says when, or in which weather."""
        return self.is_place and self.phrase is not None and is_time(self.phrase.noun)

    @property
    def pose(self) -> str | None:
        """The class of the pose that it says, None if it says none."""
        return next((found for word in self.joiner if (found := pose_class(word.lower()))), None)


PLACED = frozenset({"in", "on", "at", "inside", "in front of", "during", "across", "through"})
"""What a place or a time is joined by."""


@dataclass(frozen=True)
class Caption:
    """A caption, cut into parts.

    Attributes:
        opening: what it begins with beside its things, such as "an oil painting of".
        parts: the first one has no joiner.
        manner: what it ends with beside its things, such as ", in the style of Van Gogh".
        ending: a full stop, or nothing.
        capital: whether its first letter is one.
    """

    opening: str
    parts: tuple[Part, ...]
    manner: str = ""
    ending: str = ""
    capital: bool = False

    @property
    def text(self) -> str:
        """The caption in words."""
        body = " ".join(word for part in self.parts for word in part.words)
        said = " ".join(text for text in (self.opening, body) if text)
        said = re.sub(r"\s+([,;:.!?])", r"\1", said) + self.manner + self.ending
        return said[:1].upper() + said[1:] if self.capital else said

    def things(self) -> Iterator[tuple[int, Phrase]]:
        """Number and phrase of everything that is named, places included."""
        for number, part in enumerate(self.parts):
            if part.phrase is not None and part.phrase.noun.lower() not in words("pronouns", "it"):
                yield number, part.phrase

    def owner(self, number: int) -> int:
        """The number of the part that a part says something about; ``SCENE`` for places, and for the first part."""
        return owner(self.parts, number)


def parse(text: str) -> Caption:
    """Cut a caption into parts. Every text has a reading; what is no known joiner is part of a thing."""
    body = " ".join(text.split())
    ending = "." if body.endswith(".") else ""
    body = body.removesuffix(".")
    cut_off = _manner_start(body)
    body, manner = body[:cut_off], body[cut_off:]
    tokens = _TOKEN.findall(body)
    capital = bool(tokens) and tokens[0][:1].isupper()
    if capital and (tokens[0].lower() in _KNOWN_STARTS or is_adjective(tokens[0].lower())):
        tokens[0] = tokens[0].lower()
    cut = _opening_length(tokens)
    return Caption(
        opening=" ".join(tokens[:cut]),
        parts=tuple(replace(part, origin=number) for number, part in enumerate(parse_parts(tokens[cut:]))),
        manner=manner,
        ending=ending,
        capital=capital,
    )


def parse_parts(tokens: Sequence[str]) -> list[Part]:
    """Cut words into joiners and things."""
    parts: list[Part] = []
    place = 0
    while place < len(tokens):
        start = place
        place = _joiner_end(tokens, start, first=not parts)
        joiner = tuple(tokens[start:place])
        stop = _phrase_end(tokens, place)
        phrase = _phrase(tokens[place:stop]) if stop > place else None
        parts += _split(joiner, phrase)
        place = max(stop, start + 1)
    return parts


def owner(parts: Sequence[Part], number: int) -> int:
    """As ``Caption.owner``."""
    part = parts[number]
    if number == 0 or part.is_place:
        return SCENE
    if part.lead == "of" or _is_pronoun(part) or (part.lead in _HAVING and parts[number - 1].lead in _BESIDE):
        return number - 1
    sibling = coordinate(parts, number)
    if sibling is not None:
        return owner(parts, sibling)
    return _host(parts, number)


def coordinate(parts: Sequence[Part], number: int) -> int | None:
    """The part that "and ..." continues: the nearest of its kind, people with people; None if there is none."""
    part = parts[number]
    if part.phrase is None or number == 0 or part.lead not in ("and", ",", ", and", "or"):
        return None
    earlier = [k for k in range(number - 1, -1, -1) if parts[k].phrase is not None and not parts[k].is_place]
    alike = [k for k in earlier if is_animate(parts[k].phrase) == is_animate(part.phrase)] or earlier
    bare = not part.phrase.determiner
    matching = [k for k in alike if parts[k].lead != "of" and bare == (not _determiner(parts[k]))]
    fallback = [k for k in alike if parts[k].lead != "of"] or alike
    if not earlier:
        return None
    chosen = (matching or fallback)[0]
    before = coordinate(parts, chosen)
    return chosen if before is None else before


def is_animate(phrase: Phrase | None) -> bool:
    """Whether a phrase names somebody who can wear something."""
    return phrase is not None and any(
        same_noun(phrase.noun, noun) for noun in (words("nouns", "person") | words("nouns", "animal"))
    )


def branch(parts: Sequence[Part], number: int) -> list[int]:
    """A part and everything that says something about it, ascending."""
    inside = {number}
    for k in range(number + 1, len(parts)):
        if (
            owner(parts, k) in inside and (coordinate(parts, k) is None or coordinate(parts, k) in inside - {number})
        ) or coordinate(parts, k) in inside - {number}:
            inside.add(k)
    return sorted(inside)


def _host(parts: Sequence[Part], number: int) -> int:
    """What "wearing ...", "with ..." and poses are said of: the last first-rank thing before them.

    What follows "a cat and a dog" is said of both and belongs to no single one: ``SCENE``.
    """
    ranked = [k for k in range(1, number) if parts[k].phrase is not None and coordinate(parts, k) == 0]
    if not ranked:
        return 0
    alone = all(k in ranked or parts[k].lead == "of" for k in range(1, ranked[-1] + 1))
    return SCENE if alone else ranked[-1]


_HAVING = frozenset({"with", "wearing", "in", "dressed in", "holding"})
_BESIDE = frozenset(pairs("relations", "words").values()) - {"in", "on", "inside"}
"""What stands beside a thing has what is named right after it: "next to a car with a roof"."""


def _is_pronoun(part: Part) -> bool:
    return part.phrase is not None and part.phrase.noun.lower() in words("pronouns", "it")


def _determiner(part: Part) -> str:
    return part.phrase.determiner if part.phrase else ""


def _split(joiner: tuple[str, ...], phrase: Phrase | None) -> list[Part]:
    """Cut "sitting on | a sofa" into the pose and the place; "holding | a cup" stays whole."""
    for place, word in enumerate(joiner[:-1]):
        if _is_verb(word) and word.lower() not in words("verbs", "bound") and not _is_particle(joiner[place + 1 :]):
            after = place + 1
            while after < len(joiner) and joiner[after].lower() in words("verbs", "particles"):
                after += 1
            return [Part(joiner[:after], None), *_split(joiner[after:], phrase)]
    return [Part(joiner, phrase)] if joiner or phrase else []


def _is_particle(rest: Sequence[str]) -> bool:
    return bool(rest) and all(word.lower() in words("verbs", "particles") for word in rest)


def _manner_start(body: str) -> int:
    """Where ", in the style of ..." or ", digital art" begins."""
    named = _STYLE_SUFFIX.search(body)
    stop = named.start() if named else len(body)
    while (comma := body.rfind(",", 0, stop)) > 0:
        said = body[comma + 1 : stop].lower().split()
        known = said and (said[-1] in words("styles", "nouns") or " ".join(said) in pairs("styles", "words"))
        if not known or len(said) > 4:
            break
        stop = comma
    return stop


def _opening_length(tokens: Sequence[str]) -> int:
    """How many words of "a black and white photo of" a caption begins with."""
    for place, word in enumerate(tokens[:8]):
        if (
            word.lower() in words("styles", "joined")
            and place
            and tokens[place - 1].lower() in words("styles", "nouns")
        ):
            return place + 1
    return 0


def _joiner_end(tokens: Sequence[str], start: int, *, first: bool) -> int:
    place = start
    while place < len(tokens):
        longer = _relation_length(tokens, place)
        if longer:
            place += longer
        elif not (_joins(tokens, place) and not (place == start and first and _is_verb(tokens[place]))):
            break
        else:
            place += 1
    return place


def _joins(tokens: Sequence[str], place: int) -> bool:
    word = tokens[place].lower()
    return (
        word in _PUNCTUATION
        or word in _CONNECTORS
        or (_is_verb(word) and not _stands_before_noun(tokens, place))
        or _acts(tokens, place)
        or (word in words("verbs", "particles") and place > 0 and _is_verb(tokens[place - 1]))
    )


def _acts(tokens: Sequence[str], place: int) -> bool:
    """Whether "building" or "painting" at ``place`` is what somebody does: "children building a castle"."""
    word = tokens[place].lower()
    if not 0 < place < len(tokens) - 1 or word not in words("verbs", "not_verbs") & _VERBS:
        return False
    someone = words("nouns", "person") | words("nouns", "animal")
    return tokens[place - 1].lower() in someone and tokens[place + 1].lower() in _DETERMINERS


def _stands_before_noun(tokens: Sequence[str], place: int) -> bool:
    """Whether the verb at ``place`` describes the noun after it, as in "a smiling woman"."""
    before = place - 1
    while before >= 0 and is_adjective(tokens[before].lower()):
        before -= 1
    opened = before >= 0 and tokens[before].lower() in _DETERMINERS
    following = tokens[place + 1].lower() if place + 1 < len(tokens) else ""
    return opened and bool(following) and following not in _DETERMINERS | _CONNECTORS | _PUNCTUATION


def _phrase_end(tokens: Sequence[str], start: int) -> int:
    place = start
    while place < len(tokens):
        word = tokens[place].lower()
        if place > start and word in _DETERMINERS - {"one", "ones"}:
            break
        if word == "and" and _between_qualities(tokens, start, place):
            place += 1
            continue
        joins = _joins(tokens, place) or _relation_length(tokens, place)
        if joins and (place > start or word not in _DETERMINERS) and not (place == start == 0 and _is_verb(word)):
            break
        place += 1
    return place


def _between_qualities(tokens: Sequence[str], start: int, place: int) -> bool:
    """Whether the "and" at ``place`` stands inside a thing, as in "a red and white umbrella"."""
    if not start < place < len(tokens) - 2:
        return False
    before, after = tokens[place - 1].lower(), tokens[place + 1].lower()
    return is_adjective(before) and is_adjective(after) and not _joins(tokens, place + 2)


def _phrase(tokens: Sequence[str]) -> Phrase:
    determiner = tokens[0] if tokens[0].lower() in _DETERMINERS and len(tokens) > 1 else ""
    rest = tuple(tokens[1:] if determiner else tokens)
    return Phrase(determiner, rest[:-1], rest[-1])


def _is_verb(word: str) -> bool:
    low = word.lower()
    if low in words("verbs", "not_verbs") or (low.endswith("ing") and low in all_nouns()):
        return False
    return low in _VERBS or (low.endswith("ing") and len(low) > 4)


def _relation_length(tokens: Sequence[str], place: int) -> int:
    """Length of the relation of several words at ``place``, such as "in front of"; 0 if there is none."""
    lowered = [token.lower() for token in tokens[place : place + 6]]
    return max((len(said) for said in _RELATIONS if tuple(lowered[: len(said)]) == said), default=0)


_RELATIONS = tuple(
    tuple(said.split())
    for said in {*pairs("relations", "words"), *pairs("relations", "words").values()}
    if " " in said
)
_DETERMINERS = (
    words("determiners", "articles") | words("determiners", "possessives") | words("determiners", "numbers")
)
_CONNECTORS = words("relations", "prepositions") | words("verbs", "finite") | {"and", "or"}
_VERBS = frozenset(verb_forms().values()) | words("verbs", "participles") | words("verbs", "bound")
_KNOWN_STARTS = _DETERMINERS | all_nouns() | frozenset(verb_forms().values())
