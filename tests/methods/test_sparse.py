"""The target evaluated where the edit can reach alone: what it costs, and what it leaves as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.support.toy import ToyBackbone
from undrift.backbones import Backbone
from undrift.backbones.flux_architecture import FLUX_1
from undrift.errors import InputError
from undrift.methods.base import EditRequest
from undrift.methods.registry import get
from undrift.methods.sparse import reached

SIZE = 48, 40
"""Six by five tokens of the tiny model."""
METHODS: dict[str, dict[str, Any]] = {
    "flowedit": {"steps": 4, "n_max": 3, "n_min": 0},
    "dec_flowedit": {"steps": 4, "n_max": 3, "map_steps": 2, "threshold": -10.0},
    "undrift": {
        "steps": 4,
        "skipped": 0.25,
        "map_steps": 0,
        "scope": "local",
        "weak": 0.0,
        "strong": 0.0,
        "anew": False,
    },
}
"""Each with what lets the region alone decide where it reaches, and the faintest change count."""
MAP_EVALUATIONS = {"dec_flowedit": 2}


def request(backbone: Backbone, region: Tensor | None) -> EditRequest:
    rng = np.random.default_rng(5)
    picture = Image.fromarray(rng.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8))
    latent = backbone.encode([picture])
    return EditRequest(
        original=latent,
        previous=latent,
        turn=1,
        source_prompts=["a red cat"],
        target_prompts=["a blue dog in the field"],
        words=[None],
        seeds=[3],
        previous_images=[picture],
        editable_tokens=region,
    )


def corner() -> Tensor:
    """The first two of the first two rows of tokens may change."""
    region = torch.zeros(1, 5, 6)
    region[:, :2, :2] = 1.0
    return region.flatten(1)


@pytest.mark.parametrize("name", METHODS)
def test_the_target_costs_the_tokens_in_reach(name: str, tiny_flux: Backbone) -> None:
    asked, spent = request(tiny_flux, corner()), {}
    for sparse in (False, True):
        before = tiny_flux.counter.copy()
        made = get(name, overrides={**METHODS[name], "sparse": sparse}).edit(tiny_flux, asked)
        spent[sparse] = tiny_flux.counter.since(before)
        assert not torch.equal(made.latent.packed[:, 0], asked.previous.packed[:, 0])
        assert torch.equal(made.latent.packed[:, 3 * 6 :], asked.previous.packed[:, 3 * 6 :])
    pairs = 3 + MAP_EVALUATIONS.get(name, 0)
    assert spent[False].evaluations == spent[True].evaluations == 2 * pairs
    assert spent[False].tokens == pairs * (30 + 30)
    assert spent[True].tokens == pairs * (30 + 9), "three by three: what may change and a margin of one token"


@pytest.mark.parametrize("region", [None, torch.ones(1, 30)], ids=["no region", "a region of everything"])
@pytest.mark.parametrize("name", METHODS)
def test_where_everything_may_change_it_is_the_method_to_the_bit(
    name: str, region: Tensor | None, tiny_flux: Backbone
) -> None:
    asked = request(tiny_flux, region)
    plain, sparse = (
        get(name, overrides={**METHODS[name], "sparse": sparse}).edit(tiny_flux, asked).latent.packed
        for sparse in (False, True)
    )
    assert torch.equal(plain, sparse)


def test_undrift_evaluates_what_its_own_map_reaches(tiny_flux: Backbone) -> None:
    method = get("undrift", overrides={"steps": 4, "skipped": 0.25, "map_steps": 4, "scope": "local", "sparse": True})
    asked, before = request(tiny_flux, None), tiny_flux.counter.copy()
    estimate = method.cost(tiny_flux, SIZE)
    made = method.edit(tiny_flux, asked)
    spent = tiny_flux.counter.since(before)
    assert made.evaluations == estimate.evaluations == 2 * (4 + 3)
    assert spent.tokens <= (2 * 4 + 2 * 3) * 30


def test_reach_is_what_is_not_negligible_and_its_neighbours(tiny_flux: Backbone) -> None:
    grid = torch.zeros(2, 5, 6)
    grid[0, 0, 0], grid[0, 4, 5], grid[0, 2, 3] = 1.0, 0.2, 0.01
    found = reached(grid.flatten(1), tiny_flux.geometry(SIZE))
    assert [row.tolist() for row in found] == [[0, 1, 6, 7, 22, 23, 28, 29], []]


def test_what_is_kept_of_a_step_is_told_beforehand() -> None:
    """One key and one value per token and layer: 57 layers, 4096 tokens, 3072 numbers of two bytes."""
    told = get("undrift", overrides={"sparse": True}).cost(FLUX_1, (1024, 1024))
    assert told.feature_bytes == 2 * 57 * 4096 * 3072 * 2
    assert get("undrift").cost(FLUX_1, (1024, 1024)).feature_bytes == 0


@pytest.mark.parametrize("name", METHODS)
def test_a_model_that_cannot_do_it_is_refused_before_anything_runs(name: str) -> None:
    backbone = ToyBackbone()
    method = get(name, overrides={**METHODS[name], "sparse": True})
    with pytest.raises(InputError, match=f"method '{name}' needs layers that can be run on some tokens alone"):
        method.edit(backbone, request(backbone, None))
    assert backbone.counter.evaluations == 0
