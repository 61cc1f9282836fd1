"""How time and memory are measured."""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from statistics import median
from typing import Literal

import torch

MEGABYTE = 2**20


def processor_time() -> float:
    """Processor seconds of this process and of the processes it has waited for: other programs do not count."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def fastest(
    cases: Mapping[str, Callable[[], object]],
    repeats: int,
    device: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Seconds of each case: the minimum over ``repeats`` rounds, in each of which every case runs once.

    Interleaving exposes all cases to the same disturbances, and the minimum is what the work itself takes. One round
    before the first warms up.
    """
    best = dict.fromkeys(cases, float("inf"))
    for repeat in range(repeats + 1):
        for name, case in cases.items():
            seconds = _seconds(case, device, clock)
            if repeat:
                best[name] = min(best[name], seconds)
    return best


@dataclass(frozen=True)
class Paired:
    """How much longer one thing takes than another.

    Attributes:
        ratio: median over the rounds.
        low, high: where it lies with a probability of 95 % or more.
        base, other: seconds of one call each, medians over the rounds.
    """

    ratio: float
    low: float
    high: float
    base: float
    other: float


def paired(
    base: Callable[[], object],
    other: Callable[[], object],
    rounds: int,
    device: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> Paired:
    """The time of ``other`` over that of ``base``, for differences that are smaller than the noise of one call.

    Each round runs base, other, other, base and gives one ratio of sums, so that what grows or falls steadily in it
    (the clock of the processor, the work of its neighbours) is in both alike. One round before the first warms up.
    """
    taken = [[_seconds(run, device, clock) for run in (base, other, other, base)] for _ in range(rounds + 1)][1:]
    bases, others = [(one[0] + one[3]) / 2.0 for one in taken], [(one[1] + one[2]) / 2.0 for one in taken]
    ratios = [one / two for one, two in zip(others, bases, strict=True)]
    return Paired(median(ratios), *median_interval(ratios), median(bases), median(others))


Verdict = Literal["held", "MISSED", "not decided"]


def verdict(low: float, high: float, bar: float) -> Verdict:
    """What an interval says of a bar: held where it ends below, missed where it lies above as a whole."""
    return "held" if high <= bar else "MISSED" if low > bar else "not decided"


class Stopwatch:
    """A clock that goes only within its ``with`` blocks: for what differs, where the rest is the same work twice."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._before, self._began = clock, 0.0, 0.0

    def __call__(self) -> float:
        """Seconds so far, outside of any block."""
        return self._before

    def __enter__(self) -> None:
        self._began = self._clock()

    def __exit__(self, *_: object) -> None:
        self._before += self._clock() - self._began


def median_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Two of ``values`` between which the median of what they are drawn from lies with a probability of ``level``.

    By the sign test: whatever the distribution is, the number of values below its median is binomial, so that the
    j-th smallest and the j-th largest enclose it but for twice P(fewer than j). Under 6 values no two of them enclose
    it so surely: the interval is without end.
    """
    ordered, count, rank = sorted(values), len(values), 0
    while 2.0 * sum(comb(count, below) for below in range(rank + 1)) <= (1.0 - level) * 2.0**count:
        rank += 1
    return (ordered[rank - 1], ordered[-rank]) if rank else (float("-inf"), float("inf"))


def _seconds(run: Callable[[], object], device: str, clock: Callable[[], float]) -> float:
    settle(device)
    began = clock()
    run()
    settle(device)
    return clock() - began


def settle(device: str) -> None:
    """Wait until ``device`` has nothing to do."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def tensor_bytes() -> int:
    """Bytes of all tensors that are alive, shared storage counted once."""
    gc.collect()
    storages = {}
    for thing in gc.get_objects():
        if issubclass(type(thing), torch.Tensor) and thing.device.type != "meta":
            storage = thing.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def resident_bytes() -> int:
    """Memory of this process right now; where the system does not say, the most it ever had."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak(device: str) -> None:
    """Start a new measurement of ``peak_bytes``."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: str) -> int:
    """The most memory that was in use: of the GPU since ``reset_peak``, on a CPU of the process since its start."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
