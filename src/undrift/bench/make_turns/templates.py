"""Turns without a language model: clauses from fixed pools, put behind PIE-Bench's own target caption.

Templates do not understand captions: a new background may not suit the place that a caption names. What a caption
says already in words of a pool (a colour, a material) is left alone.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from undrift.bench.data.pie import PieEntry, has_words
from undrift.bench.data.prompts import Generator
from undrift.bench.make_turns.contract import Dropped, Proposal, complaints
from undrift.errors import InputError
from undrift.files import sha256

BACKGROUND, STYLE = 8, 9
SUBJECT = "main subject"

_OF_A_THING = frozenset({1, 4, 5, 6, 7})
_PICTURES = frozenset(
    {"painting", "photo", "photograph", "picture", "image", "drawing", "sketch", "portrait", "view"}
)
_PREPOSITIONS = "of|with|in|on|at|by|to|near|next|under|over|behind|beside|and|is|are|that|which|from|for|while"
_THING = re.compile(
    rf"\b(?:an?|the|two|three|some) ((?:(?!(?:{_PREPOSITIONS})\b)[\w'-]+ )*?(?!(?:{_PREPOSITIONS})\b)[\w'-]+)"
    rf"(?= (?:{_PREPOSITIONS})\b| \w+ing\b|[,.;]|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Template:
    """One edit type.

    Attributes:
        instruction, clause, phrase: with {subject}, and {value} from the pool; the clause goes behind the caption.
        pool: values.
        conflicts: words that the caption must not have yet.
    """

    instruction: str
    clause: str
    phrase: str
    pool: tuple[str, ...]
    conflicts: tuple[str, ...]


_COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "pink", "white", "black", "golden")
_MATERIALS = ("wood", "glass", "marble", "bronze", "paper", "knitted wool", "porcelain")

TEMPLATES: dict[int, Template] = {
    2: Template(
        "add {value}",
        "with {value} nearby",
        "{value} nearby",
        (
            "a bunch of balloons",
            "a wooden bench",
            "a stack of old books",
            "a burning candle",
            "a sleeping kitten",
            "a basket of apples",
            "a paper kite",
            "a small lantern",
        ),
        ("nearby",),
    ),
    4: Template(
        "cover the {subject} with {value}",
        "the {subject} covered with {value}",
        "covered with {value}",
        ("fresh snow", "small flowers", "white polka dots", "fallen leaves", "water drops", "moss"),
        ("covered",),
    ),
    5: Template(
        "show the {subject} {value}",
        "the {subject} {value}",
        "{value}",
        ("leaning to the left", "leaning to the right", "tilted backwards", "turned to the side", "seen from behind"),
        ("leaning", "tilted", "turned", "behind"),
    ),
    6: Template(
        "make the {subject} bright {value}",
        "the {subject} in bright {value}",
        "in bright {value}",
        _COLOURS,
        (*_COLOURS, "colorful", "colourful", "gold", "grey", "gray", "brown", "silver"),
    ),
    7: Template(
        "make the {subject} out of {value}",
        "the {subject} made of {value}",
        "made of {value}",
        _MATERIALS,
        (*_MATERIALS, "wooden", "golden", "metal", "stone", "plastic", "made"),
    ),
    BACKGROUND: Template(
        "change the background to {value}",
        "with {value} in the background",
        "{value} in the background",
        (
            "snowy mountains",
            "a sandy beach",
            "a pine forest",
            "a city at night",
            "a field of lavender",
            "a starry sky",
            "a waterfall",
        ),
        ("background",),
    ),
    STYLE: Template(
        "turn the picture into {value}",
        "in the style of {value}",
        "in the style of {value}",
        ("a watercolor", "a pencil sketch", "an oil painting", "a comic book", "pixel art", "a woodcut", "a mosaic"),
        ("style", "painting", "sketch", "watercolor", "comic", "cartoon", "pixel", "drawing"),
    ),
}

MAX_TURNS = len(TEMPLATES)
"""Turns that are possible for every picture, the benchmark's own included."""


class TemplateWriter:
    """Proposes turns from `TEMPLATES`; the same seed and picture give the same turns."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def generator(self, tries: int) -> Generator:
        """What is recorded with the turns."""
        known = {str(kind): asdict(template) for kind, template in TEMPLATES.items()}
        sha = sha256(json.dumps(known, sort_keys=True).encode())
        return Generator(kind="templates", seed=self._seed, prompt_sha=sha, tries=tries)

    def propose(self, entry: PieEntry, count: int) -> tuple[list[Proposal], int]:
        """``count`` turns that follow the benchmark's own edit, and 1 for the one try it took.

        Raises:
            InputError: more turns are asked for than there are types.
            Dropped: the caption conflicts with too many types.
        """
        if count >= MAX_TURNS:
            raise InputError(
                f"templates write at most {MAX_TURNS} turns a picture, {count + 1} are asked for; "
                "choose fewer or a language model with --llm"
            )
        rng = random.Random(f"{self._seed}:{entry.id}")
        kinds = [kind for kind in _order(rng, entry.type, count) if not _conflict(entry.target_prompt, kind)]
        proposals = list(_written(rng, entry, _late(kinds, count)))
        wrong = complaints(entry, proposals, count)
        if wrong:
            raise Dropped(wrong[0])
        return proposals, 1


def subject_of(entry: PieEntry) -> str:
    """One word for what a picture shows after the benchmark's own edit.

    The blended word where the edit is of a thing; else the last word before the first preposition, comma or "-ing"
    of the first thing with an article, so that "a photo of a red cat wearing a hat" shows a cat.
    """
    if entry.words and entry.type in _OF_A_THING:
        return entry.words[-1]
    named = (match.group(1).split()[-1] for match in _THING.finditer(entry.target_prompt))
    return next((word for word in named if word.lower() not in _PICTURES), SUBJECT)


def _order(rng: random.Random, own: int, count: int) -> list[int]:
    """All types but the benchmark's own: local ones shuffled, then background and style."""
    local = [kind for kind in TEMPLATES if kind not in (own, BACKGROUND, STYLE)]
    rng.shuffle(local)
    return [*local, *(kind for kind in (BACKGROUND, STYLE) if kind != own)]


def _late(kinds: Sequence[int], count: int) -> list[int]:
    """``count`` of the types: style last, background before the last local type, so that they are not neighbours.

    Two turns are local ones, if there are so many.
    """
    local = [kind for kind in kinds if kind not in (BACKGROUND, STYLE)]
    whole = [kind for kind in kinds if kind in (BACKGROUND, STYLE)]
    whole = whole[: max(count - len(local), len(whole) if count > 2 else 0)]
    local = local[: count - len(whole)]
    if BACKGROUND in whole:
        local.insert(max(len(local) - 1, 0), BACKGROUND)
    return [*local, STYLE] if STYLE in whole else local


def _conflict(caption: str, kind: int) -> bool:
    return any(has_words(caption, word) for word in TEMPLATES[kind].conflicts)


def _written(rng: random.Random, entry: PieEntry, kinds: Sequence[int]) -> Iterator[Proposal]:
    caption = entry.target_prompt.rstrip(" .,")
    for kind in kinds:
        template = TEMPLATES[kind]
        filling = {"subject": subject_of(entry), "value": rng.choice(template.pool)}
        caption = f"{caption}, {template.clause.format(**filling)}"
        yield Proposal(kind, template.instruction.format(**filling), caption, template.phrase.format(**filling))
