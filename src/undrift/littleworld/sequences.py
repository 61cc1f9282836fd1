"""Sequences of edits whose right answers are known: a scene, and one changed attribute per turn.

Everything that a turn does not change, the placement included, stays, so the rendered pictures are the ground truth
of the edit and the pixels in which they differ are its mask.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from undrift.errors import InputError
from undrift.littleworld.captions import caption
from undrift.littleworld.edits import EDIT_TYPES, RICH_EDIT_TYPES, Edit, EditType, edit_between
from undrift.littleworld.options import OPTIONS
from undrift.littleworld.render import SIZE, render
from undrift.littleworld.scenes import Scene, sample_rich_scene, sample_scene

FRESH_TURNS = 10
"""Up to this many turns nothing returns that an attribute has left; later ones have to return to earlier values."""

_ATTEMPTS = 10_000


@dataclass(frozen=True)
class EditSequence:
    """An original scene and the scene after each turn.

    Attributes:
        scenes: The original, then one scene per turn; neighbours differ in one thing.

    Raises:
        InputError: If two neighbours differ in nothing or in more than one thing.
    """

    scenes: tuple[Scene, ...]

    def __post_init__(self) -> None:
        if not self.scenes:
            raise InputError("an edit sequence needs at least its original scene; got none")
        for before, after in zip(self.scenes[:-1], self.scenes[1:], strict=True):
            edit_between(before, after)

    @property
    def turns(self) -> int:
        """Number of edits."""
        return len(self.scenes) - 1

    @property
    def captions(self) -> tuple[str, ...]:
        """Caption of the original and of every turn."""
        return tuple(caption(scene) for scene in self.scenes)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What turn 1, 2, ... changes."""
        return tuple(edit_between(*pair) for pair in zip(self.scenes[:-1], self.scenes[1:], strict=True))

    def picture(self, turn: int, size: int = SIZE) -> Image.Image:
        """The right picture after a turn; turn 0 is the original."""
        return render(self.scenes[self._checked(turn, 0)], size)

    def mask(self, turn: int, size: int = SIZE) -> NDArray[np.bool_]:
        """Where turn `turn` (1, 2, ...) changes the picture before it, (size, size)."""
        return changed_pixels(self.scenes[self._checked(turn, 1) - 1], self.scenes[turn], size)

    def cumulative_mask(self, turn: int, size: int = SIZE) -> NDArray[np.bool_]:
        """Where the picture after `turn` differs from the original, (size, size)."""
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
    return _sampled(rng, turns, sample_scene, EDIT_TYPES)


def sample_rich_sequence(rng: random.Random, turns: int) -> EditSequence:
    """As `sample_sequence`, of the whole world: each eight turns are of the eight different types.

    It begins with a scene of `sample_rich_scene`.
    """
    return _sampled(rng, turns, sample_rich_scene, RICH_EDIT_TYPES)


def _sampled(
    rng: random.Random, turns: int, first: Callable[[random.Random], Scene], types: Sequence[EditType]
) -> EditSequence:
    if turns < 1:
        raise InputError(f"a sequence of {turns} turns is not possible; choose 1 or more")
    fresh = min(turns, FRESH_TURNS)
    scenes = _found(lambda: _extended(rng, [first(rng)], _type_order(rng, fresh, types), returning=False))
    while len(scenes) <= turns:
        scenes = _found(partial(_try_block, rng, scenes, types))
    return EditSequence(tuple(scenes[: turns + 1]))


def changed_pixels(before: Scene, after: Scene, size: int = SIZE) -> NDArray[np.bool_]:
    """Where the pictures of two scenes differ at all, (size, size)."""
    old, new = (np.asarray(render(scene, size)) for scene in (before, after))
    changed: NDArray[np.bool_] = np.any(old != new, axis=-1)
    return changed


def _found(attempt: Callable[[], list[Scene] | None]) -> list[Scene]:
    for _ in range(_ATTEMPTS):
        scenes = attempt()
        if scenes is not None:
            return scenes
    raise AssertionError("no sequence of edits was found")


def _try_block(rng: random.Random, scenes: list[Scene], types: Sequence[EditType]) -> list[Scene] | None:
    """The scenes and one more of each type."""
    last = edit_between(*scenes[-2:]).type
    return _extended(rng, scenes, _type_order(rng, len(types), types, last), returning=True)


def _extended(
    rng: random.Random, scenes: Sequence[Scene], types: Sequence[EditType], returning: bool
) -> list[Scene] | None:
    """The scenes and one more of each type; None if a type has nothing left to change."""
    grown = list(scenes)
    for edit_type in types:
        options = OPTIONS[edit_type]
        choices = list(options(grown, rng, False)) or (list(options(grown, rng, True)) if returning else [])
        if not choices:
            return None
        grown.append(rng.choice(choices))
    return grown


def _type_order(
    rng: random.Random, turns: int, types: Sequence[EditType], last: EditType | None = None
) -> list[EditType]:
    order: list[EditType] = []
    while len(order) < turns:
        block = rng.sample(types, len(types))
        if block[0] != (order[-1] if order else last):
            order += block
    return order[:turns]
