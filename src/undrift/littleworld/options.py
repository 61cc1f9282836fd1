"""Which scenes can follow in a sequence of edits, by the type of the edit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, TypeVar

from undrift.littleworld.edits import EditType
from undrift.littleworld.scenes import (
    BACKGROUNDS,
    COLOURS,
    COMPANIONS,
    PATTERNS,
    POSES,
    STYLES,
    SUBJECTS,
    WEARABLES,
    WEARERS,
    Scene,
    Thing,
    sample_thing,
)

_KINDS = {"subject": SUBJECTS, "wearable": WEARABLES, "companion": COMPANIONS}

Value = TypeVar("Value")


def _following(values: Sequence[Value], past: Sequence[Value | None], returning: bool) -> list[Value]:
    """The values that were never there; if there are none and values may return, the one that left longest ago."""
    fresh = [value for value in values if value not in past]
    if fresh or not returning:
        return fresh
    last_seen = {value: max(turn for turn, seen in enumerate(past) if seen == value) for value in values}
    return [min(values, key=last_seen.__getitem__)]


def _object_options(scenes: list[Scene], rng: random.Random, returning: bool) -> Iterator[Scene]:
    now = scenes[-1]
    for target, thing in _things(now):
        bound = target == "subject" and (now.wearable or now.pose != POSES[0])
        kinds = WEARERS if bound else _KINDS[target]
        values = _following(kinds, _past_of("kind", scenes, target), returning)
        if values:
            yield _with(now, target, replace(thing, kind=rng.choice(values)))


def _colour_options(scenes: list[Scene], rng: random.Random, returning: bool) -> Iterator[Scene]:
    for target, thing in _things(scenes[-1]):
        values = _following(COLOURS, _past_of("colour", scenes, target), returning)
        if values:
            yield _with(scenes[-1], target, replace(thing, colour=rng.choice(values)))


def _add_options(scenes: list[Scene], rng: random.Random, returning: bool) -> Iterator[Scene]:
    now = scenes[-1]
    places = ("wearable", "companion") if now.subject.kind in WEARERS else ("companion",)
    for target in places:
        values = _following(_KINDS[target], _past_of("kind", scenes, target), returning)
        if values and getattr(now, target) is None:
            yield _with(now, target, sample_thing(rng, tuple(values)))


def _delete_options(scenes: list[Scene], rng: random.Random, returning: bool) -> Iterator[Scene]:
    for target, _ in _things(scenes[-1]):
        past = _past(scenes, target)
        if target != "subject" and (None not in past or (returning and past[-2] is not None)):
            yield _with(scenes[-1], target, None)


def _options_of(
    name: str, values: tuple[str, ...], scenes: list[Scene], rng: random.Random, returning: bool
) -> Iterator[Scene]:
    """The scenes with another value of an attribute that every scene has; a pose only for who can take one."""
    now = scenes[-1]
    if name != "pose" or now.subject.kind in WEARERS:
        for value in _following(values, [getattr(scene, name) for scene in scenes], returning):
            yield replace(now, **{name: value})


OPTIONS: dict[EditType, Callable[[list[Scene], random.Random, bool], Iterator[Scene]]] = {
    "object": _object_options,
    "add": _add_options,
    "delete": _delete_options,
    "colour": _colour_options,
    "background": partial(_options_of, "background", BACKGROUNDS),
    "material": partial(_options_of, "pattern", PATTERNS),
    "pose": partial(_options_of, "pose", POSES),
    "style": partial(_options_of, "style", STYLES),
}
"""What a turn of each type can make of the last of some scenes, given them, a generator, and whether values that were
there before may return."""


def _things(scene: Scene) -> Iterator[tuple[str, Thing]]:
    for target in _KINDS:
        thing = getattr(scene, target)
        if thing is not None:
            yield target, thing


def _past(scenes: list[Scene], target: str) -> list[Thing | None]:
    return [getattr(scene, target) for scene in scenes]


def _past_of(quality: Literal["kind", "colour"], scenes: list[Scene], target: str) -> list[str | None]:
    return [getattr(thing, quality, None) for thing in _past(scenes, target)]


def _with(scene: Scene, target: str, thing: Thing | None) -> Scene:
    return replace(scene, **{target: thing})  # type: ignore[arg-type]
