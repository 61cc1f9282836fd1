"""Taps on a real FLUX transformer of a few thousand random weights."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from tests.support import tiny_flux
from tests.support.closeness import assert_rounded
from undrift.attention import AdaptiveHighlight, AttentionTap, HighlightSettings, MapCapture, Site, TextColumns
from undrift.attention.kernel import KernelName
from undrift.backbones.base import Geometry, PromptTokens
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.prompts import conditioning_of
from undrift.flow import ReusedMidpoint, Trajectory, integrate, shifted_sigmas

GEOMETRY = Geometry(height=24, width=40, rows=3, columns=5, token_side=8)
TEXT = 8
MAPS = [Site("double", 0), Site("double", 1)]


@cache
def backbone() -> FluxBackbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FluxBackbone(tiny_flux.transformer().eval())


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sample(*taps: AttentionTap, rows: tuple[int, ...] = (0, 1), steps: int = 4) -> Trajectory:
    start = normal(0, 2, GEOMETRY.tokens, 4 * tiny_flux.LATENT_CHANNELS)[list(rows)]
    nothing = (PromptTokens("", (), ()),) * len(rows)
    conditioning = conditioning_of(
        normal(1, 2, TEXT, tiny_flux.TEXT_WIDTH)[list(rows)],
        normal(2, 2, tiny_flux.POOLED_WIDTH)[list(rows)],
        nothing,
    )
    with torch.inference_mode(), backbone().tapped(*taps):
        field = backbone().velocity_field(conditioning, GEOMETRY, 3.5)
        return integrate(field, ReusedMidpoint(), start, shifted_sigmas(steps, GEOMETRY.tokens))


def highlight(columns: list[list[int]], kernel: KernelName = "auto", **factors: float) -> AdaptiveHighlight:
    settings = HighlightSettings.model_validate({"ranks": (0, 2), "highlight_start": 1, **factors})
    return AdaptiveHighlight(TextColumns.of(columns), TextColumns.of(columns), MAPS, settings, kernel)


def test_capture_changes_no_bit_of_the_output() -> None:
    capture = MapCapture(TextColumns.of([[2], [1, 5]]), MAPS)
    assert torch.equal(sample(capture).final, sample().final)
    assert capture.maps.shape == (2, 2, GEOMETRY.tokens)
    assert capture.maps.min() < 0.01 < 0.99 < capture.maps.max()


def test_highlighting_with_factors_of_one_is_plain_attention() -> None:
    tap = highlight([[2], [1, 5]], inside=1.0, outside=1.0, kernel="fused")
    assert_rounded(sample(tap).final, sample().final, tiny_flux.OPERATIONS)


def test_both_kernels_give_the_same_picture() -> None:
    fused = highlight([[2], [1, 5]], "fused", inside=4.0)
    materialised = highlight([[2], [1, 5]], "materialised", inside=4.0)
    plain, first, second = sample().final, sample(fused).final, sample(materialised).final
    assert_rounded(first, second, tiny_flux.OPERATIONS)
    assert (first - plain).abs().max() > 0.01
    assert fused.mask is not None
    assert materialised.mask is not None
    assert torch.equal(fused.mask, materialised.mask)


@pytest.mark.parametrize("row", [0, 1])
def test_a_batch_equals_its_rows(row: int) -> None:
    columns = [[2], [1, 5]]
    together, alone = highlight(columns), highlight(columns[row : row + 1])
    final = sample(together).final
    assert_rounded(sample(alone, rows=(row,)).final, final[row : row + 1], tiny_flux.OPERATIONS)
    assert together.mask is not None
    assert alone.mask is not None
    assert torch.equal(alone.mask[0], together.mask[row])


def test_taps_leave_nothing_behind() -> None:
    before = sample().final
    sample(highlight([[2], [1]]))
    assert torch.equal(sample().final, before)
