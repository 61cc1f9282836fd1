"""What a LittleWorld scene is made of, and how scenes are drawn at random.

A scene says everything that a picture shows: the attributes that its caption names (background, subject, wearable,
companion and their colours) and the placement that the caption never mentions.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from undrift.errors import InputError

BACKGROUNDS = ("meadow", "beach", "desert", "snow", "city", "night")
WEARERS = ("cat", "dog", "bird", "robot")
SUBJECTS = (*WEARERS, "car", "house", "tree", "mushroom", "boat", "ball")
WEARABLES = ("hat", "crown", "scarf", "glasses")
COMPANIONS = ("flower", "cactus", "balloon", "star", "gift")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
NONE = "none"

SCALES = (0.85, 1.1)
FACINGS = ("left", "right")

_WEARER_SHARE = 2 / 3
_WEARABLE_SHARE = 0.6
_COMPANION_SHARE = 0.65
SUBJECT_X = (80, 96)
GROUND_Y = 112
COMPANION_X = 24
_WIDTH = 128


@dataclass(frozen=True)
class Thing:
    """A kind of thing in one colour, such as a red cat."""

    kind: str
    colour: str


@dataclass(frozen=True)
class Placement:
    """Where things stand, in pixels of a 128 x 128 picture; no caption tells it.

    Attributes:
        x: Middle of the subject, from the left.
        y: Line on which the subject stands, from the top.
        scale: Size of the subject, one of `SCALES`.
        facing: Where the subject looks, one of `FACINGS`.
        companion_x: Middle of the companion (on the other side of the picture than the subject).
        companion_y: Line on which the companion stands, or above which it floats.
    """

    x: int
    y: int
    scale: float
    facing: str
    companion_x: int
    companion_y: int


@dataclass(frozen=True)
class Scene:
    """One picture of the world, described completely.

    Attributes:
        background: One of `BACKGROUNDS`.
        subject: A thing of `SUBJECTS`.
        wearable: A thing of `WEARABLES`, only on a subject of `WEARERS`.
        companion: A thing of `COMPANIONS` beside the subject.
        placement: Positions, size and direction.

    Raises:
        InputError: If a name is unknown or the subject cannot wear anything.
    """

    background: str
    subject: Thing
    wearable: Thing | None
    companion: Thing | None
    placement: Placement

    def __post_init__(self) -> None:
        _check("background", self.background, BACKGROUNDS)
        _check("facing", self.placement.facing, FACINGS)
        _check_thing("subject", self.subject, SUBJECTS)
        _check_thing("wearable", self.wearable, WEARABLES)
        _check_thing("companion", self.companion, COMPANIONS)
        if self.wearable is not None and self.subject.kind not in WEARERS:
            raise InputError(
                f"a {self.subject.kind} cannot wear a {self.wearable.kind}; "
                f"leave the wearable out or choose a subject of {', '.join(WEARERS)}"
            )

    def attributes(self) -> dict[str, str]:
        """What the caption tells, by name; a missing wearable or companion is "none"."""
        nothing = Thing(NONE, NONE)
        wearable, companion = self.wearable or nothing, self.companion or nothing
        return {
            "background": self.background,
            "subject": self.subject.kind,
            "subject_colour": self.subject.colour,
            "wearable": wearable.kind,
            "wearable_colour": wearable.colour,
            "companion": companion.kind,
            "companion_colour": companion.colour,
        }

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form, read back by `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scene:
        """The scene that `to_dict` wrote.

        Raises:
            InputError: If a field is missing, unknown or has an unknown value.
        """
        try:
            return cls(
                background=data["background"],
                subject=Thing(**data["subject"]),
                wearable=Thing(**data["wearable"]) if data["wearable"] else None,
                companion=Thing(**data["companion"]) if data["companion"] else None,
                placement=Placement(**data["placement"]),
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"not a LittleWorld scene: {error}; pass what Scene.to_dict wrote") from error


ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "background": BACKGROUNDS,
    "subject": SUBJECTS,
    "subject_colour": COLOURS,
    "wearable": (NONE, *WEARABLES),
    "wearable_colour": (NONE, *COLOURS),
    "companion": (NONE, *COMPANIONS),
    "companion_colour": (NONE, *COLOURS),
}
"""Every attribute of `Scene.attributes` with all values that it can take."""


def sample_scene(rng: random.Random) -> Scene:
    """A random scene; the same generator state gives the same scene.

    Two subjects in three can wear something, and 60 % of those do; 65 % of all scenes have a companion.
    """
    wears = rng.random() < _WEARER_SHARE
    subject = sample_thing(rng, WEARERS if wears else SUBJECTS[len(WEARERS) :])
    dressed = wears and rng.random() < _WEARABLE_SHARE
    accompanied = rng.random() < _COMPANION_SHARE
    return Scene(
        background=rng.choice(BACKGROUNDS),
        subject=subject,
        wearable=sample_thing(rng, WEARABLES) if dressed else None,
        companion=sample_thing(rng, COMPANIONS) if accompanied else None,
        placement=sample_placement(rng),
    )


def sample_thing(rng: random.Random, kinds: tuple[str, ...]) -> Thing:
    """A thing of a random kind among `kinds`, in a random colour."""
    return Thing(rng.choice(kinds), rng.choice(COLOURS))


def sample_placement(rng: random.Random) -> Placement:
    """One of 16 placements: side, two distances from the middle, two sizes, two directions.

    Everything stands on the 16-pixel grid of a small model's image tokens: the same thing then falls into the same
    tokens, and a network of a given size draws it much more sharply than at free positions.
    """
    return rng.choice(PLACEMENTS)


def _placements() -> Iterator[Placement]:
    for side, x, scale, facing in product((False, True), SUBJECT_X, SCALES, FACINGS):
        places = (_WIDTH - x, _WIDTH - COMPANION_X) if side else (x, COMPANION_X)
        yield Placement(places[0], GROUND_Y, scale, facing, places[1], GROUND_Y)


PLACEMENTS = tuple(_placements())
"""Every placement that `sample_placement` draws from."""


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"unknown {name} {value!r}; choose one of {', '.join(known)}")


def _check_thing(name: str, thing: Thing | None, kinds: tuple[str, ...]) -> None:
    if thing is not None:
        _check(name, thing.kind, kinds)
        _check(f"{name} colour", thing.colour, COLOURS)
