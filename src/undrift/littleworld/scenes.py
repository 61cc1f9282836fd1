"""What a LittleWorld scene is made of, and how scenes are drawn at random.

A scene says everything that a picture shows: the attributes that its caption names (background, subject, wearable,
companion and their colours, the subject's pattern and pose, the style of the picture) and the placement that the
caption never mentions.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from undrift.errors import InputError

BACKGROUNDS = ("meadow", "beach", "desert", "snow", "city", "night")
WEARERS = ("cat", "dog", "bird", "robot")
SUBJECTS = (*WEARERS, "car", "house", "tree", "mushroom", "boat", "ball")
WEARABLES = ("hat", "crown", "scarf", "glasses")
COMPANIONS = ("flower", "cactus", "balloon", "star", "gift")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
PATTERNS = ("plain", "striped", "dotted", "checked")
POSES = ("standing", "sitting", "jumping", "waving")
STYLES = ("plain", "pencil", "neon")
NONE = "none"

SCALES = (0.85, 1.1)
FACINGS = ("left", "right")

_WEARER_SHARE = 2 / 3
_WEARABLE_SHARE = 0.6
_COMPANION_SHARE = 0.65
_RICH_SHARE = 0.5
_PATTERN_SHARE = 0.6
_POSE_SHARE = 0.7
_STYLE_SHARE = 0.4
SUBJECT_X = (80, 96)
GROUND_Y = 112
COMPANION_X = 24
RICH_SCALES = (0.85, 0.975, 1.1)
RICH_SUBJECT_X = (72, 80, 88, 96)
COMPANION_Y = (112, 104)
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
        scale: Size of the subject, one of `RICH_SCALES`.
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
        pattern: One of `PATTERNS`, on the subject.
        pose: One of `POSES`; only a subject of `WEARERS` does anything but stand.
        style: One of `STYLES`, of the whole picture.

    Raises:
        InputError: If a name is unknown, or the subject cannot wear anything or cannot take the pose.
    """

    background: str
    subject: Thing
    wearable: Thing | None
    companion: Thing | None
    placement: Placement
    pattern: str = PATTERNS[0]
    pose: str = POSES[0]
    style: str = STYLES[0]

    def __post_init__(self) -> None:
        _check("background", self.background, BACKGROUNDS)
        _check("facing", self.placement.facing, FACINGS)
        for name, known in _MANNERS.items():
            _check(name, getattr(self, name), known)
        _check_thing("subject", self.subject, SUBJECTS)
        _check_thing("wearable", self.wearable, WEARABLES)
        _check_thing("companion", self.companion, COMPANIONS)
        if self.wearable is not None and self.subject.kind not in WEARERS:
            raise InputError(
                f"a {self.subject.kind} cannot wear a {self.wearable.kind}; "
                f"leave the wearable out or choose a subject of {', '.join(WEARERS)}"
            )
        if self.pose != POSES[0] and self.subject.kind not in WEARERS:
            raise InputError(
                f"a {self.subject.kind} cannot be {self.pose}; "
                f"leave the pose at {POSES[0]} or choose a subject of {', '.join(WEARERS)}"
            )

    def attributes(self) -> dict[str, str]:
        """Everything that the caption tells, by name; a missing wearable or companion is "none"."""
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
            **{name: getattr(self, name) for name in _MANNERS},
        }

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form, read back by `from_dict`; a plain pattern or style and a standing pose are left out."""
        said = asdict(self)
        usual = {name for name, known in _MANNERS.items() if said[name] == known[0]}
        return {name: value for name, value in said.items() if name not in usual}

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
                **{name: data.get(name, known[0]) for name, known in _MANNERS.items()},
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"not a LittleWorld scene: {error}; pass what Scene.to_dict wrote") from error


_MANNERS = {"pattern": PATTERNS, "pose": POSES, "style": STYLES}

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "background": BACKGROUNDS,
    "subject": SUBJECTS,
    "subject_colour": COLOURS,
    "wearable": (NONE, *WEARABLES),
    "wearable_colour": (NONE, *COLOURS),
    "companion": (NONE, *COMPANIONS),
    "companion_colour": (NONE, *COLOURS),
    **_MANNERS,
}
"""Every attribute of `Scene.attributes` with all its values; of pattern, pose and style the usual one comes first."""


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


def sample_rich_scene(rng: random.Random, placements: tuple[Placement, ...] | None = None) -> Scene:
    """A random scene of the whole world.

    Half of all scenes are plain, standing and of plain style. Of the others, 60 % have a pattern, 70 % of those that
    can take a pose have one, and 40 % have a style.

    Args:
        rng: The same state gives the same scene.
        placements: What to draw from instead of `PLACEMENTS`, such as `RICH_PLACEMENTS`.
    """
    scene = sample_scene(rng)
    if placements is not None:
        scene = replace(scene, placement=rng.choice(placements))
    if rng.random() >= _RICH_SHARE:
        return scene
    poses = POSES if scene.subject.kind in WEARERS else POSES[:1]
    return replace(
        scene,
        pattern=_unusual(rng, PATTERNS, _PATTERN_SHARE),
        pose=_unusual(rng, poses, _POSE_SHARE),
        style=_unusual(rng, STYLES, _STYLE_SHARE),
    )


def _unusual(rng: random.Random, values: tuple[str, ...], share: float) -> str:
    """The first value, or in a share of all cases one of the others if there are any."""
    return rng.choice(values[1:]) if rng.random() < share and len(values) > 1 else values[0]


def sample_thing(rng: random.Random, kinds: tuple[str, ...]) -> Thing:
    """A thing of a random kind among `kinds`, in a random colour."""
    return Thing(rng.choice(kinds), rng.choice(COLOURS))


def sample_placement(rng: random.Random) -> Placement:
    """One of 16 placements: side, two distances from the middle, two sizes, two directions.

    Everything stands on the 16-pixel grid of a small model's image tokens: the same thing then falls into the same
    tokens, and a network of a given size draws it much more sharply than at free positions.
    """
    return rng.choice(PLACEMENTS)


def _placements(
    subject_x: tuple[int, ...], scales: tuple[float, ...], companion_y: tuple[int, ...]
) -> Iterator[Placement]:
    for side, x, scale, facing, y in product((False, True), subject_x, scales, FACINGS, companion_y):
        places = (_WIDTH - x, _WIDTH - COMPANION_X) if side else (x, COMPANION_X)
        yield Placement(places[0], GROUND_Y, scale, facing, places[1], y)


PLACEMENTS = tuple(_placements(SUBJECT_X, SCALES, (GROUND_Y,)))
"""Every placement that `sample_placement` draws from."""

RICH_PLACEMENTS = tuple(dict.fromkeys((*PLACEMENTS, *_placements(RICH_SUBJECT_X, RICH_SCALES, COMPANION_Y))))
"""A wider choice of placements; those of `PLACEMENTS` come first.

Four distances from the middle instead of two, three sizes, and a companion beside the subject or further back.
"""


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"unknown {name} {value!r}; choose one of {', '.join(known)}")


def _check_thing(name: str, thing: Thing | None, kinds: tuple[str, ...]) -> None:
    if thing is not None:
        _check(name, thing.kind, kinds)
        _check(f"{name} colour", thing.colour, COLOURS)
