"""How time and memory are measured."""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

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
            settle(device)
            began = clock()
            case()
            settle(device)
            if repeat:
                best[name] = min(best[name], clock() - began)
    return best


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
