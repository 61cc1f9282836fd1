"""The likeness of tokens, against numpy's correlation of the same values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.support.closeness import assert_rounded
from undrift.attention import Projections, Site
from undrift.attention.likeness import TokenLikeness
from undrift.errors import InputError

FIRST, SECOND, OTHER = Site("double", 0), Site("double", 1), Site("single", 0)
TEXT, TOKENS, HEADS, WIDTH = 3, 10, 2, 4
OPERATIONS = TOKENS + 3 * HEADS * WIDTH + 4
"""Roundings of a cosine: a mean over tokens, three sums over channels, a root, two quotients, a mean of layers."""


def projections(seed: int, image: int = TOKENS) -> Projections:
    generator = torch.Generator().manual_seed(seed)
    query, key, value = torch.randn(3, 2, TEXT + image, HEADS, WIDTH, generator=generator)
    return Projections(query, key, value, TEXT)


def expected(given: Projections) -> Any:
    """Cosines of the first row's image values less their mean, in double precision."""
    values = given.value[0, TEXT:].flatten(1).double().numpy()
    centred = values - values.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1)
    return centred @ centred.T / np.outer(norms, norms)


def test_it_is_the_mean_of_the_layers_cosines_and_nothing_is_changed() -> None:
    tap = TokenLikeness(TOKENS, (FIRST, SECOND))
    assert [tap.wants(site) for site in (FIRST, SECOND, OTHER)] == [True, True, False]
    one, two = projections(0), projections(1)
    assert tap.project(FIRST, one) is one
    assert tap.project(SECOND, two) is two
    assert_rounded(tap.cosines, torch.from_numpy((expected(one) + expected(two)) / 2).float(), OPERATIONS)


def test_layers_without_a_value_for_each_token_are_passed_over() -> None:
    tap = TokenLikeness(TOKENS, (FIRST, SECOND))
    tap.project(FIRST, projections(0, image=4 * TOKENS))
    tap.project(FIRST, projections(0, image=0))
    with pytest.raises(InputError, match="no layer that tells which parts of a picture are alike"):
        _ = tap.cosines
    tap.project(SECOND, projections(1))
    assert_rounded(tap.cosines, torch.from_numpy(expected(projections(1))).float(), OPERATIONS)
