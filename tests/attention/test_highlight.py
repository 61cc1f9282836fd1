from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tests.attention.reference import highlighted
from tests.support.closeness import assert_rounded
from undrift.attention import AdaptiveHighlight, HighlightSettings, MapCapture, Site, TextColumns
from undrift.attention.kernel import KernelName, attention
from undrift.errors import InputError
from undrift.flow import Euler, ReusedMidpoint, Solver, integrate, linear_sigmas

TEXT, IMAGE, BLOCKS = 6, 15, 5
SITES = [Site("double", i) for i in range(BLOCKS)]
PATTERN = torch.tensor([0.0, 1, 1, 0, 0] * 3)
OTHER = torch.tensor([1.0] * 4 + [0.0] * 11)


class Network:
    """A field whose attention layers look at text column ``column`` exactly where ``patterns`` are one."""

    def __init__(self, tap: AdaptiveHighlight | MapCapture, patterns: Tensor, column: int = 2) -> None:
        self._tap = tap
        generator = torch.Generator().manual_seed(0)
        shape = (patterns.shape[0], TEXT + IMAGE, 2, 8)
        self.query, self.key, self.value = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
        self.query[..., 0], self.key[..., 0] = 0.0, 0.0
        self.query[:, TEXT:, :, 0] = 6.0 * patterns.double().unsqueeze(-1)
        self.key[:, column, :, 0] = 3.0
        self.outputs: list[list[Tensor | None]] = []

    @property
    def qkv(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.query, self.key, self.value

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.outputs.append([self._tap.attend(site, *self.qkv, TEXT) for site in SITES if self._tap.wants(site)])
        return -x


def run(
    columns: Sequence[Sequence[int]],
    patterns: Tensor,
    settings: HighlightSettings,
    kernel: KernelName = "auto",
    steps: int = 6,
    solver: Solver | None = None,
) -> tuple[AdaptiveHighlight, Network]:
    tap = AdaptiveHighlight(TextColumns.of(columns), TextColumns.of(columns), SITES, settings, kernel)
    network = Network(tap, patterns)
    integrate(network, solver or Euler(), torch.ones(1), linear_sigmas(steps), observers=[tap])
    return tap, network


SMALL = HighlightSettings(ranks=(1, 4), highlight_start=2)


def test_the_mask_is_where_the_word_is_seen() -> None:
    tap, _ = run([[2], [2]], torch.stack([PATTERN, OTHER]), SMALL)
    assert tap.mask is not None
    assert torch.equal(tap.mask, torch.stack([PATTERN, OTHER]))


@pytest.mark.parametrize("name", ["fused", "materialised"])
def test_attention_is_scaled_from_the_start_step_on(name: KernelName) -> None:
    settings = HighlightSettings(ranks=(1, 4), highlight_start=2, inside=1.7, outside=0.6)
    _, network = run([[2]], PATTERN[None], settings, name)
    plain = attention(*network.qkv)
    factors = torch.where(PATTERN > 0, 1.7, 0.6)[None]
    scaled = highlighted(*network.qkv, TEXT, factors, [[2]])
    assert network.outputs[0] == [None] * BLOCKS, "nothing to read or to scale in step 0"
    assert all(out is not None and torch.equal(out, plain) for out in network.outputs[1]), "step 1 only reads"
    for step in (2, 3, 4, 5):
        for out in network.outputs[step]:
            assert_rounded(out, scaled, 4, dtype=torch.float32)  # the factors are float32
    assert (scaled - plain).abs().max() > 0.1


def test_a_row_with_an_empty_mask_is_left_unscaled() -> None:
    _, network = run([[2], []], torch.stack([PATTERN, PATTERN]), HighlightSettings(ranks=(1, 4), highlight_start=1))
    plain = attention(*network.qkv)
    for out in network.outputs[-1]:
        assert out is not None
        assert_rounded(out[1], plain[1], 8 + 2 * (TEXT + IMAGE))
        assert (out[0] - plain[0]).abs().max() > 0.1


def test_nothing_is_done_when_every_mask_is_empty() -> None:
    tap, network = run([[2]], PATTERN[None], HighlightSettings(ranks=(1, 4), highlight_start=2, threshold=1.0))
    assert tap.mask is not None
    assert not tap.mask.any()
    assert network.outputs[-1] == [None] * BLOCKS, "the last step has no mask to make and none to use"


def test_the_last_evaluation_of_a_step_makes_the_mask() -> None:
    """Start step 1 uses the maps of step 0, which the reused midpoint evaluates twice."""

    class Changing(Network):
        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            pattern = OTHER if len(self.outputs) == 0 else PATTERN
            self.query[:, TEXT:, :, 0] = 6.0 * pattern.double()[None, :, None]
            return super().__call__(x, sigma)

    tap = AdaptiveHighlight(
        TextColumns.of([[2]]), TextColumns.of([[2]]), SITES, HighlightSettings(ranks=(1, 4), highlight_start=1)
    )
    network = Changing(tap, PATTERN[None])
    integrate(network, ReusedMidpoint(), torch.ones(1), linear_sigmas(2), observers=[tap])
    assert len(network.outputs) == 3
    assert tap.mask is not None
    assert torch.equal(tap.mask[0], PATTERN)


def test_a_batch_equals_its_rows() -> None:
    patterns, columns = torch.stack([PATTERN, OTHER, OTHER]), [[2], [2, 4], []]
    together, _ = run(columns, patterns, SMALL)
    assert together.mask is not None
    for row in range(3):
        alone, _ = run(columns[row : row + 1], patterns[row : row + 1], SMALL)
        assert alone.mask is not None
        assert torch.equal(alone.mask[0], together.mask[row])


def test_a_new_trajectory_starts_afresh() -> None:
    tap, _ = run([[2]], PATTERN[None], SMALL)
    again = Network(tap, OTHER[None])
    integrate(again, Euler(), torch.ones(1), linear_sigmas(6), observers=[tap])
    assert again.outputs[0] == [None] * BLOCKS
    assert tap.mask is not None
    assert torch.equal(tap.mask[0], OTHER)


def test_too_few_steps_scale_nothing() -> None:
    tap, network = run([[2]], PATTERN[None], SMALL, steps=2)
    assert tap.mask is None
    assert all(outputs == [None] * BLOCKS for outputs in network.outputs)


def test_layers_that_were_not_chosen_are_left_alone() -> None:
    chosen, other = Site("joint", 2), Site("joint", 0)
    tap = AdaptiveHighlight(TextColumns.of([[2]]), TextColumns.of([[2]]), [chosen])
    capture = MapCapture(TextColumns.of([[2]]), [chosen])
    assert [tap.wants(chosen), tap.wants(other)] == [True, False]
    assert [capture.wants(chosen), capture.wants(other)] == [True, False]


def test_capture_keeps_the_maps_of_the_latest_evaluation() -> None:
    capture = MapCapture(TextColumns.of([[2]]), SITES)
    network = Network(capture, PATTERN[None])
    network(torch.ones(1), 0.5)
    assert capture.sites == tuple(SITES)
    assert capture.maps.shape == (BLOCKS, 1, IMAGE)
    assert torch.equal((capture.maps > 0.5).float(), PATTERN.expand(BLOCKS, 1, IMAGE))


def test_capture_without_an_evaluation_says_so() -> None:
    with pytest.raises(InputError, match="no attention map was captured: evaluate the field inside"):
        _ = MapCapture(TextColumns.of([[2]]), SITES).maps
