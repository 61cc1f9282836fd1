"""What a page is shown of candidates while they are made, each by itself."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from undrift.backbones.counter import Counter
from undrift.flow import Observer, StepEnd
from undrift.session.model import Turn
from undrift.session.preview import Preview, decoder
from undrift.session.spent import Spent
from undrift.session.store import Session
from undrift.session.together import Watcher
from undrift.studio.job import Running
from undrift.studio.studio import Studio


class Tiles(Watcher):
    """Tells of candidates whose numbers begin at ``first``, every n-th step with a picture.

    Args:
        studio, session: what makes them, and where they go.
        running: is told.
        every: n.
        first: the tile of the first of them.
        spent: counts what they ask of the network.
    """

    def __init__(
        self, studio: Studio, session: Session, running: Running, every: int, first: int, spent: Spent
    ) -> None:
        self._spent = spent
        self._studio, self._session, self._running = studio, session, running
        self._every, self._first = every, first
        self._decode = decoder(session, studio.backbone)

    def observers(self, numbers: Sequence[int], counter: Counter) -> Sequence[Observer]:
        self._spent.begin(numbers, counter)
        tiles = [self._first + number for number in numbers]
        steps = _Steps(self._running, tiles)
        if self._decode is None:  # no picture without moving weights
            return [steps]

        def show(pictures: Sequence[Image.Image], step: int, count: int) -> None:
            # Where the sources run beside their targets, they are the rows behind.
            for tile, picture in zip(tiles, pictures, strict=False):
                self._running.show(tile, picture)

        size = self._session.original.width, self._session.original.height
        return [steps, Preview(self._studio.backbone, size, show, self._every, self._decode)]

    def made(self, number: int, turn: Turn) -> None:
        self._running.made(turn.id, self._first + number)
        self._studio.changed(self._session.folder.name)


class _Steps(Observer):
    def __init__(self, running: Running, tiles: Sequence[int]) -> None:
        self._running, self._tiles = running, tiles

    def end(self, event: StepEnd) -> None:
        self._running.reached(self._tiles, event.step.index + 1, event.step.count)
