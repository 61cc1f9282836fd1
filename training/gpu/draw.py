"""Draws training scenes in as many processes as there are cores, while the GPU already learns from the first ones."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training import data, oracle, text
from undrift.littleworld.captions import caption
from undrift.littleworld.render import render

CHUNK = 250
LARGE = 2
"""A large picture is so many times wider than a small one, and so is its grid of image tokens."""


class Drawn(NamedTuple):
    """Scenes of consecutive seeds.

    Attributes:
        first: The first seed.
        large: Whether the pictures are large.
        pictures: (count, size, size, 3), uint8.
        parts: Part id of every 4 x 4 pixels of a small picture, (count, 32, 32), uint8.
        labels: (count, len(oracle.LABELS)), uint8.
        captions: As people type them.
    """

    first: int
    large: bool
    pictures: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    captions: list[str]


def draw(task: tuple[int, int, bool]) -> Drawn:
    """The scenes of `count` seeds from `first` on; `task` is (first, count, large)."""
    first, count, large = task
    seeds = range(first, first + count)
    scenes = [data.scene(seed) for seed in seeds]
    size = data.SIZE * (LARGE if large else 1)
    return Drawn(
        first,
        large,
        np.stack([np.asarray(render(scene, size=size)) for scene in scenes]),
        np.stack([oracle.part_map(scene) for scene in scenes]),
        np.array([oracle.labels(scene) for scene in scenes], dtype=np.uint8),
        [text.varied(caption(scene), random.Random(seed)) for seed, scene in zip(seeds, scenes, strict=True)],
    )


class Store:
    """Pictures of one size on the device, filled in any order of chunks that is drawn from 0 on.

    Args:
        count: Scenes in the end.
        large: Whether the pictures are large.
        device: Where.
    """

    def __init__(self, count: int, large: bool, device: torch.device) -> None:
        size = data.SIZE * (LARGE if large else 1)
        self.count, self.large, self.ready = count, large, 0
        self.pictures = torch.zeros(count, size, size, 3, dtype=torch.uint8, device=device)
        self.parts = torch.zeros(count, oracle.CELLS, oracle.CELLS, dtype=torch.uint8, device=device)
        self.labels = torch.zeros(count, len(oracle.LABELS), dtype=torch.uint8, device=device)
        self.captions: list[str] = []
        self.limit = torch.zeros((), device=device)
        """How many pictures are there, for a captured step."""

    def add(self, drawn: Drawn) -> None:
        """Append one chunk; seeds need not be consecutive."""
        place = slice(self.ready, self.ready + len(drawn.pictures))
        self.pictures[place].copy_(torch.from_numpy(drawn.pictures))
        self.parts[place].copy_(torch.from_numpy(drawn.parts))
        self.labels[place].copy_(torch.from_numpy(drawn.labels))
        self.captions += drawn.captions
        self.ready = place.stop
        self.limit.fill_(self.ready)

    def batch(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Random pictures in [-1, 1], (size, 3, height, width) channels last, with parts and labels."""
        index = (torch.rand(size, device=self.limit.device) * self.limit).long()
        shown = self.pictures[index].permute(0, 3, 1, 2).float() / 127.5 - 1
        return shown, self.parts[index].long(), self.labels[index].long()


class Drawing:
    """Draws into two stores in the background; `poll` takes over what is ready.

    Args:
        small: Small pictures wanted.
        large: Large pictures wanted.
        workers: Processes. They are forked, so this comes before anything that starts CUDA.
    """

    def __init__(self, small: int, large: int, workers: int) -> None:
        self._pool = multiprocessing.get_context("fork").Pool(workers)
        self._results = self._pool.imap_unordered(draw, _tasks(small, large))
        self._left = (small + large) // CHUNK
        self._counts = small, large

    def stores(self, device: torch.device) -> tuple[Store, Store]:
        """Empty stores of the wanted sizes."""
        self.small, self.large = Store(self._counts[0], False, device), Store(self._counts[1], True, device)
        return self.small, self.large

    def poll(self, at_least: int = 0) -> bool:
        """Take over what is ready, waiting until there are `at_least` chunks; whether all are there."""
        taken = 0
        while self._left:
            try:
                drawn = self._results.next(None if taken < at_least else 0.0)
            except multiprocessing.TimeoutError:
                break
            (self.large if drawn.large else self.small).add(drawn)
            self._left -= 1
            taken += 1
        if not self._left:
            self._pool.close()
        return not self._left


def _tasks(small: int, large: int) -> Iterator[tuple[int, int, bool]]:
    """Small and large chunks in proportion; large ones take seeds that no small one has."""
    counts = small // CHUNK, large // CHUNK
    given = [0, 0]
    while given[0] < counts[0] or given[1] < counts[1]:
        big = given[1] < counts[1] and given[1] * counts[0] <= given[0] * counts[1]
        big = big or given[0] >= counts[0]
        first = (small if big else 0) + given[big] * CHUNK
        given[big] += 1
        yield first, CHUNK, big
