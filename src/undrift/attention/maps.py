"""From attention weights to the mask of the edit: normalise, rank the blocks, average, threshold.

Source: arXiv 2505.04320, section 3.4. A raw map is the head mean of the attention that image tokens pay to the
chosen words, (batch, tokens) per block; maps of several blocks are stacked to (blocks, batch, tokens).
"""

from __future__ import annotations

import torch
from torch import Tensor

from undrift.errors import InputError


def activation_maps(raw: Tensor, quantise: bool = False) -> Tensor:
    """sigmoid(10 (m - 0.5)) of each map m stretched to [0, 1].

    Args:
        raw: (..., tokens). A constant map, which shows nothing, counts as zero everywhere.
        quantise: round to 8 bits, as maps do that are kept in PNG files.

    Returns:
        The shape of ``raw``, float32.
    """
    raw = raw.float()
    low, high = raw.amin(-1, keepdim=True), raw.amax(-1, keepdim=True)
    stretched = torch.where(high > low, (raw - low) / (high - low), 0.0)
    maps = torch.sigmoid(10.0 * (stretched - 0.5))
    return quantised(maps) if quantise else maps


def quantised(maps: Tensor) -> Tensor:
    """Values in [0, 1] rounded to the nearest of 256 levels, halves upwards."""
    return (maps * 255.0 + 0.5).floor().clamp(0.0, 255.0) / 255.0


def rank_blocks(maps: Tensor) -> Tensor:
    """Blocks by total activation, descending; equal ones keep their order.

    Args:
        maps: (blocks, batch, tokens).

    Returns:
        (blocks, batch) int64: entry (r, b) is the block of rank r for row b.
    """
    return maps.sum(-1).sort(dim=0, descending=True, stable=True).indices


def combined_mask(maps: Tensor, ranks: tuple[int, int], threshold: float) -> Tensor:
    """1 where the mean map of the blocks ranked [start, stop) reaches ``threshold``, else 0.

    A model with fewer than ``stop`` blocks uses its last stop - start ranks.

    Args:
        maps: (blocks, batch, tokens) in [0, 1].
        ranks: 0-based, counted from the block with the largest total.
        threshold: in [0, 1].

    Returns:
        (batch, tokens) float32.

    Raises:
        InputError: ranks that are negative or empty.
    """
    start, stop = ranks
    if not 0 <= start < stop:
        raise InputError(f"ranks are ({start}, {stop}), expected 0 <= start < stop")
    overhang = max(0, stop - maps.shape[0])
    chosen = rank_blocks(maps)[max(0, start - overhang) : stop - overhang]
    mean = maps.gather(0, chosen.unsqueeze(-1).expand(-1, -1, maps.shape[-1])).mean(0)
    return (mean >= threshold).float()
