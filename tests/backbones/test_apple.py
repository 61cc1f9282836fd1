"""Apple's GPUs: chosen where there are some, and nothing is computed there in float64, which they have not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.support.no_doubles import without_doubles
from tests.support.toy import toy_picture
from undrift.backbones import load
from undrift.backbones.base import Latent
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.loading import device_of
from undrift.errors import ModelError
from undrift.methods.edit_map import otsu_means
from undrift.methods.registry import get
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.rough import RoughDecoder


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_the_device_is_chosen(cuda: bool, mps: bool, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert device_of("auto") == torch.device(chosen)
    assert device_of("cpu") == torch.device("cpu")
    if mps:
        assert device_of("mps") == torch.device("mps")
    else:
        with pytest.raises(ModelError, match="device is 'mps', but this machine has none: use --device cpu or auto"):
            device_of("mps")


class OnApple(FluxBackbone):
    """A model whose latents lie on a device without float64."""

    def encode(self, images: Sequence[Image.Image]) -> Latent:
        latent = super().encode(images)
        return Latent(without_doubles(latent.packed), latent.geometry)


@pytest.mark.parametrize("method", ["undrift", "multi_turn", "flowedit", "rf_inversion", "fireflow"])
def test_methods_compute_there_without_float64(method: str, tiny_flux_folder: Path, tmp_path: Path) -> None:
    backbone = load(str(tiny_flux_folder), device="cpu")
    backbone.__class__ = OnApple
    session = start_session(tmp_path / "s", toy_picture(40, 24), "a cat", backbone)
    overrides = {"steps": 4, **({"n_max": 3} if method == "flowedit" else {})}
    turn = run_turn(session, backbone, get(method, overrides=overrides), EditPlan("a dog", seed=1))
    assert session.picture(turn).size == (40, 24)


def test_classes_are_told_apart_there() -> None:
    values = torch.tensor([0.1, 0.2, 0.9, 1.0])
    # 0.15 and 0.95, in float32.
    assert otsu_means(without_doubles(values)) == pytest.approx((0.15, 0.95), abs=1e-7)


def test_a_rough_look_is_computed_in_main_memory(tiny_flux_folder: Path) -> None:
    backbone, picture = load(str(tiny_flux_folder), device="cpu"), toy_picture(40, 24)
    latent = backbone.encode([picture])
    there = Latent(without_doubles(latent.packed), latent.geometry)
    looks = [RoughDecoder([(picture, each)]).picture(each) for each in (latent, there)]
    assert looks[0].tobytes() == looks[1].tobytes()
