from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from undrift.attention import (
    AttentionTap,
    FeatureStore,
    InjectFeatures,
    Projections,
    ShareRows,
    Site,
    StoreFeatures,
)
from undrift.errors import InputError
from undrift.flow import Midpoint, ReusedMidpoint, Solver, integrate, inverted, linear_sigmas

TEXT = 3
SITE, OTHER = Site("single", 1), Site("single", 0)
DEVICE = torch.device("cpu")


class Network:
    """A field of two layers whose value projection is sigma everywhere."""

    def __init__(self, taps: Sequence[AttentionTap], batch: int = 1, tokens: int = 7) -> None:
        self._taps = taps
        self._shape = (batch, tokens, 2, 4)
        self.seen: list[tuple[float, dict[Site, Projections]]] = []

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        after = {}
        for tap in self._taps:
            tap.evaluation(sigma)
        for site in (OTHER, SITE):
            projections = Projections(
                torch.zeros(self._shape), torch.ones(self._shape), torch.full(self._shape, sigma), TEXT
            )
            for tap in self._taps:
                if tap.wants(site):
                    projections = tap.project(site, projections)
            after[site] = projections
        self.seen.append((sigma, after))
        return -x


def passes(
    solver: Solver, intervals: Sequence[int], operation: str = "replace", image_only: bool = False
) -> tuple[FeatureStore, Network]:
    store, sigmas = FeatureStore(), linear_sigmas(4)
    put = StoreFeatures(store, [SITE], ["value"], intervals, image_only)
    integrate(Network([put]), solver, torch.ones(1), inverted(sigmas), observers=[put])
    take = InjectFeatures(store, [SITE], {"value": operation}, intervals, image_only)  # type: ignore[dict-item]
    network = Network([take])
    integrate(network, solver, torch.ones(1), sigmas, observers=[take])
    return store, network


def values(network: Network, site: Site = SITE) -> list[tuple[float, float]]:
    """(sigma of the evaluation, value of its last image token)."""
    return [(sigma, after[site].value[0, -1, 0, 0].item()) for sigma, after in network.seen]


def test_reused_midpoint_injects_exactly_the_midpoints() -> None:
    store, network = passes(ReusedMidpoint(), [0, 1])
    assert len(store) == 2
    # The first evaluation of step 0 finds nothing stored and runs clean; values are their own sigma anyway.
    assert values(network) == [(1.0, 1.0), (0.875, 0.875), (0.625, 0.625), (0.375, 0.375), (0.125, 0.125)]
    assert store.get((0, "midpoint", SITE, "value"), DEVICE) is not None
    assert store.get((0, "end", SITE, "value"), DEVICE) is None


def test_midpoint_features_meet_in_sigma_and_start_features_come_from_the_cleaner_end() -> None:
    store, network = passes(Midpoint(), [0])
    assert len(store) == 2
    assert values(network)[:3] == [(1.0, 0.75), (0.875, 0.875), (0.75, 0.75)]
    assert values(network, OTHER)[0] == (1.0, 1.0)


def test_adding() -> None:
    _, network = passes(Midpoint(), [0], operation="add")
    assert values(network)[:3] == [(1.0, 1.75), (0.875, 1.75), (0.75, 0.75)]


def test_text_tokens_keep_their_own_when_only_the_image_is_injected() -> None:
    _, network = passes(Midpoint(), [0], image_only=True)
    value = network.seen[0][1][SITE].value
    assert torch.equal(value[:, :TEXT], torch.full((1, TEXT, 2, 4), 1.0))
    assert torch.equal(value[:, TEXT:], torch.full((1, 4, 2, 4), 0.75))


def test_queries_and_keys_that_are_not_named_are_left_alone() -> None:
    _, network = passes(Midpoint(), [0])
    assert torch.equal(network.seen[0][1][SITE].query, torch.zeros(1, 7, 2, 4))
    assert torch.equal(network.seen[0][1][SITE].key, torch.ones(1, 7, 2, 4))


def test_an_empty_store_changes_nothing() -> None:
    tap = InjectFeatures(FeatureStore(), [SITE], {"value": "replace", "key": "add"}, range(4))
    network = Network([tap])
    integrate(network, ReusedMidpoint(), torch.ones(1), linear_sigmas(4), observers=[tap])
    assert all(sigma == value for sigma, value in values(network))


def test_features_of_another_size_are_refused() -> None:
    store, sigmas = FeatureStore(), linear_sigmas(2)
    put = StoreFeatures(store, [SITE], ["value"], [0])
    take = InjectFeatures(store, [SITE], {"value": "replace"}, [0])
    integrate(Network([put], tokens=7), Midpoint(), torch.ones(1), inverted(sigmas), observers=[put])
    with pytest.raises(InputError, match=r"features have shape \(1, 7, 2, 4\), this pass needs \(1, 9, 2, 4\)"):
        integrate(Network([take], tokens=9), Midpoint(), torch.ones(1), sigmas, observers=[take])


def test_the_budget_bounds_what_stays_on_the_device() -> None:
    store = FeatureStore(budget_bytes=100)
    for index in range(3):
        store.put((index, "end", SITE, "key"), torch.full((10,), float(index)))
    assert len(store) == 3
    assert store.device_bytes == 80
    store.put((0, "end", SITE, "key"), torch.full((10,), 7.0))
    assert store.device_bytes == 80
    third = store.get((2, "end", SITE, "key"), DEVICE)
    first = store.get((0, "end", SITE, "key"), DEVICE)
    assert first is not None
    assert third is not None
    assert (first[0].item(), third[0].item()) == (7.0, 2.0)


@pytest.mark.parametrize("budget", [None, 0])
def test_a_stored_slice_does_not_keep_the_whole_alive(budget: int | None) -> None:
    store = FeatureStore(budget)
    store.put((0, "end", SITE, "key"), torch.zeros(1, 100, 8)[:, 90:])
    kept = store.get((0, "end", SITE, "key"), DEVICE)
    assert kept is not None
    assert kept.untyped_storage().nbytes() == 10 * 8 * 4


def test_rows_share_the_image_keys_and_values_of_their_source() -> None:
    query, key, value = torch.randn(3, 4, 7, 2, 4)
    shared = ShareRows([SITE], [0, 0, 2, 2]).project(SITE, Projections(query, key, value, TEXT))
    assert shared.query is query
    for own, after in ((key, shared.key), (value, shared.value)):
        assert torch.equal(after[:, :TEXT], own[:, :TEXT])
        assert torch.equal(after[[0, 2]], own[[0, 2]])
        assert torch.equal(after[1, TEXT:], own[0, TEXT:])
        assert torch.equal(after[3, TEXT:], own[2, TEXT:])


def test_sources_must_be_rows_of_the_batch() -> None:
    with pytest.raises(InputError, match=r"sources are \(0, 2\), expected for each row a row from 0 to 1"):
        ShareRows([SITE], [0, 2])
    tensor = torch.randn(3, 7, 2, 4)
    projections = Projections(tensor, tensor, tensor, TEXT)
    with pytest.raises(InputError, match="sources for 2 rows met a batch of 3"):
        ShareRows([SITE], [0, 0]).project(SITE, projections)
