"""What every fuzz target promises: one line or a result, within seconds, in bounded memory.

Cases are made by Hypothesis, a few by default (continuous integration) and FUZZ_CASES of them with ``make fuzz``.
"""

from __future__ import annotations

import atexit
import os
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from undrift.errors import UndriftError

CASES = int(os.environ.get("FUZZ_CASES", "40"))
SECONDS = 10.0
BYTES = 2 * 2**30
_PNG = b"\x89PNG\r\n\x1a\n"

fuzzed = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))

_tally: dict[str, Counter[str]] = {}
_slowest: dict[str, float] = {}


def attempt(target: str, read: Callable[[], object]) -> object | None:
    """What ``read`` gives; None where it refuses, as it must, in one line and in time."""
    began = time.process_time()  # others may be at work on the machine
    held = peak_memory()  # a process that ran other tests before has held more
    result, said, outcome = None, "nothing", "read"
    try:
        result = read()
    except UndriftError as error:
        said, outcome = str(error), "refused"
    took = time.process_time() - began
    assert said, "a refusal says why"
    assert "\n" not in said, said
    _tally.setdefault(target, Counter())[outcome] += 1
    _slowest[target] = max(_slowest.get(target, 0.0), took)
    assert took < SECONDS, f"{took:.1f} s"
    assert peak_memory() < max(BYTES, held + BYTES // 8), f"{peak_memory() / 2**20:.0f} MB"
    return result


def peak_memory() -> int:
    """Most bytes that this process has held, 0 where the system does not tell."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0


@atexit.register
def _report() -> None:
    if "FUZZ_CASES" in os.environ:
        for target, counts in sorted(_tally.items()):
            told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
            slowest, memory = _slowest[target], peak_memory() / 2**20
            print(
                f"{target}: {counts.total()} cases ({told}), slowest {slowest:.1f} s, {memory:.0f} MB",
                file=sys.stderr,
            )


@st.composite
def damaged(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """One of ``originals`` with some bytes changed, numbers made extreme, parts removed, repeated or swapped."""
    data = bytearray(draw(st.sampled_from(originals)))
    for change in draw(st.lists(st.sampled_from(_CHANGES), max_size=4)):
        change(draw, data, originals)
    whole = bytes(data)
    return mended_png(whole) if whole.startswith(_PNG) and draw(st.booleans()) else whole


def _place(draw: st.DrawFn, data: bytearray) -> int:
    """Headers are short and matter most."""
    end = max(0, len(data) - 1)
    return draw(st.one_of(st.integers(0, min(end, 120)), st.integers(0, end)))


def _byte(draw: st.DrawFn, data: bytearray, originals: list[bytes]) -> None:
    if data:
        data[_place(draw, data)] = draw(st.integers(0, 255))


def _number(draw: st.DrawFn, data: bytearray, originals: list[bytes]) -> None:
    at, order = _place(draw, data), draw(st.sampled_from("<>"))
    value = draw(
        st.one_of(st.sampled_from([0, 1, 2, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1))
    )
    packed = struct.pack(order + "I", value)[: draw(st.sampled_from([2, 4]))]
    data[at : at + len(packed)] = packed


def _cut(draw: st.DrawFn, data: bytearray, originals: list[bytes]) -> None:
    del data[_place(draw, data) :]


def _remove(draw: st.DrawFn, data: bytearray, originals: list[bytes]) -> None:
    at = _place(draw, data)
    del data[at : at + draw(st.integers(1, 64))]


def _repeat(draw: st.DrawFn, data: bytearray, originals: list[bytes]) -> None:
    at, length = _place(draw, data), draw(st.integers(1, 200))
    data[at:at] = data[at : at + length] * draw(st.sampled_from([1, 2, 50, 5000]))


def _swap(draw: st.DrawFn, data: bytearray, originals: list[bytes]) -> None:
    other = draw(st.sampled_from(originals))
    at = _place(draw, data)
    data[at:] = other[min(at, len(other)) :]


_CHANGES = [_byte, _byte, _number, _number, _cut, _remove, _repeat, _swap]


def mended_png(data: bytes) -> bytes:
    """A PNG whose checksums are right again, so that its contents are looked at."""
    parts, at = [data[:8]], 8
    while at + 8 <= len(data):
        length = min(int.from_bytes(data[at : at + 4], "big"), len(data) - at - 8)
        body = data[at + 4 : at + 8 + length]
        parts.append(struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body)))
        at += 12 + length
    return b"".join(parts)
