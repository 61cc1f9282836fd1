"""What models need in memory, against published figures and against what loaded parts really hold."""

from __future__ import annotations

import os
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support import published, tiny_flux
from undrift.backbones import loading, machine, ways
from undrift.backbones.examination import examined
from undrift.backbones.folder import ModelFolder, read_folder
from undrift.backbones.needs import needs, part_bytes
from undrift.backbones.placement import Placement
from undrift.errors import ModelError

GB = 10**9


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """FLUX.1-dev at its published size."""
    return read_folder(published.flux_dev(tmp_path_factory.mktemp("published") / "flux"), "FLUX.1-dev")


@pytest.mark.parametrize(
    ("quantize", "transformer", "t5", "whole"),
    # 11 901 408 320 parameters of the transformer and 4.762 billion of T5, two bytes each. nf4: T5's `wo` matrices
    # stay as they are, which leaves about 4.3 GB of it.
    [("none", 23.80, 9.52, 33.7), ("nf4", 6.70, 4.3, 11.4), ("int8", 11.9, 5.9, 18.2)],
)
def test_flux_dev_needs_what_is_published(
    dev: ModelFolder, quantize: str, transformer: float, t5: float, whole: float
) -> None:
    found = [part_bytes(dev, part, torch.bfloat16, quantize) / GB for part in ("transformer", "text_encoder_2")]
    # Two units of the last place that is published, of both parts; three of them, of all parts together.
    assert found == pytest.approx([transformer, t5], abs=0.02)
    # As above.
    assert needs(dev, torch.bfloat16, "none", quantize).device / GB == pytest.approx(whole, abs=0.06)


def test_in_float16_t5_keeps_matrices_in_float32(dev: ModelFolder) -> None:
    extra = part_bytes(dev, "text_encoder_2", torch.float16, "none") - part_bytes(
        dev, "text_encoder_2", torch.bfloat16, "none"
    )
    assert extra == 24 * 4096 * 10240 * 2  # one `wo` in each of 24 layers


def test_offloading_needs_the_largest_part_on_the_device_and_all_in_main_memory(dev: ModelFolder) -> None:
    whole = needs(dev, torch.bfloat16, "none", "none")
    moved, streamed = (needs(dev, torch.bfloat16, offload, "none") for offload in ("model", "group"))
    assert (whole.main, moved.main, streamed.main) == (0, whole.device, whole.device)
    assert moved.device == part_bytes(dev, "transformer", torch.bfloat16, "none")
    assert streamed.device < 2 * GB


def test_streaming_leaves_the_scales_of_four_bit_weights_on_the_device(dev: ModelFolder) -> None:
    plain, four = (needs(dev, torch.bfloat16, "group", held) for held in ("none", "nf4"))
    # A float32 for every 64 numbers of nearly all of 11.9 and some 3.6 billion parameters.
    assert (four.device - plain.device) / GB == pytest.approx((11.9 + 3.6) * 4 / 64, abs=0.3)
    assert four.main == needs(dev, torch.bfloat16, "model", "nf4").main


def test_mapped_files_take_no_main_memory_while_they_are_loaded(dev: ModelFolder) -> None:
    assert needs(dev, torch.bfloat16, "none", "none").loading == 0
    moved = needs(dev, torch.bfloat16, "model", "nf4")
    assert moved.loading == moved.main, "the libraries quantise tensor by tensor"
    converted = needs(dev, torch.float16, "none", "none")
    assert converted.loading == part_bytes(dev, "transformer", torch.float16, "none")


def one_file(folder: ModelFolder, path: Path, prefix: str, dtype: torch.dtype = torch.bfloat16) -> ModelFolder:
    """FLUX.1-dev's transformer in one file."""
    weight = torch.empty(11_901_408_320 // 64, 64, device="meta")
    published.hollow(path, {f"{prefix}0.weight": weight}, dtype)
    return loading.with_file(folder, path)


@pytest.mark.parametrize(
    ("prefix", "dtype", "whole"),
    [
        ("double_blocks.", torch.bfloat16, True),
        ("transformer_blocks.", torch.bfloat16, False),
        ("transformer_blocks.", torch.float32, True),
    ],
)
def test_what_diffusers_copies_of_a_file_is_there_whole_before_it_is_quantised(
    dev: ModelFolder, tmp_path: Path, prefix: str, dtype: torch.dtype, whole: bool
) -> None:
    folder = one_file(dev, tmp_path / "one.safetensors", prefix, dtype)
    direct, moved = (needs(folder, torch.bfloat16, offload, "nf4") for offload in ("none", "model"))
    # 23.8 GB as published, to its last digit.
    assert direct.loading / GB == (pytest.approx(23.8, abs=0.05) if whole else 0)
    assert moved.loading - moved.main == (
        direct.loading - part_bytes(folder, "transformer", torch.bfloat16, "nf4") if whole else 0
    )


def test_a_gguf_is_copied_as_it_is(dev: ModelFolder, tmp_path: Path) -> None:
    file = tmp_path / "flux1-dev-Q4_K_S.gguf"
    file.write_bytes(b"GGUF")
    os.truncate(file, 6_800_000_000)
    assert needs(loading.with_file(dev, file), torch.bfloat16, "none", "nf4").loading == 6_800_000_000


def test_too_little_main_memory_is_told_before_the_file_is_read(
    dev: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = one_file(dev, tmp_path / "one.safetensors", "double_blocks.")
    card = torch.device("cuda")
    monkeypatch.setattr(loading, "free_memory", lambda device: 16 * GB)
    monkeypatch.setattr(ways, "free_memory", lambda device: 16 * GB)
    monkeypatch.setattr(ways, "free_main_memory", lambda: 16 * GB)
    with pytest.raises(ModelError) as caught:
        loading.check_fits(folder, Placement(card, torch.bfloat16, quantize="nf4"))
    assert str(caught.value) == (
        "FLUX.1-dev takes 22 GB of main memory while it is loaded, 15 GB are free: give a GGUF of it, or the"
        " folder of a pipeline, which is read piece by piece"
    )
    found = {way.flags: way.short for way in ways.ways(folder, card, (512, 512))}
    assert found["--quantize nf4"] == "main memory"
    loading.check_fits(dev, Placement(card, torch.bfloat16, quantize="nf4"))


@pytest.mark.parametrize(("dtype", "bytes_each"), [(torch.float32, 4), (torch.bfloat16, 2)])
def test_a_folder_needs_what_its_loaded_parts_hold(
    tiny_flux_folder: Path, dtype: torch.dtype, bytes_each: int
) -> None:
    folder = read_folder(tiny_flux_folder, "tiny")
    parts = tiny_flux.pipeline().components
    for name in folder.weighty_parts():
        held = sum(parameter.numel() for parameter in parts[name].parameters()) * bytes_each
        assert part_bytes(folder, name, dtype, "none") == held, name


def test_quantising_spares_the_linear_layers_of_large_parts_alone(tiny_flux_folder: Path) -> None:
    folder = read_folder(tiny_flux_folder, "tiny")
    transformer = tiny_flux.pipeline().transformer
    linear = sum(part.weight.numel() for part in transformer.modules() if isinstance(part, torch.nn.Linear))
    plain, eight, four = (part_bytes(folder, "transformer", torch.bfloat16, held) for held in ("none", "int8", "nf4"))
    assert plain - eight == linear
    assert plain - four == round(linear * (2 - 0.5625))
    for small in ("text_encoder", "vae"):
        assert part_bytes(folder, small, torch.bfloat16, "nf4") == part_bytes(folder, small, torch.bfloat16, "none")


@pytest.mark.parametrize(
    ("free", "flags"),
    [
        (80, ""),
        (48, ""),
        (32, "--offload model"),
        (24, "--quantize int8"),
        (16, "--quantize nf4"),
        (12, "--offload model --quantize nf4"),
        (8, "--offload group"),
        (2, None),
    ],
)
def test_what_is_recommended_follows_the_memory(
    dev: ModelFolder, monkeypatch: pytest.MonkeyPatch, free: int, flags: str | None
) -> None:
    monkeypatch.setattr(ways, "free_memory", lambda device: free * GB)
    monkeypatch.setattr(ways, "free_main_memory", lambda: 64 * GB)
    way = ways.best(list(ways.ways(dev, torch.device("cuda"), (1024, 1024))))
    assert (None if way is None else way.flags) == flags


def test_beside_gguf_doctor_reckons_with_a_quantised_text_encoder(
    dev: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FLUX.1-dev in Q4_K_S is 6.8 GB: for 16 GB too large beside T5 as it is, 9.5 GB, and in eight bits, 5.9 GB."""
    file = tmp_path / "flux1-dev-Q4_K_S.gguf"
    file.write_bytes(b"GGUF")
    os.truncate(file, 6_800_000_000)
    folder = loading.with_file(dev, file)
    # Transformer, T5 in nf4 and the rest, each rounded to a tenth: three half tenths at most.
    assert needs(folder, torch.bfloat16, "none", "nf4").device / GB == pytest.approx(6.8 + 4.3 + 0.4, abs=0.15)
    monkeypatch.setattr(ways, "free_memory", lambda device: 16 * GB)
    monkeypatch.setattr(ways, "free_main_memory", lambda: 8 * GB)
    way = ways.best(list(ways.ways(folder, torch.device("cuda"), (1024, 1024))))
    assert way is not None
    assert way.flags == "--quantize nf4"


def test_offloading_is_not_recommended_without_the_main_memory(
    dev: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "free_memory", lambda device: 32 * GB)
    monkeypatch.setattr(ways, "free_main_memory", lambda: 16 * GB)
    found = list(ways.ways(dev, torch.device("cuda"), (1024, 1024)))
    assert [way.short for way in found if way.offload == "model" and way.quantize == "none"] == ["main memory"]
    best = ways.best(found)
    assert best is not None
    assert best.flags == "--quantize int8"


def test_an_examined_model_is_whole_or_says_what_is_wrong(tiny_flux_folder: Path, tmp_path: Path) -> None:
    good = examined(str(tiny_flux_folder), "cpu", (64, 64))
    assert good.problem == ""
    assert set(good.parts) == {"transformer", "text_encoder", "text_encoder_2", "vae"}
    assert good.best is not None
    assert good.best.flags == ""
    for name, line in (
        ("someone/not-here", "is not on this machine"),
        (str(tmp_path), "has no model_index.json"),
        ("nonsense", "no model 'nonsense': expected"),
    ):
        bad = examined(name, "cpu", (64, 64))
        assert line in bad.problem
        assert not bad.ways


class Card:
    """A CUDA device as torch describes it."""

    name, total_memory, minor = "Tesla T4", 16 * 2**30, 5

    def __init__(self, major: int) -> None:
        self.major = major


@pytest.mark.parametrize(("major", "state"), [(7, "note"), (8, "ok")])
def test_cards_that_are_slow_in_bfloat16_are_told(monkeypatch: pytest.MonkeyPatch, major: int, state: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Card(major))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (device.index * 2**30, 2**34))
    cards = [found for found in machine.findings() if found.topic == "device" and "cuda" in found.text]
    assert [found.state for found in cards] == [state, state]
    assert cards[1].text.startswith("cuda:1: Tesla T4, 1 GB of 16 GB free")
    assert ("--dtype fp16" in cards[0].text) is (state == "note")


def test_a_gpu_that_this_build_of_torch_cannot_use_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    first = next(iter(machine.findings()))
    assert (first.topic, first.state) == ("torch", "fault")
    assert "install a CUDA build" in first.text


def test_missing_and_old_packages_are_told_with_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    versions: dict[str, str | None] = {"diffusers": "0.30.0", "bitsandbytes": None, "torchao": "0.18.0"}
    real = machine._version
    monkeypatch.setattr(machine, "_version", lambda name: versions.get(name, real(name)))
    asked = ["diffusers>=0.42", *(f'{name}; extra == "quantize"' for name in ("bitsandbytes>=0.45", "torchao>=0.15"))]
    monkeypatch.setattr(metadata, "requires", lambda _: asked)
    told: dict[str, Any] = {found.state: found.text for found in machine.findings() if found.topic == "packages"}
    assert told["fault"].startswith("diffusers 0.30.0: expected what undrift asks for")
    assert told["note"].startswith("bitsandbytes not installed, for --quantize")
    assert "pip install 'undrift[quantize]'" in told["note"]
