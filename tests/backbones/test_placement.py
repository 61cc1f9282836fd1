"""Where parts are while they wait and work: moved, streamed, one at a time, and whole again when memory ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from undrift.backbones import Backbone
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.folder import ModelFolder, read_folder
from undrift.backbones.placement import Offload, Placement, memory_advice
from undrift.errors import ModelError
from undrift.flow import ReusedMidpoint, integrate, inverted


def test_a_part_is_put_in_its_place_before_the_next_is_read(
    tiny_flux_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Main memory holds one part at a time where all of them go to a GPU."""
    events: list[str] = []
    check = ModelFolder.check_weights

    def read(folder: ModelFolder, part: str) -> None:
        events.append("read")
        check(folder, part)

    class Placing(Placement):
        def settle(self, module: torch.nn.Module) -> None:
            events.append("settled")
            super().settle(module)

        def place(self, modules: Any) -> None:
            events.append("placed")

    monkeypatch.setattr(ModelFolder, "check_weights", read)
    folder = read_folder(tiny_flux_folder, "tiny")
    FluxBackbone.from_folder(folder, Placing(torch.device("cpu"), torch.float32))
    assert events == ["read", "settled"] * len(folder.weighty_parts()) + ["placed"]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 20 bytes"),
    ],
)
def test_running_out_of_memory_while_working_is_explained(error: RuntimeError) -> None:
    placement = Placement(torch.device("cpu"), torch.float32)
    message = "the memory of cpu is too small: try --dtype bf16 or --tiling on or a smaller picture"
    with pytest.raises(ModelError, match=message), placement.using(torch.nn.Identity()):
        raise error


def test_other_errors_of_the_work_stay_what_they_are() -> None:
    placement = Placement(torch.device("cpu"), torch.float32)
    with pytest.raises(RuntimeError, match="shapes differ"), placement.using(torch.nn.Identity()):
        raise RuntimeError("shapes differ")


def test_the_advice_skips_what_is_done_already() -> None:
    cuda = torch.device("cuda")
    assert memory_advice(Placement(cuda, torch.bfloat16)) == (
        "try --offload model or --offload group or --quantize nf4 or --tiling on or a smaller picture"
    )
    done = Placement(cuda, torch.bfloat16, "group", "nf4", tiling="on")
    assert memory_advice(done) == "try a smaller picture"


def test_model_offloading_keeps_one_part_on_the_device() -> None:
    meta = torch.device("meta")  # stands for the device here: parts sent there can be told from parts on the CPU
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    placement = Placement(meta, torch.float32, "model")
    placement.place([first, second])
    assert first.weight.device.type == second.weight.device.type == "cpu"
    with placement.using(first):
        assert first.weight.device == meta
    moved = first.weight
    with placement.using(first):
        assert first.weight is moved


class Full(torch.nn.Module):
    """Runs out of memory half way to the device, as often as it is told."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        self.failures = failures

    def to(self, *args: Any, **named: Any) -> Full:
        if torch.device(args[0]).type == "meta" and self.failures:
            self.failures -= 1
            self.first.to(*args, **named)
            raise torch.OutOfMemoryError("CUDA out of memory")
        # A tensor on meta holds nothing to bring back: what stands for the device forgets.
        moved = super().to_empty(device=args[0]) if self.first.weight.is_meta else super().to(*args, **named)
        assert isinstance(moved, Full)
        return moved


def test_running_out_of_memory_leaves_the_next_turn_a_usable_model() -> None:
    placement = Placement(torch.device("meta"), torch.float32, "model")
    vae, transformer = Full(failures=0), Full(failures=1)
    with placement.using(vae):
        pass
    with pytest.raises(ModelError, match="the memory of meta is too small: try"), placement.using(transformer):
        pytest.fail("it is not there")
    devices = {parameter.device.type for parameter in transformer.parameters()}
    assert devices == {"cpu"}, "a half-moved part goes back"
    with placement.using(transformer):
        assert {parameter.device.type for parameter in transformer.parameters()} == {"meta"}


class Scales:
    """Those of a weight in four bits, as bitsandbytes keeps them beside it."""

    def __init__(self) -> None:
        self.sent_to: list[torch.device] = []

    def to(self, device: torch.device) -> None:
        self.sent_to.append(device)


def test_scales_of_four_bit_weights_wait_on_the_device_for_what_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undrift.backbones.placement.GROUP_OFFLOAD_FROM", 0)
    layer = torch.nn.Linear(2, 2)
    layer.weight.quant_state = scales = Scales()  # type: ignore[attr-defined]
    device = torch.device("cpu")
    Placement(device, torch.float32, "group", "nf4").place([layer])
    assert scales.sent_to == [device]


@pytest.mark.parametrize("offload", ["model", "group"])
def test_offloading_changes_no_result(
    tiny_flux: Backbone, tiny_flux_folder: Path, offload: Offload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undrift.backbones.placement.GROUP_OFFLOAD_FROM", 200_000)  # between transformer and VAE
    placement = Placement(torch.device("cpu"), torch.float32, offload)
    offloaded = FluxBackbone.from_folder(read_folder(tiny_flux_folder, "tiny"), placement)
    source = Image.new("RGB", (20, 12), "teal")
    results = []
    for backbone in (tiny_flux, offloaded):
        latent = backbone.encode([source])
        field = backbone.velocity_field(backbone.embed(["a cat"]), latent.geometry, 2.0)
        final = integrate(field, ReusedMidpoint(), latent.packed, inverted(backbone.sigmas(3, latent.geometry))).final
        results.append((final, np.asarray(backbone.decode(latent)[0])))
    assert torch.equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])
