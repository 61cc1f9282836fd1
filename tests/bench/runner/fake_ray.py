"""The few parts of Ray that ``OnRay`` uses, in this process: calls run when their results are asked for.

A worker dies at the calls of ``work`` that ``deadly`` says, as a real one whose process is killed: all of its later
calls fail as well. What is said to workers and what they give is pickled, as it is between processes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from undrift.bench.runner.plan import Unit

Deadly = Callable[[Unit, str | None], bool]


class RayActorError(Exception):
    """A worker is gone."""


class RayTaskError(Exception):
    """A call failed; ``cause`` says how."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class FakeRay:
    """Stands in for the module.

    Args:
        deadly: whether a call of ``work`` kills its worker, by its arguments.

    Attributes:
        hired: workers so far.
        asked: the units of all calls of ``work``, with why they are given up.
        down: whether ``shutdown`` was called.
    """

    exceptions = SimpleNamespace(RayActorError=RayActorError, RayTaskError=RayTaskError)

    def __init__(
        self, deadly: Deadly = lambda unit, given_up: False, resources: dict[str, float] | None = None
    ) -> None:
        self.deadly, self.hired, self.down = deadly, 0, False
        self.asked: list[tuple[Unit, str | None]] = []
        self.options: dict[str, Any] = {}
        self._resources = resources or {"CPU": 2.0}

    def init(self, **options: Any) -> None:
        self.options = options

    def cluster_resources(self) -> dict[str, float]:
        return self._resources

    def remote(self, kind: type) -> Any:
        def hire(*arguments: Any) -> _Actor:
            self.hired += 1
            return _Actor(self, kind(*arguments))

        def options(**share: Any) -> Any:
            self.options["share"] = share
            return SimpleNamespace(remote=hire)

        return SimpleNamespace(options=options)

    def wait(self, pending: Sequence[_Call], num_returns: int, timeout: float) -> tuple[list[_Call], list[_Call]]:
        return [pending[-1]], list(pending[:-1])

    def get(self, call: _Call) -> Any:
        return call.result()

    def kill(self, actor: _Actor) -> None:
        actor.alive = False

    def shutdown(self) -> None:
        self.down = True


class _Actor:
    def __init__(self, ray: FakeRay, worker: Any) -> None:
        self.ray, self.worker, self.alive = ray, worker, True
        self.opened: _Call | None = None

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *arguments: self._begun(_Call(self, name, arguments)))

    def _begun(self, call: _Call) -> _Call:
        if call.name == "open":  # nobody asks for its result
            call.result()
        return call


class _Call:
    def __init__(self, actor: _Actor, name: str, arguments: tuple[Any, ...]) -> None:
        self.actor, self.name, self.arguments = actor, name, arguments

    def result(self) -> Any:
        if self.name == "work":
            self.actor.ray.asked.append((self.arguments[0], self.arguments[1]))
            self.actor.alive = self.actor.alive and not self.actor.ray.deadly(*self.arguments)
        if not self.actor.alive:
            raise RayActorError
        try:
            arguments = pickle.loads(pickle.dumps(self.arguments))  # as they travel between processes
            return pickle.loads(pickle.dumps(getattr(self.actor.worker, self.name)(*arguments)))
        except Exception as error:
            raise RayTaskError(error) from error
