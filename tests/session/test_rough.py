"""Previews where parts are moved to be used: as rough as arithmetic makes them, and without moving anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.support.toy import toy_picture
from undrift.backbones import Backbone, Latent
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.folder import read_folder
from undrift.backbones.geometry import Geometry
from undrift.backbones.placement import Placement
from undrift.methods.registry import get
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.preview import Preview, decoder
from undrift.session.rough import RoughDecoder
from undrift.session.store import Session

SIDE = 8
GEOMETRY = Geometry(height=48, width=64, rows=6, columns=8, token_side=SIDE)


def squares(seed: int) -> tuple[Image.Image, torch.Tensor]:
    """A picture of squares of one colour, two by two in a token, and those colours (tokens, 12) in [-1, 1]."""
    levels = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(levels.repeat(4, axis=0).repeat(4, axis=1))
    colours = torch.from_numpy(levels).double().permute(2, 0, 1) / 127.5 - 1
    tokens = colours.reshape(3, 6, 2, 8, 2).permute(1, 3, 0, 2, 4).reshape(48, 12)
    return picture, tokens


def test_colours_that_are_affine_in_the_latent_come_back() -> None:
    """Of a linear autoencoder's pictures the map is exact, but for the ridge and for where colours meet."""
    mixing = torch.from_numpy(np.random.default_rng(0).normal(size=(12, 20)))
    known, other = (
        (picture, Latent((tokens @ mixing + 3)[None], GEOMETRY)) for picture, tokens in map(squares, (1, 2))
    )
    made = np.asarray(RoughDecoder([known]).picture(other[1]), dtype=float)
    middles = np.s_[1::4, 1::4], np.s_[2::4, 2::4]
    wanted = np.asarray(other[0], dtype=float)
    # Half a pixel from a square's middle, bilinear enlarging by 4 mixes in 1/8 of each neighbour.
    difference = np.mean([(made[middle] - wanted[middle]) for middle in middles], axis=0)
    assert np.abs(difference).mean() < 255 / 8
    assert np.corrcoef(made[middles[0]].ravel(), wanted[middles[0]].ravel())[0, 1] > 0.95


def test_a_picture_of_one_colour_gives_that_colour() -> None:
    flat = Image.new("RGB", (64, 48), (10, 200, 90))
    latent = Latent(torch.ones(1, 48, 16), GEOMETRY)
    assert RoughDecoder([(flat, latent)]).picture(latent).getcolors() == [(64 * 48, (10, 200, 90))]


@pytest.fixture
def moved(tiny_flux_folder: Path) -> Backbone:
    """The tiny FLUX with one part at a time on the device."""
    placement = Placement(torch.device("cpu"), torch.float32, "model")
    return FluxBackbone.from_folder(read_folder(tiny_flux_folder, "tiny"), placement)


def test_previews_move_nothing(moved: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought: list[str] = []
    bring = Placement._bring

    def counted(self: Placement, module: nn.Module) -> None:
        brought.append(type(module).__name__)
        bring(self, module)

    session = start_session(tmp_path / "s", toy_picture(40, 24), "a cat", moved)
    monkeypatch.setattr(Placement, "_bring", counted)
    plain = with_previews(session, moved, watched=False)
    without, brought[:] = list(brought), []
    shown = with_previews(session, moved, watched=True)
    assert plain == []
    assert [picture.size for picture in shown] == [(40, 24)] * 2
    assert brought.count("FluxTransformer2DModel") == without.count("FluxTransformer2DModel") == 1
    assert brought.count("AutoencoderKL") == 1, "the turn's own picture"


def with_previews(session: Session, backbone: Backbone, *, watched: bool) -> list[Image.Image]:
    shown: list[Image.Image] = []
    decode = decoder(session, backbone)
    assert decode is not None
    preview = Preview(backbone, (40, 24), lambda pictures, step, steps: shown.extend(pictures), decode=decode)
    method = get("multi_turn", overrides={"steps": 3})
    plan = EditPlan("a dog", seed=1, parent="original")
    run_turn(session, backbone, method, plan, [preview] if watched else [])
    return shown


def test_where_nothing_moves_the_backbone_decodes(tiny_flux: Backbone, tmp_path: Path) -> None:
    session = start_session(tmp_path / "s", toy_picture(40, 24), "a cat", tiny_flux)
    decode = decoder(session, tiny_flux)
    assert decode is not None
    latent = tiny_flux.encode([toy_picture(40, 24)])
    assert decode(latent).tobytes() == tiny_flux.decode(latent)[0].tobytes()


def test_without_a_latent_to_learn_from_nothing_is_shown(
    moved: Backbone, tiny_flux: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = start_session(tmp_path / "s", toy_picture(40, 24), "a cat", moved)
    monkeypatch.setattr("undrift.session.preview.stored_latent", lambda *_: None)
    assert decoder(session, moved) is None
    assert decoder(session, tiny_flux) is not None
