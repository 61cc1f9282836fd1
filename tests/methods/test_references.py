"""What a reference pulls an edit towards, and how far: answers that are known."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.closeness import assert_rounded
from tests.support.toy import ToyBackbone
from undrift.flow import combine_anchors
from undrift.methods.base import EditRequest
from undrift.methods.references import Reference, anchored, mean_of, share_of
from undrift.methods.registry import get

LEFT = torch.zeros(8, 8)
LEFT[:, :4] = 1.0


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8))


def asked(backbone: ToyBackbone, target: str = "red", *references: tuple[Image.Image, torch.Tensor]) -> EditRequest:
    original, now = noise(0), noise(1)
    looks = [Reference(backbone.encode([picture]).packed, weight.view(1, 64)) for picture, weight in references]
    return EditRequest(
        original=backbone.encode([original]),
        previous=backbone.encode([now]),
        turn=2,
        source_prompts=["red"],
        target_prompts=[target],
        words=[None],
        seeds=[3],
        previous_images=[now],
        references=looks,
    )


def test_references_take_their_share_of_the_anchor_token_by_token() -> None:
    own = [torch.full((1, 64, 2), value) for value in (10.0, 20.0)]
    first = Reference(torch.full((1, 64, 2), 100.0), 0.25 * LEFT.view(1, 64))
    second = Reference(torch.full((1, 64, 2), 200.0), 0.75 * LEFT.view(1, 64))
    assert torch.equal(anchored(own, [0.3, 0.7], []), combine_anchors(own, [0.3, 0.7]))
    one, both = (anchored(own, [0.25, 0.75], looks).view(8, 8, 2) for looks in ([first], [first, second]))
    # Of an own mean of 17.5: a quarter of 100 and three quarters of it; nothing of it beside weights of 1.
    assert one[:, :4].eq(38.125).all()
    assert both[:, :4].eq(175.0).all()
    assert one[:, 4:].eq(17.5).all()
    assert both[:, 4:].eq(17.5).all()
    assert share_of([first, second, second]).view(8, 8)[0].tolist() == [1.0] * 4 + [0.0] * 4
    assert_rounded(mean_of([first, second]).view(8, 8, 2)[:, :4], torch.full((8, 4, 2), 175.0), 4)


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_a_fully_controlled_turn_of_multi_turn_ends_on_the_anchor_with_the_reference_in_it(weight: float) -> None:
    backbone = ToyBackbone()
    request = asked(backbone, "blue", (noise(2), weight * LEFT))
    overrides = {"steps": 4, "gain": 1.0, "control_steps": 4, "retain": None, "highlight": False}
    made = get("multi_turn", overrides=overrides).edit(backbone, request).latent.packed.view(8, 8, -1)
    own = request.original.packed + 0.7 * (request.previous.packed - request.original.packed)
    reference = request.references[0].latent
    left = (own + weight * (reference - own)).view(8, 8, -1)[:, :4]
    assert_rounded(made[:, :4], left, 64)
    assert_rounded(made[:, 4:], own.view(8, 8, -1)[:, 4:], 64)


@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_one_step_of_undrift_goes_the_reference_s_weight_of_the_way_and_nowhere_else(weight: float) -> None:
    backbone = ToyBackbone()
    # Of the same words the equation's own velocity is nothing, and one step spans the whole of sigma.
    overrides = {"steps": 1, "skipped": 0.0, "addition_skipped": 0.0, "map_steps": 0, "weak": 0.0, "strong": 0.0}
    reference = noise(2)
    request = asked(backbone, "red", (reference, weight * LEFT))
    made = get("undrift", overrides=overrides).edit(backbone, request)
    assert made.images is not None
    before, towards, after = (
        np.asarray(each, float) for each in (*request.previous_images, reference, made.images[0])
    )
    assert np.array_equal(after[:, 40:], before[:, 40:])
    # Away from the seam; what is decoded is rounded to a level, and so is what it is compared with.
    inside = np.s_[4:60, 4:24]
    assert np.abs(after[inside] - (before + weight * (towards - before))[inside]).max() <= 1.0


def test_undrift_comes_nearer_to_a_reference_the_more_it_weighs_and_keeps_what_a_region_holds() -> None:
    backbone = ToyBackbone()
    method = get("undrift", overrides={"steps": 6, "skipped": 0.3, "map_steps": 0, "scope": "local"})
    far = []
    for weight in (0.0, 0.3, 0.6, 1.0):
        request = asked(backbone, "blue", (noise(2), torch.full((8, 8), weight)))
        made = method.edit(backbone, replace(request, editable_tokens=LEFT.view(1, 64)))
        distance = (made.latent.packed - request.references[0].latent).view(8, 8, -1)
        far.append(float(distance[:, :3].norm()))
        assert torch.equal(made.latent.packed.view(8, 8, -1)[:, 6:], request.previous.packed.view(8, 8, -1)[:, 6:])
    assert all(nearer < before for before, nearer in pairwise(far))
