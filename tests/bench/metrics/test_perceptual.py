"""Perceptual distances, and EfficientNet-Lite0 built here against what its weights gave in another implementation."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from tests.bench.metrics.outcomes import (
    PhotoCase,
    noise,
    numbers,
    outcome,
    played,
    quick,
    right,
    scored,
    shuffled,
    single,
    untouched,
)
from tests.support.closeness import rounding
from undrift.bench.case import Mask
from undrift.bench.metrics import efflite
from undrift.bench.metrics.base import SetMetric
from undrift.bench.metrics.perceptual import pasted, perceptual_distances
from undrift.bench.metrics.registry import get

installed = pytest.mark.skipif(efflite.missing() is not None, reason="EfficientNet-Lite0's weights are not installed")


def test_the_distance_of_known_features() -> None:
    """Orthogonal features are at 2, opposite ones at 4, and length does not count; the stages are averaged."""
    directions = {0: (1.0, 0.0), 1: (0.0, 5.0), 2: (-3.0, 0.0)}

    def stages(pictures: object) -> list[torch.Tensor]:
        found = [torch.tensor(directions[int(np.asarray(p)[0, 0, 0])]) for p in pictures]  # type: ignore[attr-defined]
        features = torch.stack(found)[..., None, None].expand(-1, -1, 2, 3)
        return [features, torch.ones(len(found), 4, 1, 1)]

    dots = [Image.new("RGB", (2, 2), (value, 0, 0)) for value in range(3)]
    pairs = [(dots[0], dots[0]), (dots[0], dots[1]), (dots[0], dots[2])]
    assert perceptual_distances(stages, pairs) == pytest.approx([0.0, 1.0, 2.0])


def test_pairs_of_several_sizes_keep_their_order() -> None:
    def stages(pictures: object) -> list[torch.Tensor]:
        return [torch.stack([torch.from_numpy(np.asarray(p).copy()).permute(2, 0, 1).float() for p in pictures])]  # type: ignore[attr-defined]

    pairs = [(noise(k, size), noise(k + 9, size)) for k, size in enumerate([(8, 8), (8, 8), (4, 6), (8, 8)])]
    assert perceptual_distances(stages, pairs) == [perceptual_distances(stages, [pair])[0] for pair in pairs]


def test_pasting_takes_the_mask_from_the_other_picture() -> None:
    a, b = noise(0), noise(1)
    both = np.asarray(pasted(a, b, left()))
    assert (both[:, :64] == np.asarray(b)[:, :64]).all()
    assert (both[:, 64:] == np.asarray(a)[:, 64:]).all()


def test_the_truth_is_at_no_distance_and_a_shuffled_picture_far() -> None:
    name, since = (f"{anchor}-perceptual-littleworld-outside" for anchor in ("truth", "original"))
    assert numbers(name, played(right)[:8]) == [0.0] * 8
    softened = [single(case, 1, blurred(case.truth(1))[0], case.original()) for case in quick()]
    assert fmean(numbers(name, played(shuffled)[:8])) > 5 * fmean(numbers(name, softened))
    for shown in (right, untouched):
        assert set(scored(since, played(shown)[:8])) <= {0.0, None}


def test_a_stronger_change_is_farther_in_the_drawn_world() -> None:
    case = quick()[0]
    turns = [single(case, 1, picture, case.original()) for picture in blurred(case.truth(1))]
    for name in ("truth-perceptual-littleworld-outside", "original-perceptual-littleworld-outside"):
        found = numbers(name, turns)
        assert 0 < found[0] < found[1] < found[2] < 4


@installed
def test_a_stronger_change_is_farther_on_photographs() -> None:
    case = PhotoCase(noise(0), left())
    turns = [single(case, 1, picture, case.original()) for picture in blurred(case.original())]
    for name in ("original-perceptual-efflite0-outside", "original-perceptual-efflite0-whole"):
        found = numbers(name, turns)
        assert 0 < found[0] < found[1] < found[2] < 4


def blurred(picture: Image.Image) -> list[Image.Image]:
    return [picture.filter(ImageFilter.GaussianBlur(radius)) for radius in (0.5, 2, 6)]


@pytest.mark.parametrize("name", ["original-perceptual-efflite0-whole", "truth-perceptual-efflite0-outside"])
def test_the_network_for_photographs_is_not_asked_about_drawings(name: str) -> None:
    assert scored(name, [outcome(quick()[0], 1, right)]) == [None]


def test_littleworlds_network_is_not_asked_about_photographs() -> None:
    mixed = [single(PhotoCase(noise(0), left()), 1, noise(1), noise(0)), outcome(quick()[0], 1, right)]
    assert scored("original-perceptual-littleworld-outside", mixed) == [None, 0.0]


@installed
def test_photographs_of_several_sizes_are_compared_outside_and_whole() -> None:
    small, large = PhotoCase(noise(0, (64, 96))), PhotoCase(noise(0), left())
    turns = [single(small, 1, noise(1, (64, 96)), small.original()), single(large, 1, noise(1), large.original())]
    outside = scored("original-perceptual-efflite0-outside", turns)
    whole = numbers("original-perceptual-efflite0-whole", turns)
    assert outside[0] is None
    assert outside[1] is not None
    assert 0 < outside[1] < whole[1]
    distribution = get("fid-efflite0-original")
    assert isinstance(distribution, SetMetric)
    still = [single(turn.case, 1, turn.original, turn.original) for turn in turns]
    assert distribution.score_set(still) == pytest.approx(0.0, abs=1e-6)  # traces of float64 cancel
    assert (distribution.score_set(turns) or 0.0) > 1e-3


@installed
def test_efficientnet_lite0_gives_the_logits_of_its_authors_port() -> None:
    """Golden: efficientnet-lite-pytorch 0.1.0 with the same weights (equal to the last bit on squares)."""
    blobs = noise(5, (224, 224)).filter(ImageFilter.GaussianBlur(8))
    picture = blobs.point(lambda value: min(255, max(0, 8 * value - 896)))
    with torch.inference_mode():
        logits = efflite.network()(torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float())[0]
    # 17 blocks that widen to at most 1152 channels, with filters of 25 numbers.
    assert logits.topk(3).indices.tolist() == [80, 335, 522]
    slack = rounding(17 * (1152 + 25), 6.0)
    assert logits.topk(3).values.tolist() == pytest.approx([5.2208, 5.181, 4.5502], abs=slack)


def test_the_same_padding_of_tensorflow() -> None:
    """Ceil of the size over the stride, and the odd pixel at the right: a kernel that picks its first column."""
    convolution = efflite.Same(1, 1, 3, 2, bias=False)
    convolution.weight.data = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 0, 0]])[None, None]
    assert convolution(torch.arange(6.0).expand(1, 1, 6, 6))[0, 0, 0].tolist() == [0.0, 2.0, 4.0]
    assert convolution(torch.arange(7.0).expand(1, 1, 7, 7))[0, 0, 1].tolist() == [0.0, 1.0, 3.0, 5.0]
    assert sum(p.numel() for p in efflite.EfficientNetLite0().parameters()) == 4_652_008


def left() -> Mask:
    mask = np.zeros((128, 128), dtype=bool)
    mask[:, :64] = True
    return mask
