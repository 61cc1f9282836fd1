"""What the method promises: exact outside, an anchor per token, a map that parts, a scope that the words give."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.toy import ToyBackbone
from undrift.flow import Euler, integrate, linear_sigmas
from undrift.methods.base import EditRequest
from undrift.methods.changes import changed_cells, composed
from undrift.methods.edit_map import EditMap, changed_tokens, otsu_means
from undrift.methods.registry import get
from undrift.methods.scope import Scope, scope_of
from undrift.methods.undrift import UndriftParams


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


def test_a_batch_leaves_the_rows_alone_that_ask_for_nothing_and_costs_nothing_where_all_do() -> None:
    backbone = ToyBackbone()
    pictures = [halves((200, 30, 30), (40, 40, 60)), halves((30, 90, 30), (200, 40, 60))]
    method = get("undrift", overrides={"steps": 6, "skipped": 0.3, "closing": 0.4, "scope": "auto", "map_steps": 2})
    asked = EditRequest(
        original=backbone.encode(pictures),
        previous=backbone.encode(pictures),
        turn=2,
        source_prompts=["a red cat", "red"],
        target_prompts=["A red  cat", "blue"],
        words=[None, None],
        seeds=[3, 8],
        previous_images=pictures,
    )
    made = method.edit(backbone, asked)
    assert made.images is not None
    assert made.images[0].tobytes() == pictures[0].tobytes()
    assert torch.equal(made.latent.packed[0], asked.previous.packed[0])
    assert made.images[1].tobytes() != pictures[1].tobytes()
    again = method.edit(backbone, request(backbone, pictures[0], "red", "red"))
    assert again.evaluations == 0


def test_another_place_takes_the_faint_part_of_its_change_too_and_a_local_edit_does_not() -> None:
    before, after = halves((160, 210, 245), (120, 180, 90)), halves((179, 210, 245), (240, 220, 170))
    params = UndriftParams()
    for scope, taken in ((Scope.GLOBAL, after), (Scope.LOCAL, before)):
        cells = changed_cells(before, after, 2, params.thresholds(scope))
        made = composed(before, after, cells, 2)
        assert made.crop((0, 0, 24, 64)).tobytes() == taken.crop((0, 0, 24, 64)).tobytes()
        assert made.crop((40, 0, 64, 64)).tobytes() == after.crop((40, 0, 64, 64)).tobytes()


def test_an_edit_that_is_taken_back_leaves_the_original_s_bytes_and_latent() -> None:
    backbone = ToyBackbone()
    original = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    method = get("undrift", overrides={"steps": 6, "skipped": 0, "map_steps": 0})
    asked = request(backbone, original, "red", "blue", original_prompts=["red"], original_images=[original], turn=1)
    there = method.edit(backbone, asked)
    assert there.images is not None
    assert there.images[0].tobytes() != original.tobytes()
    back = replace(
        asked,
        previous=there.latent,
        previous_images=there.images,
        turn=2,
        source_prompts=["blue"],
        target_prompts=["red"],
    )
    home = method.edit(backbone, back)
    assert home.images is not None
    assert home.images[0].tobytes() == original.tobytes()
    assert torch.equal(home.latent.packed, asked.original.packed)


def test_where_nothing_is_strong_what_is_faint_is_taken_and_what_is_fainter_still_is_not() -> None:
    backbone, picture = ToyBackbone(), halves((200, 30, 30), (190, 60, 40))
    method = get("undrift", overrides={"steps": 6, "skipped": 0, "map_steps": 0, "strong": 0.99})
    taken = method.updated({"weak": 0.05}).edit(backbone, request(backbone, picture, "red", "blue"))
    assert taken.images is not None
    assert taken.images[0].tobytes() != picture.tobytes()
    left = method.updated({"weak": 0.98}).edit(backbone, request(backbone, picture, "red", "blue"))
    assert left.images is not None
    assert left.images[0].tobytes() == picture.tobytes()


def test_what_was_put_in_by_hand_elsewhere_stays_when_an_edit_is_taken_back() -> None:
    backbone = ToyBackbone()
    original = Image.new("RGB", (64, 64), (200, 30, 30))
    now = original.copy()
    now.paste((40, 40, 200), (0, 0, 24, 24))
    now.paste((250, 250, 250), (48, 48, 60, 60))
    region = torch.zeros(1, 8, 8)
    region[:, :3, :3] = 1.0
    latent = backbone.encode([original])
    asked = request(
        backbone,
        now,
        "blue",
        "red",
        original=latent,
        turn=3,
        original_prompts=["red"],
        original_images=[original],
        editable_tokens=region.flatten(1),
    )
    made = get("undrift", overrides={"steps": 6, "skipped": 0, "map_steps": 0}).edit(backbone, asked)
    assert made.images is not None
    assert made.mask is not None
    right = original.copy()
    right.paste((250, 250, 250), (48, 48, 60, 60))
    assert made.images[0].tobytes() == right.tobytes()
    assert torch.equal(made.mask[0], region[0])
    anew = backbone.encode([right]).packed
    assert torch.equal(made.latent.packed[0, region.flatten() > 0], anew[0, region.flatten() > 0])


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


def test_after_five_turns_what_no_turn_touched_is_the_original_and_the_rest_is_the_picture_s_own_latent() -> None:
    backbone = ToyBackbone()
    original = picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    asked = request(backbone, picture, "red", "blue")
    first, touched = asked.previous, torch.zeros(8, 8, dtype=torch.bool)
    colours = ("red", "blue", "green", "red", "blue", "green")
    for turn, (before, after) in enumerate(pairwise(colours), 1):
        region = torch.zeros(1, 8, 8)
        region[:, 1 : 3 + turn % 2, 1:3] = 1.0
        asked = replace(
            asked,
            turn=turn,
            source_prompts=[before],
            target_prompts=[after],
            seeds=[turn],
            editable_tokens=region.flatten(1),
        )
        made = get("undrift", overrides={"steps": 6, "skipped": 0, "map_steps": 0}).edit(backbone, asked)
        assert made.images is not None
        assert made.mask is not None
        assert made.mask.any()
        touched |= made.mask[0] > 0
        picture = made.images[0]
        anew = backbone.encode([picture]).packed[made.mask.flatten(1) > 0]
        assert torch.equal(made.latent.packed[made.mask.flatten(1) > 0], anew)
        asked = replace(asked, previous=made.latent, previous_images=[picture])
    assert not touched.all()
    kept = ~touched.repeat_interleave(8, 0).repeat_interleave(8, 1).numpy()
    assert np.array_equal(np.asarray(picture)[kept], np.asarray(original)[kept])
    assert torch.equal(asked.previous.packed[:, ~touched.flatten()], first.packed[:, ~touched.flatten()])


def test_its_cost_is_told_with_and_without_a_first_pass() -> None:
    backbone = ToyBackbone()
    for steps in (0, 2):
        overrides = {"steps": 4, "skipped": 0.25, "addition_skipped": 0.0, "map_steps": steps, "scope": "local"}
        method = get("undrift", overrides=overrides)
        made = method.edit(backbone, request(backbone, halves((9, 9, 9), (99, 99, 99)), "red", "blue"))
        assert made.evaluations == method.cost(backbone).evaluations == 2 * (3 + steps)


def test_what_is_added_begins_with_more_noise_and_is_what_the_cost_tells_of() -> None:
    backbone = ToyBackbone()
    method = get("undrift", overrides={"steps": 6, "skipped": 0.5, "addition_skipped": 0.2, "map_steps": 0})
    for target, steps in (("a blue cat", 3), ("a red cat and a hat", 5)):
        made = method.edit(backbone, request(backbone, halves((9, 9, 9), (99, 99, 99)), "a red cat", target))
        assert made.evaluations == 2 * steps
    assert method.cost(backbone).evaluations == 2 * 5


def test_the_closing_samples_the_target_where_the_edit_changed_and_brings_every_other_token_back() -> None:
    backbone = ToyBackbone()
    picture = halves((200, 30, 30), (40, 40, 60))
    region = torch.zeros(1, 8, 8)
    region[:, :, :4] = 1.0
    asked = request(backbone, picture, "red", "blue", editable_tokens=region.flatten(1))
    overrides = {
        "steps": 8,
        "skipped": 0.5,
        "closing": 0.25,
        "map_steps": 0,
        "scope": "local",
        "strong": 0.0,
        "weak": 0.0,
    }
    method = get("undrift", overrides=overrides)
    made = method.edit(backbone, asked)
    # Two steps of source and target, two of the target alone.
    assert made.evaluations == method.cost(backbone).evaluations == 2 * 2 + 2
    left, right = made.latent.packed[:, region[0].flatten() > 0], made.latent.packed[:, region[0].flatten() == 0]
    before = asked.previous.packed
    assert not torch.equal(left, before[:, region[0].flatten() > 0])
    # Levels of 8 bits in 192 values, of which none changes by more than rounding to the next.
    assert (right - before[:, region[0].flatten() == 0]).norm(dim=-1).max() < 192**0.5 / 127.5


def test_changed_tokens_are_those_beside_a_large_change() -> None:
    geometry = ToyBackbone().geometry((64, 64))
    after = torch.zeros(2, 64, 3)
    after[0, :8], after[0, 63] = 1.0, 0.1
    found = changed_tokens(torch.zeros(2, 64, 3), after, geometry).view(2, 8, 8)
    assert found[0, :2].eq(1.0).all()
    assert found[0, 2:].eq(0.0).all()
    assert found[1].eq(0.0).all()


def test_rows_that_begin_at_different_steps_are_the_rows_run_singly() -> None:
    backbone = ToyBackbone()
    method = get(
        "undrift", overrides={"steps": 6, "skipped": 0.5, "addition_skipped": 0.2, "closing": 0.2, "map_steps": 2}
    )
    pictures = [halves((200, 30, 30), (40, 40, 60)), halves((30, 90, 30), (200, 40, 60))]
    targets, sources, seeds = ["a blue cat", "a red cat and a hat"], ["a red cat"] * 2, [3, 8]
    both = EditRequest(
        original=backbone.encode(pictures),
        previous=backbone.encode(pictures),
        turn=1,
        source_prompts=sources,
        target_prompts=targets,
        words=[None, None],
        seeds=seeds,
        previous_images=pictures,
    )
    together = method.edit(backbone, both)
    assert together.images is not None
    for row, picture in enumerate(pictures):
        alone = request(backbone, picture, sources[row], targets[row], seeds=[seeds[row]])
        single = method.edit(backbone, alone)
        assert single.images is not None
        levels = [np.asarray(picture, dtype=np.int16) for picture in (single.images[0], together.images[row])]
        # Batches round in another order, and a value beside a half may fall to either side.
        assert np.abs(levels[0] - levels[1]).max() <= 1
        assert single.mask is not None
        assert together.mask is not None
        assert torch.equal(single.mask[0], together.mask[row])


def test_the_map_is_the_norm_of_the_summed_steps() -> None:
    edit_map = EditMap()

    def field(x: torch.Tensor, sigma: float) -> torch.Tensor:
        # Token 0 goes one way, token 1 to and fro, token 2 a fifth of the way.
        v = torch.zeros_like(x)
        v[:, 0], v[:, 1], v[:, 2] = 1.0, 100.0 if round(8 * sigma) % 2 else -100.0, 0.2
        return v

    integrate(field, Euler(), torch.zeros(1, 5, 2), linear_sigmas(8), observers=(edit_map,))
    total = torch.as_tensor(edit_map.total)
    # Float32 additions of eighths are exact.
    assert total[0, :2].tolist() == [[-1.0, -1.0], [0.0, 0.0]]
    narrow, wide = edit_map.weights(0.5, 0.02)[0], edit_map.weights(0.1, 0.02)[0]
    assert narrow[0] > 0.99
    assert narrow[1:].max() < 0.01
    assert wide[[0, 2]].min() > 0.9
    assert wide[[1, 3, 4]].max() < 0.1


def test_a_map_of_tokens_that_all_change_alike_is_one_everywhere() -> None:
    edit_map = EditMap()
    edit_map.total = torch.linspace(5.0, 5.5, 16).view(1, 16, 1)
    assert edit_map.weights(0.2, 0.05).eq(1.0).all()


def test_two_groups_have_the_means_that_otsu_s_threshold_gives_them() -> None:
    assert otsu_means(torch.tensor([9.0, 1.0, 2.0, 10.0, 11.0, 1.0])) == (4 / 3, 10.0)
    assert otsu_means(torch.ones(5)) == (1.0, 1.0)


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
        ("a red cat", "a neon picture of a red cat", Scope.GLOBAL),
        ("a pencil drawing of a red cat", "a neon picture of a red cat", Scope.GLOBAL),
        ("A bright picture of a cat", "a cat", Scope.GLOBAL),
        ("a cat", "a cat next to a picture of a ship", Scope.ADDITION),
        ("a picture of a red cat", "a picture of a blue cat", Scope.LOCAL),
        ("a cat", "a cat and a dog", Scope.ADDITION),
        ("a cat", "a cat", Scope.NONE),
        ("a cat next to a dog on a sofa", "a cat next to a lamp on a sofa", Scope.LOCAL),
        ("", "a cat", Scope.ADDITION),
    ],
)
def test_the_scope_follows_from_the_words(source: str, target: str, scope: Scope) -> None:
    assert scope_of(source, target) is scope
