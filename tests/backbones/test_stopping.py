"""Attention in pieces: the same result, and an end within a layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.support.closeness import assert_rounded
from undrift.attention import pieces
from undrift.attention.columns import TextColumns
from undrift.attention.kernel import Scaling, tapped_attention
from undrift.backbones.stopping import in_pieces, stoppable
from undrift.errors import Cancelled

ROWS, WIDTH, HEADS = 2000, 16, 2


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of 768 rows: of 2000 one, and the others."""
    monkeypatch.setattr(pieces, "WORK", 768 * ROWS * WIDTH * HEADS)


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
        in_parts = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    assert_rounded(in_parts, whole, WIDTH + 2 * ROWS)


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


TEXT = 40


def tapped(mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scaled attention with the weights that it reads, by the kernel that builds no matrix."""
    query, key, value = (tensor.transpose(1, 2) for tensor in projections())
    factors = 0.5 + torch.rand(1, ROWS - TEXT, generator=torch.Generator().manual_seed(2))
    columns, scaling = TextColumns.of([[3, 7]]), Scaling(factors, TextColumns.of([[5]]))
    out, weights = tapped_attention(query, key, value, TEXT, mask=mask, read=columns, scaling=scaling, kernel="fused")
    assert weights is not None
    return out, weights


@pytest.mark.parametrize("mask", masks(), ids=["no mask", "of each row", "of columns"])
def test_tapped_attention_is_that_of_the_whole(mask: Tensor | None, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    with stoppable(lambda: calls.append(None)):
        in_parts = tapped(mask)
    assert len(calls) == 2
    monkeypatch.setattr(pieces, "WORK", 10**12)
    for part, whole in zip(in_parts, tapped(mask), strict=True):
        assert_rounded(part, whole, WIDTH + 2 * ROWS)


def test_tapped_attention_ends_between_two_pieces() -> None:
    calls: list[None] = []

    def check() -> None:
        calls.append(None)
        if len(calls) == 2:
            raise Cancelled("enough")

    with stoppable(check), pytest.raises(Cancelled):
        tapped()


@pytest.mark.parametrize("how", ["plain", "tapped"])
def test_pieces_lie_in_memory_as_the_whole_does(how: str) -> None:
    """A token's heads side by side, so that the layer behind reads them as one width without a copy."""
    query, key, value = (part.transpose(1, 2).contiguous().transpose(1, 2) for part in projections())
    whole = functional.scaled_dot_product_attention(query, key, value)
    with in_pieces(STATE):
        plain = functional.scaled_dot_product_attention(query, key, value)
    of_pieces = plain if how == "plain" else tapped()[0].transpose(1, 2)
    assert of_pieces.stride() == whole.stride() == (HEADS * ROWS * WIDTH, WIDTH, HEADS * WIDTH, 1)


def test_the_rows_are_all_there_once_and_no_piece_is_short() -> None:
    for rows in (1, 767, 768, 1535, 1536, 1537, 2000, 5000):
        query = torch.arange(rows, dtype=torch.float32)[:, None]
        parts = [part for part, _ in pieces.pieces(query, torch.zeros(1, 1).expand(10**9, 1), None)]
        assert torch.cat(parts).equal(query)
        assert all(len(part) >= pieces.LEAST_ROWS for part in parts) or len(parts) == 1
