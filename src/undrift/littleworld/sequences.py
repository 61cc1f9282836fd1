"""Sequences of edits whose right answers are known: a scene, and one changed attribute per turn.

Everything that a turn does not change, the placement included, stays, so the rendered pictures are the ground truth
of the edit and the pixels in which they differ are its mask.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from undrift.errors import InputError
from undrift.littleworld.captions import caption, phrase
from undrift.littleworld.render import SIZE, render
from undrift.littleworld.scenes import (
    BACKGROUNDS,
    COLOURS,
    COMPANIONS,
    SUBJECTS,
    WEARABLES,
    WEARERS,
    Scene,
    Thing,
    sample_scene,
    sample_thing,
)

EditType = Literal["object", "add", "delete", "colour", "background"]
EDIT_TYPES: tuple[EditType, ...] = get_args(EditType)
FRESH_TURNS = 10
"""Up to this many turns nothing returns that an attribute has left; later ones have to return to earlier values."""

_KINDS = {"subject": SUBJECTS, "wearable": WEARABLES, "companion": COMPANIONS}
_ATTEMPTS = 10_000

Value = TypeVar("Value")


@dataclass(frozen=True)
class Edit:
    """What one turn changes.

    Attributes:
        type: One of `EDIT_TYPES`.
        target: What changes: "background", "subject", "wearable" or "companion".
        before: The target in words, such as "a red cat" or "meadow"; None where it is added.
        after: The target in words after the turn; None where it is deleted.
        source_prompt: Caption before the turn.
        target_prompt: Caption after the turn.
        label: The edit as an instruction, such as "turn the red cat into a red dog".
    """

    type: EditType
    target: str
    before: str | None
    after: str | None
    source_prompt: str
    target_prompt: str
    label: str


@dataclass(frozen=True)
class EditSequence:
    """A source scene and the scene after each turn.

    Attributes:
        scenes: The source, then one scene per turn; neighbours differ in one thing.

    Raises:
        InputError: If two neighbours differ in nothing or in more than one thing.
    """

    scenes: tuple[Scene, ...]

    def __post_init__(self) -> None:
        if not self.scenes:
            raise InputError("an edit sequence needs at least its source scene; got none")
        for before, after in zip(self.scenes[:-1], self.scenes[1:], strict=True):
            edit_between(before, after)

    @property
    def turns(self) -> int:
        """Number of edits."""
        return len(self.scenes) - 1

    @property
    def captions(self) -> tuple[str, ...]:
        """Caption of the source and of every turn."""
        return tuple(caption(scene) for scene in self.scenes)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What turn 1, 2, ... changes."""
        return tuple(edit_between(*pair) for pair in zip(self.scenes[:-1], self.scenes[1:], strict=True))

    def picture(self, turn: int, size: int = SIZE) -> Image.Image:
        """The right picture after a turn; turn 0 is the source."""
        return render(self.scenes[self._checked(turn, 0)], size)

    def mask(self, turn: int, size: int = SIZE) -> NDArray[np.bool_]:
        """Where turn `turn` (1, 2, ...) changes the picture before it, (size, size)."""
        return changed_pixels(self.scenes[self._checked(turn, 1) - 1], self.scenes[turn], size)

    def cumulative_mask(self, turn: int, size: int = SIZE) -> NDArray[np.bool_]:
        """Where the picture after `turn` differs from the source, (size, size)."""
        return changed_pixels(self.scenes[0], self.scenes[self._checked(turn, 0)], size)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form, read back by `from_dict`."""
        return {"scenes": [scene.to_dict() for scene in self.scenes]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EditSequence:
        """The sequence that `to_dict` wrote.

        Raises:
            InputError: If there are no scenes, or they are no sequence of edits.
        """
        scenes = data.get("scenes")
        if not isinstance(scenes, list):
            raise InputError("not an edit sequence: no list of scenes; pass what EditSequence.to_dict wrote")
        return cls(tuple(Scene.from_dict(scene) for scene in scenes))

    def _checked(self, turn: int, first: int) -> int:
        if not first <= turn <= self.turns:
            raise InputError(f"there is no turn {turn}; this sequence has turns {first} to {self.turns}")
        return turn


def sample_sequence(rng: random.Random, turns: int) -> EditSequence:
    """A random sequence of edits; the same generator state gives the same sequence.

    Each five turns are of the five different types, and no type follows itself. In the first `FRESH_TURNS` turns no
    attribute takes back a value that it had earlier in the sequence, so no turn undoes another. Later turns return to
    earlier values as late as possible: only when the type of the turn has no new value left to give to anything, and
    then an attribute takes the value that it left longest ago, never the one it has just left. So no turn ever undoes
    the turn before it. From `FRESH_TURNS` on, a shorter sequence is the beginning of a longer one.

    Args:
        rng: Source of randomness.
        turns: Number of edits, from 1.

    Raises:
        InputError: If `turns` is below 1.
    """
    if turns < 1:
        raise InputError(f"a sequence of {turns} turns is not possible; choose 1 or more")
    scenes = _found(partial(_try_fresh, rng, min(turns, FRESH_TURNS)))
    while len(scenes) <= turns:
        scenes = _found(partial(_try_block, rng, scenes))
    return EditSequence(tuple(scenes[: turns + 1]))


def edit_between(before: Scene, after: Scene) -> Edit:
    """The edit that leads from one scene to another.

    Raises:
        InputError: If they differ in nothing, in more than one thing, or in what no edit changes.
    """
    targets = [name for name in ("background", *_KINDS) if getattr(before, name) != getattr(after, name)]
    if len(targets) != 1 or before.placement != after.placement:
        raise InputError(f"no single edit leads from {caption(before)!r} to {caption(after)!r}; change one thing")
    target = targets[0]
    old, new = getattr(before, target), getattr(after, target)
    kind, label = _describe(target, old, new, before.subject)
    words = [value if isinstance(value, str) else value and phrase(value) for value in (old, new)]
    return Edit(kind, target, words[0], words[1], caption(before), caption(after), label)


def changed_pixels(before: Scene, after: Scene, size: int = SIZE) -> NDArray[np.bool_]:
    """Where the pictures of two scenes differ at all, (size, size)."""
    old, new = (np.asarray(render(scene, size)) for scene in (before, after))
    changed: NDArray[np.bool_] = np.any(old != new, axis=-1)
    return changed


def _describe(target: str, old: str | Thing | None, new: str | Thing | None, subject: Thing) -> tuple[EditType, str]:
    if isinstance(old, Thing) and isinstance(new, Thing):
        if old.kind == new.kind:
            return "colour", f"make the {old.colour} {old.kind} {new.colour}"
        if old.colour == new.colour:
            return "object", f"turn the {old.colour} {old.kind} into {phrase(new)}"
        raise InputError(f"{phrase(old)} becomes {phrase(new)}; one edit changes either the kind or the colour")
    if isinstance(new, Thing):
        return "add", f"put {phrase(new)} on the {subject.kind}" if target == "wearable" else f"add {phrase(new)}"
    if isinstance(old, Thing):
        return "delete", f"remove the {old.colour} {old.kind}"
    return "background", f"change the background from {old} to {new}"


def _found(attempt: Callable[[], list[Scene] | None]) -> list[Scene]:
    for _ in range(_ATTEMPTS):
        scenes = attempt()
        if scenes is not None:
            return scenes
    raise AssertionError("no sequence of edits was found")


def _try_fresh(rng: random.Random, turns: int) -> list[Scene] | None:
    return _extended(rng, [sample_scene(rng)], _type_order(rng, turns), returning=False)


def _try_block(rng: random.Random, scenes: list[Scene]) -> list[Scene] | None:
    """The scenes and five more, one of each type."""
    last = edit_between(*scenes[-2:]).type
    return _extended(rng, scenes, _type_order(rng, len(EDIT_TYPES), last), returning=True)


def _extended(
    rng: random.Random, scenes: Sequence[Scene], types: Sequence[EditType], returning: bool
) -> list[Scene] | None:
    """The scenes and one more of each type; None if a type has nothing left to change."""
    grown = list(scenes)
    for edit_type in types:
        options = _OPTIONS[edit_type]
        choices = list(options(grown, rng, False)) or (list(options(grown, rng, True)) if returning else [])
        if not choices:
            return None
        grown.append(rng.choice(choices))
    return grown


def _type_order(rng: random.Random, turns: int, last: EditType | None = None) -> list[EditType]:
    order: list[EditType] = []
    while len(order) < turns:
        block = rng.sample(EDIT_TYPES, len(EDIT_TYPES))
        if block[0] != (order[-1] if order else last):
            order += block
    return order[:turns]


def _next(values: Sequence[Value], past: Sequence[Value | None], returning: bool) -> list[Value]:
    """The values that were never there; if there are none and values may return, the one that left longest ago."""
    fresh = [value for value in values if value not in past]
    if fresh or not returning:
        return fresh
    last_seen = {value: max(turn for turn, seen in enumerate(past) if seen == value) for value in values}
    return [min(values, key=last_seen.__getitem__)]


def _object_options(scenes: list[Scene], rng: random.Random, returning: bool) -> Iterator[Scene]:
    now = scenes[-1]
    for target, thing in _things(now):
        kinds = WEARERS if target == "subject" and now.wearable else _KINDS[target]
        following = _next(kinds, _past_of("kind", scenes, target), returning)
        if following:
            yield _with(now, target, replace(thing, kind=rng.choice(following)))


def _colour_options(scenes: list[Scene], rng: random.Random, returning: bool) -> Iterator[Scene]:
    for target, thing in _things(scenes[-1]):
        following = _next(COLOURS, _past_of("colour", scenes, target), returning)
        if following:
            yield _with(scenes[-1], target, replace(thing, colour=rng.choice(following)))


def _add_options(scenes: list[Scene], rng: random.Random, returning: bool) -> Iterator[Scene]:
    now = scenes[-1]
    places = ("wearable", "companion") if now.subject.kind in WEARERS else ("companion",)
    for target in places:
        following = _next(_KINDS[target], _past_of("kind", scenes, target), returning)
        if following and getattr(now, target) is None:
            yield _with(now, target, sample_thing(rng, tuple(following)))


def _delete_options(scenes: list[Scene], rng: random.Random, returning: bool) -> Iterator[Scene]:
    for target, _ in _things(scenes[-1]):
        past = _past(scenes, target)
        if target != "subject" and (None not in past or (returning and past[-2] is not None)):
            yield _with(scenes[-1], target, None)


def _background_options(scenes: list[Scene], rng: random.Random, returning: bool) -> Iterator[Scene]:
    for name in _next(BACKGROUNDS, [scene.background for scene in scenes], returning):
        yield replace(scenes[-1], background=name)


_OPTIONS = {
    "object": _object_options,
    "add": _add_options,
    "delete": _delete_options,
    "colour": _colour_options,
    "background": _background_options,
}


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
