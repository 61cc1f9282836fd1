"""FID and KID on the original Inception, through torch-fidelity, with random weights in its own format."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.bench.metrics.outcomes import PhotoCase, noise, single
from undrift.bench.metrics import encoders, fid
from undrift.bench.metrics.base import Outcome, SetMetric
from undrift.bench.metrics.distribution import frechet, kernel_distance
from undrift.bench.metrics.registry import all_metrics, get
from undrift.bench.metrics.weights import INCEPTION
from undrift.errors import ModelError

NAMES = [name for name in all_metrics() if "inception" in name]
SIZES = ("64", "192", "768", "2048")


@pytest.fixture
def network(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The network with random weights, saved where the real ones are looked for.

    torch-fidelity imports torchvision as a whole although the Inception does not use it; the test does without.
    """
    found = importlib.util.find_spec("torch_fidelity")
    if found is None:
        pytest.skip("torch-fidelity is not installed")
    if importlib.util.find_spec("torchvision") is None:
        package = types.ModuleType("torch_fidelity")
        package.__path__ = list(found.submodule_search_locations or ())
        monkeypatch.setitem(sys.modules, "torch_fidelity", package)
    encoders._torch_fidelity_missing.cache_clear()
    monkeypatch.setattr(fid, "INCEPTION", encoders.Inception())
    made = random_network()
    torch.save(made.state_dict(), empty / INCEPTION.name)
    return made


def test_every_variant_is_its_layer_and_its_reference(network: Any) -> None:
    turns = outcomes()
    pictures, originals, previous = (
        features(network, [getattr(turn, which) for turn in turns]) for which in ("picture", "original", "previous")
    )
    assert len(NAMES) == 9
    for name in NAMES:
        metric = get(name)
        assert isinstance(metric, SetMetric)
        assert metric.missing() is None
        size = name.partition("inception")[2].partition("-")[0]
        x, y = pictures[size], (previous if name.endswith("previous") else originals)[size]
        assert x.shape == (len(turns), int(size))
        expected = 1000 * kernel_distance(x, y) if name.startswith("kid") else frechet(x, y)
        assert abs(expected) > 1e-6
        # Both go through float32 features, whose differences are squared and, for a KID, cancel.
        assert metric.score_set(turns) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_missing_weights_and_dangerous_ones(network: Any, empty: Path) -> None:
    metric = get("fid-inception2048-original")
    assert isinstance(metric, SetMetric)
    file = empty / INCEPTION.name
    encoders._inception.cache_clear()
    torch.save({"fc.weight": Path("/")}, file)
    with pytest.raises(ModelError, match=r"holds no weights that can be read safely: fetch https://github\.com"):
        metric.score_set(outcomes())
    file.unlink()
    assert (metric.missing() or "").startswith(f"put {INCEPTION.url} into {empty}, or allow its download")


def test_without_torch_fidelity_the_way_to_it_is_named(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    encoders._torch_fidelity_missing.cache_clear()
    assert "pip install 'undrift[metrics]'" in (get("fid-inception64-original").missing() or "")
    encoders._torch_fidelity_missing.cache_clear()


def outcomes() -> list[Outcome]:
    cases = [PhotoCase(noise(seed, (48, 40))) for seed in range(3)]
    return [single(case, 2, noise(9 + k, (48, 40)), noise(6 + k, (48, 40))) for k, case in enumerate(cases)]


def random_network() -> Any:
    """torch-fidelity's own class; its constructor insists on weights, which random ones replace."""
    module = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda *args: None)
        made = module.FeatureExtractorInceptionV3("random", list(SIZES))
    for weight in made.parameters():
        if weight.ndim == 4:
            torch.nn.init.kaiming_normal_(weight)  # so that something is left after 48 layers
    return made


def features(network: Any, pictures: list[Image.Image]) -> dict[str, torch.Tensor]:
    values = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return dict(zip(SIZES, network(values), strict=True))
