"""Tiles for the VAE, fewer text tokens, another card: what they do, and that records have it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support import tiny_flux
from tests.support.tiny_flux import T5_LIMIT
from tests.support.toy import toy_picture
from undrift.backbones import from_pipeline, load
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.folder import read_folder
from undrift.backbones.placement import Placement
from undrift.cli.options import ModelChoice
from undrift.cli.placement import recorded
from undrift.errors import InputError, ModelError
from undrift.methods.registry import get
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.script import commands, python_script


def tiles(backbone: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[list[tuple[int, ...]], np.ndarray[Any, Any]]:
    """What the VAE's decoder is given for a picture of 96 x 64, and the picture that comes of it."""
    seen: list[tuple[int, ...]] = []
    decoder = backbone._autoencoder.vae.decoder
    plain = decoder.forward

    def counted(z: torch.Tensor, *rest: Any) -> Any:
        seen.append(tuple(z.shape[2:]))
        return plain(z, *rest)

    monkeypatch.setattr(decoder, "forward", counted)
    picture = backbone.decode(backbone.encode([toy_picture(96, 64)]))[0]
    return seen, np.asarray(picture, dtype=float)


@pytest.mark.slow
def test_the_vae_works_in_tiles_where_that_is_asked_for(
    tiny_flux_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, plain = tiles(load(str(tiny_flux_folder), device="cpu"), monkeypatch)
    tiled, made = tiles(load(str(tiny_flux_folder), device="cpu", tiling="on"), monkeypatch)
    assert len(whole) == 1
    assert len(tiled) > 1
    assert max(height * width for height, width in tiled) < whole[0][0] * whole[0][1]
    pipe = tiny_flux.pipeline()
    pipe.vae.enable_tiling()
    _, diffusers_own = tiles(from_pipeline(pipe, name="tiled"), monkeypatch)
    assert made.tolist() == diffusers_own.tolist()
    assert made.tolist() != plain.tolist()
    off, again = tiles(load(str(tiny_flux_folder), device="cpu", tiling="off"), monkeypatch)
    assert (len(off), again.tolist()) == (1, plain.tolist())


def test_fewer_text_tokens_are_what_the_network_sees(tiny_flux_folder: Path) -> None:
    wide, narrow = (load(str(tiny_flux_folder), device="cpu", text_tokens=count) for count in (None, 5))
    prompt = "a cat"
    assert [one.embed([prompt]).text_tokens for one in (wide, narrow)] == [T5_LIMIT, 5]
    geometry = wide.geometry((40, 24))
    fewer = wide.feature_bytes(wide.sites[0], geometry) - narrow.feature_bytes(narrow.sites[0], geometry)
    assert fewer == (T5_LIMIT - 5) * 4 * wide.architecture.width  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="has 10 tokens, the model takes 5: shorten it"):
        narrow.embed(["a red cat on sand"])


def test_text_tokens_that_cannot_be_are_refused(tiny_flux_folder: Path) -> None:
    with pytest.raises(InputError, match="text_tokens is 0, expected 1 to 512"):
        load(str(tiny_flux_folder), device="cpu", text_tokens=0)
    with pytest.raises(ModelError, match="is a StableDiffusionPipeline, whose text tokens are fixed"):
        load("littleworld-sd", device="cpu", text_tokens=64)


def test_a_turn_records_them_and_is_made_again_with_them(tiny_flux_folder: Path, tmp_path: Path) -> None:
    backbone = load(str(tiny_flux_folder), device="cpu", tiling="on", text_tokens=9)
    session = start_session(tmp_path / "s", toy_picture(40, 24), "a cat", backbone)
    turn = run_turn(session, backbone, get("multi_turn", overrides={"steps": 2}), EditPlan("a dog", seed=1))
    assert turn.spec is not None
    assert turn.spec.options == ("tiling=on", "text_tokens=9")
    (command,) = commands(session, turn)
    assert "--tiling on --text-tokens 9" in command
    assert "'tiling': 'on', 'text_tokens': 9" in python_script(session, turn)
    again = ModelChoice(None, None, None, None, None).settled(recorded(turn.spec)).held
    assert (again["tiling"], again["text_tokens"], again["compile"]) == ("on", 9, False)


class Cards:
    """Two CUDA devices, of which the second is chosen: what torch is asked about them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.entered: list[torch.device] = []
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: 2)
        patch.setattr(torch.cuda, "mem_get_info", self.memory)
        patch.setattr(torch.cuda, "device", self.current)

    def memory(self, device: torch.device | None = None) -> tuple[int, int]:
        free = 2**40 if device == torch.device("cuda:1") else 0
        return free, 2**40

    def current(self, device: torch.device) -> AbstractContextManager[None]:
        self.entered.append(device)
        return nullcontext()


class Elsewhere(Placement):
    """Computes on the CPU in place of the device that it says."""

    def place(self, modules: Any) -> None:
        """Leave them."""

    def settle(self, module: Any) -> None:
        """Leave it."""


def test_the_second_card_is_the_one_that_is_asked_and_used(
    tiny_flux_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = Cards(monkeypatch)
    second = torch.device("cuda:1")
    given: list[torch.device] = []

    def placed(folder: Any, placement: Placement) -> FluxBackbone:
        given.append(placement.device)
        stand_in = Elsewhere(placement.device, torch.float32)
        parts = FluxBackbone.loaded_parts(folder, stand_in)
        with stand_in.using(parts["vae"]):
            pass
        return FluxBackbone(parts["transformer"], placement=Placement(torch.device("cpu"), torch.float32))

    monkeypatch.setattr(FluxBackbone, "from_folder", staticmethod(placed))
    load(str(tiny_flux_folder), device="cuda:1")  # 0 bytes are free on the first: it is not that one that is asked
    assert given == [second]
    assert set(cards.entered) == {second}
    assert len(cards.entered) == len(read_folder(tiny_flux_folder, "x").weighty_parts()) + 1, (
        "loading each, and using one"
    )
    with pytest.raises(ModelError, match="cuda:0 has 0 bytes free"):
        load(str(tiny_flux_folder), device="cuda:0")
    with pytest.raises(ModelError, match=r"device is 'cuda:2', but this machine has 2 CUDA device"):
        load(str(tiny_flux_folder), device="cuda:2")


def test_a_part_that_was_quantised_on_the_device_waits_in_main_memory() -> None:
    """bitsandbytes leaves what it quantised on the GPU; ``meta`` stands for it."""
    moved: list[str] = []

    class Part(torch.nn.Linear):
        def to(self, *given: Any, **named: Any) -> Any:
            moved.append(str(given[0]))
            return self

    meta = torch.device("meta")
    part = Part(2, 2, device=meta)
    Placement(meta, torch.float32).settle(part)
    assert moved == ["meta"], "without offloading it stays where it computes"
    Placement(meta, torch.float32, "model", "nf4").settle(part)
    Placement(meta, torch.float32, "model", "nf4").place([part])
    assert moved == ["meta", "cpu", "cpu"]


def test_a_picture_is_not_resized_for_its_tiles(tiny_flux_folder: Path) -> None:
    backbone = load(str(tiny_flux_folder), device="cpu", tiling="on")
    assert backbone.decode(backbone.encode([Image.new("RGB", (75, 53), "teal")]))[0].size == (75, 53)
