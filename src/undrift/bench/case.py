"""What the benchmark asks of an editor: an original picture, and the turns to make of it."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Mask = NDArray[np.bool_]
"""(height, width), True where something may change."""


@dataclass(frozen=True)
class Task:
    """One turn that is asked for.

    Attributes:
        source_prompt: what the picture before the turn shows.
        target_prompt: what the picture is to show after it, everything asked so far included.
        edit_type: the suite's name of the kind of edit, such as "background"; results are also shown per type.
        instruction: the edit as an instruction, where the suite has one.
        words: words of the target prompt that steer the highlighting; None takes those that differ.
    """

    source_prompt: str
    target_prompt: str
    edit_type: str
    instruction: str | None = None
    words: tuple[str, ...] | None = None


class Case(ABC):
    """A picture and its turns: turn 0 is the original, turn k (from 1) is ``tasks[k - 1]``.

    Attributes:
        id: unique in its suite, letters, digits, "-" and "_" only: it names a folder.
        tasks: the turns in order.
        seed: of turn 1.
        seed_step: what every further turn adds to it; 0 where a protocol gives all turns one seed.
    """

    id: str
    tasks: tuple[Task, ...]
    seed: int = 0
    seed_step: int = 1

    def seed_of(self, turn: int) -> int:
        """The seed of ``turn``, from 1."""
        return self.seed + (turn - 1) * self.seed_step

    @property
    def turns(self) -> int:
        """Number of turns."""
        return len(self.tasks)

    def shortened(self, turns: int) -> Self:
        """This case with only its first ``turns`` turns."""
        short = copy.copy(self)
        short.tasks = self.tasks[:turns]
        return short

    @abstractmethod
    def original(self) -> Image.Image:
        """The picture of turn 0, RGB.

        Raises:
            PictureError: it is missing or damaged.
        """

    def truth(self, turn: int) -> Image.Image | None:
        """The right picture after ``turn``, of the original's size; None where nobody knows it."""
        return self.original() if turn == 0 else None

    def mask(self, turn: int) -> Mask | None:
        """Where ``turn`` (from 1) was to change the picture before it; None where nobody knows it."""
        return None

    def mask_since_original(self, turn: int) -> Mask | None:
        """Where turns 1 to ``turn`` together were to change turn 0: the union of their masks if all are known."""
        masks = [self.mask(k) for k in range(1, turn + 1)]
        known = [mask for mask in masks if mask is not None]
        return None if len(known) < len(masks) or not known else np.logical_or.reduce(known)
