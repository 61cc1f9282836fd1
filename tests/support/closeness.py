"""How close counts as equal: the sources that a float tolerance of this suite may have.

- Recorded by another implementation: ``golden.close``, 2e-4 absolute.
- Rounding: ``assert_rounded``, or ``rounding`` as the ``abs`` of ``pytest.approx``. It follows from the numbers' size
  and from how many are rounded one into the next, never from what one processor happened to give.
- A figure that somebody printed: ``printed``, half a unit of its last place.
- A few operations in float64: ``pytest.approx`` as it is, 1e-6 relative.
- Anything else (a statistic, 8-bit levels, the error of an approximation): a number with a comment beside or above it
  that says where it comes from. ``tests/test_closeness.py`` holds the suite to that.
"""

from __future__ import annotations

import math
from typing import Any

import torch

CERTAINTY = 8.0
"""lambda of the probabilistic bound, which one sum exceeds with a probability of 2 exp(-lambda^2 / 2), or 3e-14."""


def rounding(operations: int, size: float = 1.0, dtype: torch.dtype = torch.float32) -> float:
    """How far two computations of the same value may lie apart through rounding.

    n roundings, one into the next, change a value of size s by at most n u s, where u = eps / 2 (Higham, *Accuracy
    and Stability of Numerical Algorithms*, 2nd edition, section 3.1), and hardly ever by more than lambda sqrt(n) u s
    (Higham and Mary, *A New Approach to Probabilistic Rounding Error Analysis*, 2019, theorem 2.4). Two computations
    err twice as far: min(n, lambda sqrt(n)) eps s.

    Args:
        operations: roundings on the longest path from input to result: the lengths of its sums, added up over layers.
        size: of the largest value that is rounded on the way, intermediate ones included.
        dtype: what both compute in, or the coarser of them.
    """
    return min(operations, CERTAINTY * math.sqrt(operations)) * torch.finfo(dtype).eps * size


def assert_rounded(
    actual: Any, expected: Any, operations: int, *, size: float | None = None, dtype: torch.dtype | None = None
) -> None:
    """Fail unless two tensors or arrays are the same but for rounding (see ``rounding``), NaN nowhere.

    Args:
        actual: compared with ``expected``; both have one shape and one dtype.
        size: default: of the largest number in ``expected``. Say it where larger ones cancel on the way.
        dtype: what was computed in; default: that of ``actual``.
    """
    actual, expected = torch.as_tensor(actual).detach(), torch.as_tensor(expected).detach()
    largest = float(expected.abs().max()) if size is None else size
    if not largest > 0.0:
        raise ValueError("expected zeros have no size: say how large the numbers are that cancel")
    tolerance = rounding(operations, largest, dtype or actual.dtype)
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=0)


def flux_operations(double: int, single: int, width: int, tokens: int, heads: int = 2) -> int:
    """Roundings on the longest path through a FLUX transformer, block by block.

    A double block: norm, query, score, softmax, weighted values, output, norm, and a feed-forward part four times as
    wide. A single block: norm, query, score, softmax, weighted values, and one output of attention and feed-forward.
    """
    attention = 2 * width + width // heads + 2 * tokens
    return double * (attention + 2 * width + 5 * width) + single * (attention + 5 * width)


def unet_operations(widths: tuple[int, ...], resnets: int, transformers: int, tokens: int, text: int = 16) -> int:
    """Roundings on the longest path through a conditional UNet, every layer counted with its largest width.

    A residual block: two norms over a group and two convolutions of 3 x 3 over at most twice the width. A
    transformer: norms, self-attention, cross-attention, and a gated feed-forward part four times as wide.
    """
    width = max(widths)
    residual = 2 * width + 9 * 3 * width
    transformer = 2 * width + 2 * (4 * width) + 2 * tokens + 2 * text + 5 * width
    return resnets * residual + transformers * transformer


def printed(figure: str) -> float:
    """Half a unit in the last place of a printed decimal number: 0.005 for ``"5.22"``."""
    return 0.5 * 10.0 ** -len(figure.partition(".")[2])
