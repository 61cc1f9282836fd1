"""The helper's own bounds, and that every float tolerance of the suite states where it comes from."""

from __future__ import annotations

import ast
import io
import math
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.support.closeness import assert_rounded, flux_operations, printed, rounding

TESTS = Path(__file__).parent
OWN = {TESTS / "support" / "closeness.py", TESTS / "support" / "golden.py", Path(__file__)}
TOLERANCES = {"atol", "rtol", "abs", "rel", "tolerance"}
UNSTATED = {"assert_close", "allclose", "isclose", "assert_allclose", "assert_almost_equal"}
SMALL = 1e-3
"""A float below it that something is compared with is a tolerance."""


@pytest.mark.parametrize(("dtype", "length"), [(torch.float32, 5), (torch.float32, 20_000), (torch.float64, 20_000)])
def test_two_orders_of_one_sum_lie_within_the_bound(dtype: torch.dtype, length: int) -> None:
    numbers = torch.rand(length, generator=torch.Generator().manual_seed(0), dtype=dtype)
    forwards, backwards = numbers.cumsum(0)[-1], numbers.flip(0).cumsum(0)[-1]
    assert_rounded(forwards, backwards, length)


def test_the_bound_is_the_worst_case_for_few_operations_and_grows_with_the_root_of_many() -> None:
    eps = torch.finfo(torch.float32).eps
    assert rounding(3, 2.0) == 3 * 2.0 * eps
    assert rounding(40_000) == pytest.approx(2 * rounding(10_000))
    assert rounding(10_000) < 10_000 * eps


def test_what_is_not_rounding_fails() -> None:
    value = torch.tensor([1.0, 1000.0])
    with pytest.raises(AssertionError):
        assert_rounded(value, value + torch.tensor([0.0, 0.1]), 10)
    with pytest.raises(AssertionError):
        assert_rounded(value, value.double(), 10)
    with pytest.raises(AssertionError):
        assert_rounded(torch.tensor([math.nan]), torch.tensor([1.0]), 10)
    with pytest.raises(ValueError, match="say how large the numbers are that cancel"):
        assert_rounded(torch.zeros(2), torch.zeros(2), 10)


def test_printed_figures_are_known_to_half_a_unit_of_their_last_place() -> None:
    assert (printed("5.22"), printed("-0.106"), printed("7")) == pytest.approx((0.005, 0.0005, 0.5))


def test_the_operations_of_a_network_grow_with_its_blocks() -> None:
    # A double block of width 8 with 4 tokens and 2 heads: 9 sums of 8, a score over 4, a softmax and a mean over 4.
    assert flux_operations(1, 0, width=8, tokens=4) == 9 * 8 + 4 + 2 * 4
    assert flux_operations(3, 2, 8, 4) == 3 * flux_operations(1, 0, 8, 4) + 2 * flux_operations(0, 1, 8, 4)


def test_every_tolerance_states_its_source() -> None:
    """Rounding comes from the helper; beside any other number a comment says where it is from."""
    assert [found for file in sorted(set(TESTS.rglob("*.py")) - OWN) for found in unstated(file)] == []


def unstated(file: Path) -> Iterator[str]:
    """Tolerances without a comment in their lines or in the line above."""
    text = file.read_text(encoding="utf-8")
    found = list(tolerances(ast.parse(text)))
    explained = comments(text) if found else set()
    for node in found:
        if not explained & {*range(node.lineno - 1, (node.end_lineno or node.lineno) + 1)}:
            yield f"{file.relative_to(TESTS)}:{node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize(
    "line",
    [
        "assert a == pytest.approx(b, abs=1e-4)",
        "torch.testing.assert_close(a, b)",
        "assert np.allclose(a, b)",
        "assert error < 1e-5",
        "close(a, b, tolerance=0.1)",
    ],
)
def test_a_tolerance_without_a_source_is_found(line: str) -> None:
    assert len(list(tolerances(ast.parse(line)))) == 1
    assert comments(f"{line}  # as printed") == {1}


@pytest.mark.parametrize(
    "line",
    ["assert a == pytest.approx(b, abs=rounding(5))", "assert a == pytest.approx(b)", "assert contrast > 1e-4"],
)
def test_what_states_its_source_or_is_no_tolerance_is_left_alone(line: str) -> None:
    assert list(tolerances(ast.parse(line))) == []


def tolerances(tree: ast.AST) -> Iterator[ast.expr]:
    """Calls with a tolerance that no helper gives, and comparisons with a small number."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = [keyword.value for keyword in node.keywords if keyword.arg in TOLERANCES]
            if called(node) in UNSTATED or any(number(value) for value in given):
                yield node
        elif isinstance(node, ast.Compare):
            below = zip(node.ops, node.comparators, strict=True)
            if any(isinstance(op, ast.Lt | ast.LtE) and 0 < number(value) < SMALL for op, value in below):
                yield node


def called(node: ast.expr) -> str:
    """The last part of the name of what is called."""
    target = node.func if isinstance(node, ast.Call) else node
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")


def number(node: ast.expr) -> float:
    """The float that is written there, 0 if none is."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, float) else 0.0


def comments(text: str) -> set[int]:
    """Lines with a comment that is none for a tool."""
    found = tokenize.generate_tokens(io.StringIO(text).readline)
    return {
        token.start[0]
        for token in found
        if token.type == tokenize.COMMENT and not token.string.startswith(("# type:", "# noqa"))
    }
