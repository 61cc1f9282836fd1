"""Numbers below the smallest normal one, 1.2e-38 in float32, taken for zero: a processor takes many times as long for
them.

They arise inside of functions, where nobody sees them: in GELU's tanh, whose exponential vanishes for some arguments,
and in the softmax of attention. Added to anything else they change nothing, so what a network makes is the same to
the bit; LittleWorld's forward takes from a quarter to nearly half less time.

The mode is a thread's own, and PyTorch sets that of the calling one alone. Those that share its work have the mode
that it had when they were begun: within the block they would count denormal numbers as slowly as ever, or, begun
there, take them for zero ever after. So they are told, too.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch

ENVIRONMENT_BYTES = 64
"""Enough for C's ``fenv_t``: 32 bytes on x86-64, 8 on ARM."""


@contextmanager
def flushed(device: torch.device) -> Iterator[None]:
    """Within the block the processor takes denormal numbers for zero, in this thread and in those that share its
    work; afterwards they do what this one did."""
    if device.type != "cpu" or flushes() or not torch.set_flush_denormal(True):
        yield
        return
    try:
        _tell_team()
        yield
    finally:
        torch.set_flush_denormal(False)
        _tell_team()


def flushes() -> bool:
    """Whether this thread's processor takes denormal numbers for zero."""
    # Named in full: a caller may have set another number format, or another device, for tensors that name none.
    return bool(torch.full((1,), 2.0**-126, dtype=torch.float32, device="cpu").mul_(0.5) == 0.0)


def _tell_team() -> None:
    """Give the threads that share this one's work its floating-point environment; where none can be told, nothing."""
    if torch.get_num_threads() > 1 and (tell := _team()) is not None:
        tell()


@cache
def _team() -> Callable[[], None] | None:
    """Copies this thread's environment to its OpenMP team; None where PyTorch's threads are not of GNU's interface.

    ``GOMP_parallel(function, data, threads, flags)`` is what a compiler makes of a parallel region, and C's
    ``fesetenv(environment)`` is such a function of one pointer.
    """
    try:
        here = ctypes.CDLL(None)
        parallel, take, put = here.GOMP_parallel, here.fegetenv, here.fesetenv
    except (AttributeError, OSError, TypeError):
        return None
    parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    parallel.restype = None
    address = ctypes.cast(put, ctypes.c_void_p)

    def tell() -> None:
        environment = ctypes.create_string_buffer(ENVIRONMENT_BYTES)
        if take(environment) == 0:
            parallel(address, environment, torch.get_num_threads(), 0)

    return tell
