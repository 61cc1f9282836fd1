"""Where a run's units are worked on: in this process, or wherever else a `Place` reaches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from undrift.backbones.base import Backbone, ModelIdentity
from undrift.backbones.memory import VelocityMemory
from undrift.bench.case import Case
from undrift.bench.records import Manifest, RunFolder
from undrift.bench.runner.plan import Unit
from undrift.bench.runner.worker import Told, Worker
from undrift.flow import Observer


@dataclass(frozen=True)
class Job:
    """What is to be worked on.

    Attributes:
        run: the folder.
        manifest: its methods are those to run.
        cases: of the suite.
        units: in the order in which they are begun.
    """

    run: RunFolder
    manifest: Manifest
    cases: Sequence[Case]
    units: Sequence[Unit]

    def by_id(self) -> Mapping[str, Case]:
        """The cases by id."""
        return {case.id: case for case in self.cases}


class Place(ABC):
    """Somewhere with the model at hand.

    Attributes:
        identity: of the model.
        tuned: its tuned parameters, as ``Backbone.tuned``.
    """

    identity: ModelIdentity
    tuned: Mapping[str, Mapping[str, Any]]

    @abstractmethod
    def work(self, job: Job, told: Told) -> None:
        """Do every unit; ``told`` hears of every turn.

        Raises:
            SessionError: the folder cannot be written.
            Cancelled: the user stopped it.
        """


class Here(Place):
    """This process, one unit after another.

    Args:
        backbone: the model.
        check: called between units, and raises to stop.
        observers: of every integration; one may stop it too.
    """

    def __init__(
        self,
        backbone: Backbone,
        check: Callable[[], None] = lambda: None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._backbone, self._check, self._observers = backbone, check, observers
        self.identity, self.tuned = backbone.identity, backbone.tuned

    def work(self, job: Job, told: Told) -> None:
        worker = Worker(
            job.run,
            job.manifest,
            job.by_id(),
            self._backbone,
            memory=VelocityMemory(),
            observers=self._observers,
            told=told,
        )
        for unit in job.units:
            self._check()
            worker.work(unit)
