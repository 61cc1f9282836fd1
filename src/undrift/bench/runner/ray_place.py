"""Units of work on a Ray cluster, one worker per GPU or core. Ray is imported only when one is asked for.

Every worker loads the model once and writes into the run's folder itself, so that all of them must see it at the same
path, on a file system that they share. A worker that dies is replaced, and its unit goes on where it was.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from undrift.backbones.base import ModelIdentity
from undrift.bench.records import Manifest, RunFolder, TurnRecord
from undrift.bench.runner.place import Job, Place
from undrift.bench.runner.plan import Unit
from undrift.bench.runner.worker import Told
from undrift.errors import InputError, UndriftError

LOCAL = "local"
DEATHS = 3
"""A unit whose workers died so many times is given up."""
POLL = 0.5
"""Seconds between looks at whether the user wants to stop."""

SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Ray reports nothing to its makers, and leaves the GPUs' variables alone where it gives none."""


@dataclass(frozen=True)
class Description:
    """What a worker says of itself."""

    identity: ModelIdentity
    tuned: dict[str, dict[str, Any]]
    pid: int


class RemoteModel:
    """What runs in a worker's process. The model is loaded by ``describe``, so that its errors come out as they are.

    What kinds of work add: ``open(*asked)``, which takes the work on, and ``work(unit, given_up)``, which does a part
    of it, or records why that is given up, and returns what is to be told of it.

    Args:
        loading: arguments of ``undrift.backbones.load``.
        folder: where whoever asks is, from where models, adapters and pictures may be named; a worker goes there if
            it sees it. Ray begins its processes elsewhere.
    """

    def __init__(self, loading: Mapping[str, Any], folder: Path) -> None:
        self._loading = dict(loading)
        with suppress(OSError):
            os.chdir(folder)
        self._backbone: Any = None

    def describe(self) -> Description:
        """Load the model."""
        import torch

        from undrift.backbones import load

        torch.set_num_threads(1)
        self._backbone = load(**self._loading)
        tuned = {name: dict(values) for name, values in self._backbone.tuned.items()}
        return Description(self._backbone.identity, tuned, os.getpid())


class RemoteWorker(RemoteModel):
    """Units of a run."""

    _worker: Any = None

    def open(self, path: str, manifest: str) -> None:
        """Take a run on."""
        from undrift.backbones.memory import VelocityMemory
        from undrift.bench.runner.worker import Worker
        from undrift.bench.suites.registry import open_suite

        read = Manifest.model_validate_json(manifest)
        cases = {case.id: case for case in open_suite(read.suite)}
        run = RunFolder(Path(path))
        memory = VelocityMemory()
        self._made: list[TurnRecord] = []
        self._worker = Worker(run, read, cases, self._backbone, memory=memory, told=self._made.append)

    def work(self, unit: Unit, given_up: str | None) -> list[TurnRecord]:
        """Do a unit, or record why it is given up; returns the turns that were made or failed."""
        self._made.clear()
        if given_up is None:
            self._worker.work(unit)
        else:
            self._worker.give_up(unit, given_up)
        return list(self._made)


class Cluster:
    """A Ray cluster, for the time of a ``with`` block.

    Args:
        address: of the cluster; ``local`` starts one here with a worker per GPU or core, ``local:N`` with N workers.
        loading: arguments of ``undrift.backbones.load``.
        check: called now and then, and raises to stop.

    Attributes:
        identity: of the model.
        tuned: its tuned parameters, as ``Backbone.tuned``.
        pids: of the workers that are alive, by number.
        kind: what runs in a worker's process.
        hint: what helps where workers die, told with what is given up.

    Raises:
        InputError: Ray is not installed, or the cluster cannot be reached.
    """

    identity: ModelIdentity
    tuned: Mapping[str, Mapping[str, Any]]
    kind: ClassVar[type[RemoteModel]]
    hint: ClassVar[str]

    def __init__(self, address: str, loading: Mapping[str, Any], check: Callable[[], None] = lambda: None) -> None:
        self._ray = _imported()
        self._address, self._loading, self._check = address, dict(loading), check
        self._folder, self._wanted = Path.cwd(), _workers(address)
        self._workers: dict[int, Any] = {}
        self.pids: dict[int, int] = {}

    def __enter__(self) -> Self:
        _connect(self._ray, self._address, self._wanted)
        try:
            resources = self._ray.cluster_resources()
            gpus = int(resources.get("GPU", 0)) if self._wanted is None else 0
            self._share = {"num_gpus": 1, "num_cpus": 0} if gpus else {"num_cpus": 1}
            count = self._wanted or gpus or int(resources.get("CPU", 1))
            self._workers = {number: self._hired() for number in range(count)}
            described = self._described(self._workers)
            self.identity, self.tuned = described[0].identity, described[0].tuned
        except BaseException:
            self._ray.shutdown()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        for worker in self._workers.values():
            self._ray.kill(worker)
        self._ray.shutdown()

    def spread(self, asked: tuple[Any, ...], units: Iterable[Any], told: Callable[[Any], None]) -> None:
        """Have every unit done once; ``told`` hears what each gave, in the order in which they are finished.

        Raises:
            Cancelled: ``check`` stopped it.
            UndriftError: what a worker raised.
        """
        for worker in self._workers.values():
            worker.open.remote(*asked)
        waiting, deaths = deque(units), Counter[Any]()
        busy: dict[Any, tuple[int, Any]] = {}
        idle = list(self._workers)
        while waiting or busy:
            while idle and waiting:
                number, unit = idle.pop(0), waiting.popleft()
                busy[self._begun(number, unit, deaths[unit])] = number, unit
            for done in self._next(list(busy)):
                number, unit = busy.pop(done)
                if not self._told(done, told):
                    deaths[unit] += 1
                    waiting.appendleft(unit)
                    self._replace(number, asked)
                idle.append(number)

    def _told(self, done: Any, told: Callable[[Any], None]) -> bool:
        """Tell of a finished call; False if its worker died."""
        try:
            made = self._result(done)
        except self._ray.exceptions.RayActorError:
            return False
        told(made)
        return True

    def _begun(self, number: int, unit: Any, deaths: int) -> Any:
        why = f"{deaths} workers died of it; {self.hint}" if deaths >= DEATHS else None
        return self._workers[number].work.remote(unit, why)

    def _next(self, pending: list[Any]) -> list[Any]:
        """What is finished, after at most ``POLL`` seconds."""
        self._check()
        done: list[Any] = self._ray.wait(pending, num_returns=1, timeout=POLL)[0]
        return done

    def _result(self, reference: Any) -> Any:
        """A finished call's result; an error of ours comes out as it was raised in the worker."""
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, UndriftError):
                raise cause from None
            raise

    def _hired(self) -> Any:
        return self._ray.remote(self.kind).options(**self._share).remote(self._loading, self._folder)

    def _described(self, workers: Mapping[int, Any]) -> list[Description]:
        found = [self._result(call) for call in [worker.describe.remote() for worker in workers.values()]]
        self.pids |= dict(zip(workers, (each.pid for each in found), strict=True))
        return found

    def _replace(self, number: int, asked: tuple[Any, ...]) -> None:
        self._workers[number] = self._hired()
        self._described({number: self._workers[number]})
        self._workers[number].open.remote(*asked)


class OnRay(Cluster, Place):
    """A run's units on a cluster."""

    kind = RemoteWorker
    hint = "a smaller --batch needs less memory"

    def work(self, job: Job, told: Told) -> None:
        def each(made: list[TurnRecord]) -> None:
            for record in made:
                told(record)

        self.spread((str(job.run.path.absolute()), job.manifest.model_dump_json()), job.units, each)


def _workers(address: str) -> int | None:
    """The number in ``local:N``; None if the cluster decides."""
    name, _, number = address.partition(":")
    if name != LOCAL or not number:
        return None
    if not number.isdigit() or int(number) < 1:
        raise InputError(f"--ray {address}: expected local:N with a number of workers, such as local:2")
    return int(number)


def _imported() -> Any:
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise InputError("--ray needs the package ray: pip install 'undrift[ray]'") from None
    return ray


def _connect(ray: Any, address: str, workers: int | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": "error"}
    if address.partition(":")[0] == LOCAL:
        ray.init(address=LOCAL, num_cpus=workers, include_dashboard=False, **quiet)
        return
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(f"no Ray cluster at '{address}' ({first}): start one, or use --ray local") from None
