"""Candidates of one turn made at once: those of one method as a batch of it, others beside one another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from undrift.backbones.base import Latent
from undrift.backbones.counter import Counter
from undrift.backbones.together import Share, together
from undrift.errors import OutOfMemory
from undrift.flow import Observer
from undrift.methods.base import EditMethod
from undrift.session.making import Work
from undrift.session.model import Turn, TurnSpec
from undrift.session.outcome import Outcome

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """One of the turns that are made at once.

    Attributes:
        number: of its plan.
        spec: what is recorded.
        method: what makes it.
    """

    number: int
    spec: TurnSpec
    method: EditMethod


class Watcher:
    """Hears of candidates by their numbers, from 0. Override what is needed."""

    def observers(self, numbers: Sequence[int], counter: Counter) -> Sequence[Observer]:
        """Who is told of the steps of these candidates, which are the rows of one state; ``counter`` counts what they
        ask of the network."""
        return ()

    def made(self, number: int, turn: Turn) -> None:
        """A candidate is a turn of the session now; others may not be yet."""


class Batch:
    """Makes candidates at once.

    Args:
        work: of their turn.
        previous: the latent that they start from; None has the picture encoded.
        observers: hear of the steps of all of them.
        watcher: hears of each.
    """

    def __init__(self, work: Work, previous: Latent | None, observers: Sequence[Observer], watcher: Watcher) -> None:
        self._work, self._previous, self._observers, self._watcher = work, previous, observers, watcher

    def outcomes(self, candidates: Sequence[Candidate]) -> Generator[tuple[int, Outcome], None, None]:
        """What each makes, by its place, as soon as it is made.

        Raises:
            OutOfMemory: there is no room for so many.
            InputError: several methods under a step cache.
        """
        parts = _parts(candidates)
        if len(parts) == 1:
            yield from zip(parts[0], self._made(candidates, parts[0], self._work), strict=True)
            return
        pieces = [self._piece(candidates, part) for part in parts]
        for number, outcomes, share in together(self._work.backbone, pieces):
            _tell_alone(candidates[parts[number][0]].method, share)
            yield from zip(parts[number], outcomes, strict=True)

    def _piece(self, candidates: Sequence[Candidate], part: Sequence[int]) -> Callable[[Share], list[Outcome]]:
        return lambda share: self._made(candidates, part, replace(self._work, backbone=share))

    def _made(self, candidates: Sequence[Candidate], part: Sequence[int], work: Work) -> list[Outcome]:
        chosen = [candidates[place] for place in part]
        watching = self._watcher.observers([one.number for one in chosen], work.backbone.counter)
        beside = 0 if work is self._work else len(candidates) - len(part)
        specs, observers = [one.spec for one in chosen], [*self._observers, *watching]
        return work.edits(self._previous, specs, chosen[0].method, observers, beside)


def in_batches(
    candidates: Sequence[Candidate], make: Callable[[Sequence[Candidate]], object], stored: Container[int]
) -> None:
    """All of them as one batch, or as two halves where that does not fit, and so on.

    Args:
        candidates: to be made.
        make: makes some of them.
        stored: the numbers of those that were made, whatever happened then.
    """
    count = len(candidates)
    together = count if count > 1 else None
    try:
        make([replace(one, spec=one.spec.model_copy(update={"together": together})) for one in candidates])
    except OutOfMemory:
        if count == 1:
            raise
        log.warning("%d candidates at once do not fit the device: making them in two batches", count)
        left = [one for one in candidates if one.number not in stored]
        half = (len(left) + 1) // 2
        for some in filter(None, (left[:half], left[half:])):
            in_batches(some, make, stored)


def unlike(methods: Iterable[EditMethod]) -> list[EditMethod]:
    """Each of ``methods`` once."""
    return list({id(method): method for method in methods}.values())


def _parts(candidates: Sequence[Candidate]) -> list[list[int]]:
    """The places of those that one method makes as rows of one state; each alone where it makes them one by one."""
    alike = groupby(range(len(candidates)), key=lambda place: id(candidates[place].method))
    groups = [list(places) for _, places in alike]
    return [
        part
        for group in groups
        for part in ([[place] for place in group] if candidates[group[0]].method.one_by_one() else [group])
    ]


def _tell_alone(method: EditMethod, share: Share) -> None:
    """Say which evaluations a candidate could not share with the others."""
    if share.alone:
        alone, spent, why = sum(share.alone.values()), share.counter.evaluations, ", ".join(share.alone)
        log.warning("%s: %d of %d evaluations are made apart from the batch, for %s", method.name, alone, spent, why)
