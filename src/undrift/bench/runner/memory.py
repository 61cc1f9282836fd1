"""How much memory work takes."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]
import torch


class MemoryGauge:
    """Measures the memory used at most while a ``with`` block runs.

    Args:
        device: on CUDA what the device holds at most within the block; elsewhere the process's highest resident size
            since it began, because a process cannot forget its peak.

    Attributes:
        peak: bytes, after the block.
    """

    def __init__(self, device: str) -> None:
        self._cuda = torch.device(device) if device.startswith("cuda") else None
        self.peak = 0

    def __enter__(self) -> Self:
        if self._cuda is not None:
            torch.cuda.reset_peak_memory_stats(self._cuda)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.peak = process_peak() if self._cuda is None else int(torch.cuda.max_memory_allocated(self._cuda))


def process_peak() -> int:
    """The process's highest resident size so far in bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return int(psutil.Process().memory_info().peak_wset)
    scale = 1 if psutil.MACOS else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
