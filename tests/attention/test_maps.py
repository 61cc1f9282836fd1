from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.closeness import assert_rounded
from undrift.attention.maps import activation_maps, combined_mask, quantised, rank_blocks
from undrift.errors import InputError


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


STRETCHED = 5.0
"""Half the range that maps are stretched to before the sigmoid: the size of what is rounded."""


def test_maps_are_stretched_and_sharpened() -> None:
    maps = activation_maps(torch.tensor([[2.0, 3.0, 6.0], [0.0, 1e-6, 5e-7]]))
    expected = [[sigmoid(-5), sigmoid(-2.5), sigmoid(5)], [sigmoid(-5), sigmoid(5), sigmoid(0)]]
    assert_rounded(maps, torch.tensor(expected), 6, size=STRETCHED)


def test_a_constant_map_counts_as_zero() -> None:
    maps = activation_maps(torch.full((2, 7), 0.25))
    assert_rounded(maps, torch.full((2, 7), sigmoid(-5)), 6, size=STRETCHED)


def test_one_token_is_a_constant_map() -> None:
    assert torch.isfinite(activation_maps(torch.rand(3, 1))).all()


@given(st.integers(0, 255))
def test_8_bit_levels_are_kept(level: int) -> None:
    value = torch.tensor(level / 255)
    assert_rounded(quantised(value), value, 2, size=1.0)


def test_rounding_is_to_the_nearest_level_halves_upwards() -> None:
    values = torch.tensor([10.49, 10.5, 10.51, 0.2, 254.7]) / 255
    assert_rounded(quantised(values) * 255, torch.tensor([10.0, 11.0, 11.0, 0.0, 255.0]), 2)


def test_quantised_maps_equal_a_png_file() -> None:
    """Written to a PNG the way image libraries round, and read back."""
    import io

    from PIL import Image

    raw = torch.rand(5, 6, generator=torch.Generator().manual_seed(0))
    maps = activation_maps(raw.flatten()[None])[0].reshape(5, 6)
    pixels = maps.mul(255).add(0.5).clamp(0, 255).to(torch.uint8).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    read = torch.tensor(list(Image.open(file).tobytes()), dtype=torch.float32).div(255).reshape(5, 6)
    assert_rounded(activation_maps(raw.flatten()[None], quantise=True)[0].reshape(5, 6), read, 2)


def blocks(*totals: float, tokens: int = 4) -> torch.Tensor:
    """One map per block (batch of one), constant at total / tokens."""
    return torch.stack([torch.full((1, tokens), total / tokens) for total in totals])


def test_blocks_rank_by_total_activation() -> None:
    assert rank_blocks(blocks(1, 4, 2, 3)).squeeze(1).tolist() == [1, 3, 2, 0]
    assert rank_blocks(blocks(2, 1, 2, 2)).squeeze(1).tolist() == [0, 2, 3, 1]


def test_rows_rank_their_own_blocks() -> None:
    maps = torch.stack([torch.tensor([[0.1, 0.1], [0.9, 0.9]]), torch.tensor([[0.5, 0.5], [0.2, 0.2]])])
    assert rank_blocks(maps).tolist() == [[1, 0], [0, 1]]


def test_the_mask_is_the_thresholded_mean_of_the_chosen_ranks() -> None:
    maps = torch.tensor(
        [
            [[1.0, 1.0, 1.0, 1.0]],  # rank 0
            [[0.0, 0.0, 0.0, 0.1]],  # rank 3
            [[0.9, 0.8, 0.1, 0.0]],  # rank 1
            [[0.1, 0.0, 0.4, 0.6]],  # rank 2
        ]
    )
    assert combined_mask(maps, (1, 3), 0.3).tolist() == [[1, 1, 0, 1]]
    assert combined_mask(maps, (1, 2), 0.3).tolist() == [[1, 1, 0, 0]]
    assert combined_mask(maps, (0, 4), 0.5).tolist() == [[1, 0, 0, 0]]


def test_the_threshold_itself_is_inside() -> None:
    assert combined_mask(torch.tensor([[[0.5, 0.25]]]), (0, 1), 0.5).tolist() == [[1, 0]]


@pytest.mark.parametrize(("ranks", "chosen"), [((11, 15), [2, 3, 4, 5]), ((4, 8), [2, 3, 4, 5]), ((0, 9), range(6))])
def test_a_model_with_fewer_blocks_uses_its_last_ranks(ranks: tuple[int, int], chosen: list[int]) -> None:
    maps = torch.rand(6, 1, 5, generator=torch.Generator().manual_seed(2))
    order = rank_blocks(maps)[:, 0]
    expected = (maps[order[list(chosen)], 0].mean(0) >= 0.5).float()
    assert torch.equal(combined_mask(maps, ranks, 0.5)[0], expected)


def test_a_batch_equals_its_rows() -> None:
    maps = torch.rand(19, 3, 35, generator=torch.Generator().manual_seed(1))
    together = combined_mask(maps, (10, 15), 0.5)
    assert 0 < together.mean() < 1
    for row in range(3):
        assert torch.equal(combined_mask(maps[:, row : row + 1], (10, 15), 0.5)[0], together[row])


@pytest.mark.parametrize("ranks", [(3, 3), (5, 2), (-1, 2)])
def test_empty_ranks_are_refused(ranks: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"expected 0 <= start < stop"):
        combined_mask(torch.rand(4, 1, 4), ranks, 0.3)
