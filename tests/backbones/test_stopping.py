"""Attention in pieces: the same result, and an end within a layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.support.closeness import assert_rounded
from undrift.backbones import stopping
from undrift.backbones.stopping import in_pieces, stoppable
from undrift.errors import Cancelled

ROWS, WIDTH, HEADS = 2000, 16, 2


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of 768 rows: three of 2000."""
    monkeypatch.setattr(stopping, "WORK", 768 * ROWS * WIDTH * HEADS)


def projections() -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = torch.randn(3, 1, HEADS, ROWS, WIDTH, generator=torch.Generator().manual_seed(0))
    return query, key, value


STATE = torch.zeros(1, ROWS, 4)


def masks() -> list[Tensor | None]:
    generator = torch.Generator().manual_seed(1)
    of_rows = torch.rand(1, 1, ROWS, ROWS, generator=generator) > 0.3
    return [None, of_rows, torch.randn(1, 1, 1, ROWS, generator=generator)]


@pytest.mark.parametrize("mask", masks(), ids=["no mask", "of each row", "of columns"])
def test_the_rows_are_those_of_the_whole(mask: Tensor | None) -> None:
    query, key, value = projections()
    whole = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    with in_pieces(STATE):
        pieces = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    assert_rounded(pieces, whole, WIDTH + 2 * ROWS)


def test_it_ends_between_two_pieces() -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(len(calls))
        if len(calls) == 2:
            raise Cancelled("enough")

    with in_pieces(STATE), stoppable(check), pytest.raises(Cancelled):
        functional.scaled_dot_product_attention(*projections())
    assert calls == [0, 1]
    with in_pieces(STATE):
        functional.scaled_dot_product_attention(*projections())
    assert calls == [0, 1]


def test_a_small_state_is_left_alone() -> None:
    with stoppable(lambda: pytest.fail("asked")), in_pieces(STATE[:, :100]):
        functional.scaled_dot_product_attention(*projections())
