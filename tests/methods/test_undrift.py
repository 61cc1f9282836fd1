"""What the method promises: exact outside, an anchor per token, a map that parts, a scope that the words give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.toy import ToyBackbone
from undrift.flow import Euler, integrate, linear_sigmas
from undrift.methods.base import EditRequest
from undrift.methods.registry import get
from undrift.methods.scope import Scope, scope_of
from undrift.methods.undrift import EditMap, otsu


def halves(left: tuple[int, int, int], right: tuple[int, int, int], size: int = 64) -> Image.Image:
    picture = Image.new("RGB", (size, size), left)
    picture.paste(right, (size // 2, 0, size, size))
    return picture


def request(backbone: ToyBackbone, picture: Image.Image, *prompts: str, **changes: object) -> EditRequest:
    latent = backbone.encode([picture])
    made = EditRequest(
        original=latent,
        previous=latent,
        turn=1,
        source_prompts=[prompts[0]],
        target_prompts=[prompts[1]],
        words=[None],
        seeds=[3],
        previous_images=[picture],
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_the_same_prompt_twice_gives_back_every_byte_and_every_latent() -> None:
    backbone = ToyBackbone()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    asked = request(backbone, noise, "red", "red")
    made = get("undrift", overrides={"steps": 4}).edit(backbone, asked)
    assert made.images is not None
    assert made.images[0].tobytes() == noise.tobytes()
    assert torch.equal(made.latent.packed, asked.previous.packed)
    assert made.mask is not None
    assert not made.mask.any()


def test_outside_of_its_mask_a_turn_keeps_bytes_and_latents_and_inside_it_edits() -> None:
    backbone = ToyBackbone()
    picture = halves((200, 30, 30), (40, 40, 60))
    region = torch.zeros(1, 64)
    region.view(1, 8, 8)[:, :, :4] = 1.0
    asked = request(backbone, picture, "red", "blue", editable_tokens=region)
    made = get("undrift", overrides={"steps": 6, "scope": "global"}).edit(backbone, asked)
    assert made.images is not None
    assert made.mask is not None
    kept = ~(made.mask[0] > 0).repeat_interleave(8, 0).repeat_interleave(8, 1).numpy()
    before, after = np.asarray(picture), np.asarray(made.images[0])
    assert kept[:, 40:].all()
    assert np.array_equal(after[kept], before[kept])
    untouched = ~(made.mask.flatten(1) > 0)
    assert torch.equal(made.latent.packed[untouched], asked.previous.packed[untouched])
    assert after[8:56, 8:24, 2].mean() > before[8:56, 8:24, 2].mean() + 30


def test_its_cost_is_told_with_and_without_a_first_pass() -> None:
    backbone = ToyBackbone()
    for steps in (0, 2):
        method = get("undrift", overrides={"steps": 4, "skipped": 1, "map_steps": steps})
        made = method.edit(backbone, request(backbone, halves((9, 9, 9), (99, 99, 99)), "red", "blue"))
        assert made.evaluations == method.cost(backbone).evaluations == 2 * (3 + steps)


def test_the_map_is_the_norm_of_the_summed_steps_of_the_middle_half() -> None:
    edit_map = EditMap()
    grid = linear_sigmas(8)

    def field(x: torch.Tensor, sigma: float) -> torch.Tensor:
        # Only what the middle half of the steps does is to count: sigma 0.75 to 0.25.
        v = torch.zeros_like(x)
        v[:, 0] = 1.0 if 0.25 < sigma <= 0.75 else 100.0
        return v

    integrate(field, Euler(), torch.zeros(1, 4, 2), grid, observers=(edit_map,))
    assert isinstance(edit_map.total, torch.Tensor)
    # Eight float32 additions of eighths are exact.
    assert edit_map.total[0, 0].tolist() == [-0.5, -0.5]
    weights = edit_map.weights(0.1)
    assert weights[0, 0] > 0.99
    assert weights[0, 1:].max() < 0.01


def test_every_step_of_a_first_pass_over_the_middle_counts() -> None:
    edit_map = EditMap(every_step=True)
    integrate(
        lambda x, sigma: torch.ones_like(x), Euler(), torch.zeros(1, 4, 2), linear_sigmas(8), observers=(edit_map,)
    )
    assert isinstance(edit_map.total, torch.Tensor)
    assert edit_map.total[0, 0].tolist() == [-1.0, -1.0]


def test_otsu_parts_two_groups_between_them() -> None:
    threshold, low, high = otsu(torch.tensor([9.0, 1.0, 2.0, 10.0, 11.0, 1.0]))
    assert (threshold, low, high) == (5.5, 4 / 3, 10.0)
    assert otsu(torch.ones(5))[1:] == (1.0, 1.0)


@pytest.mark.parametrize(
    ("source", "target", "scope"),
    [
        ("a red cat in a meadow", "a blue cat in a meadow", Scope.LOCAL),
        ("a red cat in a meadow", "a red cat in the snow", Scope.GLOBAL),
        ("a red cat in a meadow", "a red cat at night", Scope.GLOBAL),
        ("a red cat in a meadow", "a red cat wearing a blue hat in a meadow", Scope.ADDITION),
        ("a red cat wearing a blue hat in a meadow", "a red cat in a meadow", Scope.DELETION),
        ("a photo of a cat", "a watercolour of a cat", Scope.GLOBAL),
        ("a house", "a house at night", Scope.GLOBAL),
        ("a cat", "a cat and a dog", Scope.ADDITION),
        ("a cat", "a cat", Scope.LOCAL),
        ("a cat next to a dog on a sofa", "a cat next to a lamp on a sofa", Scope.LOCAL),
        ("", "a cat", Scope.ADDITION),
    ],
)
def test_the_scope_follows_from_the_words(source: str, target: str, scope: Scope) -> None:
    assert scope_of(source, target) is scope
