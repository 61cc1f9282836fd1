from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.slow_cases import slow_but_for
from undrift.errors import InputError
from undrift.littleworld.judge import WEIGHTS, judge, read_logits
from undrift.littleworld.render import render
from undrift.littleworld.scenes import ATTRIBUTES, NONE, Scene, sample_rich_scene, sample_scene

SCENES = [sample_scene(random.Random(20_000_000 + seed)) for seed in range(200)]


def picture(scene: Scene) -> Tensor:
    return torch.from_numpy(np.array(render(scene))).permute(2, 0, 1).float() / 127.5 - 1


@pytest.mark.parametrize(
    ("sample", "least"), slow_but_for([(sample_scene, 0.97)], [(sample_scene, 0.97), (sample_rich_scene, 0.93)])
)
def test_reads_drawn_scenes(sample: Callable[[random.Random], Scene], least: float) -> None:
    """Patterns on the smallest things in neon or pencil are the hardest: 96 % of 500 scenes."""
    scenes = [sample(random.Random(20_000_000 + seed)) for seed in range(200)]
    found = judge(torch.stack([picture(scene) for scene in scenes]))
    for name in ATTRIBUTES:
        right = sum(read[name] == scene.attributes()[name] for read, scene in zip(found, scenes, strict=True))
        assert right >= least * len(scenes), name


def test_the_rest_of_the_batch_does_not_matter() -> None:
    pictures = torch.stack([picture(scene) for scene in SCENES[:8]])
    assert judge(pictures)[3:4] == judge(pictures[3:4])


def test_a_missing_thing_has_no_colour_and_a_present_one_has() -> None:
    """Whatever the colour head says: the kind decides."""
    logits = {name: torch.zeros(2, len(values)) for name, values in ATTRIBUTES.items()}
    logits["wearable"][0, 0] = 5.0
    logits["wearable_colour"][0, 3] = 5.0
    logits["wearable"][1, 1] = 5.0
    logits["wearable_colour"][1, 0] = 5.0
    absent, present = read_logits(logits)
    assert (absent["wearable"], absent["wearable_colour"]) == (NONE, NONE)
    assert present["wearable"] == ATTRIBUTES["wearable"][1]
    assert present["wearable_colour"] != NONE


def test_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 2 * 2**20


def test_wrong_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"got pictures of shape \(3, 128, 128\); give \(N, 3, 128, 128\)"):
        judge(torch.zeros(3, 128, 128))
