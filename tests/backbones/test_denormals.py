"""Denormal numbers cost time and change nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from undrift.backbones import load, placement
from undrift.backbones.denormals import flushed, flushes
from undrift.backbones.placement import Placement
from undrift.littleworld import demo

CPU = torch.device("cpu")


@pytest.fixture
def usual() -> Iterator[None]:
    """The processor's mode is as it was, after a test that changes it."""
    before = flushes()
    yield
    torch.set_flush_denormal(before)


def test_a_block_flushes_and_leaves_the_mode_as_it_was(usual: None) -> None:
    for mode in (False, True):
        torch.set_flush_denormal(mode)
        with flushed(CPU):
            assert flushes()
            with flushed(CPU):
                assert flushes()
            assert flushes()
        assert flushes() is mode
        with pytest.raises(ValueError, match="broken"), flushed(CPU):
            raise ValueError("broken")
        assert flushes() is mode
        with flushed(torch.device("cuda")):
            assert flushes() is mode, "a GPU has a mode of its own"


def test_networks_run_so_and_nothing_else_does(usual: None) -> None:
    torch.set_flush_denormal(False)
    seen = []

    class Network(torch.nn.Module):
        def forward(self) -> None:
            seen.append(flushes())

    network = Network()
    with Placement(CPU, torch.float32).using(network):
        network()
    assert (seen, flushes()) == ([True], False)


def test_a_velocity_is_the_same_to_the_bit(usual: None, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_flush_denormal(False)
    model = load("littleworld", device="cpu")
    latent = model.encode([demo.picture(128)])
    noise = torch.randn(latent.packed.shape, generator=torch.Generator().manual_seed(0))
    field = model.velocity_field(model.embed([demo.prompt()]), latent.geometry, 3.5)
    states = [(1 - sigma) * latent.packed + sigma * noise for sigma in (0.1, 0.6, 1.0)]
    flushing = [field(x, sigma) for x, sigma in zip(states, (0.1, 0.6, 1.0), strict=True)]

    def as_it_is(device: Any) -> Any:
        return nullcontext()

    monkeypatch.setattr(placement, "flushed", as_it_is)
    for found, x, sigma in zip(flushing, states, (0.1, 0.6, 1.0), strict=True):
        assert torch.equal(found, field(x, sigma))


@pytest.mark.parametrize("number_format", [torch.float64, torch.float16])
def test_the_mode_is_known_whatever_tensors_are_by_default(usual: None, number_format: torch.dtype) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(number_format)
    try:
        for mode in (False, True):
            torch.set_flush_denormal(mode)
            with torch.device("meta"), flushed(CPU):
                assert flushes()
            assert flushes() is mode
    finally:
        torch.set_default_dtype(before)


TEAM = """
import threading
import torch
from undrift.backbones.denormals import _team, flushed

def taken_for_zero():
    return float((torch.full((2_000_000,), 2.0**-126) * 0.5 == 0.0).float().mean())

def look():
    with flushed(torch.device("cpu")):
        print(taken_for_zero(), end=" ")
    print(taken_for_zero(), end=" ")

torch.set_num_threads(2)
print(_team() is not None, taken_for_zero(), end=" ")
look()
another = threading.Thread(target=look)  # whose team is begun within the block
another.start()
another.join()
"""


def test_the_threads_that_share_the_work_do_the_same() -> None:
    ran = subprocess.run([sys.executable, "-c", TEAM], capture_output=True, text=True, check=True)
    told, *shares = ran.stdout.split()
    if told == "False":
        pytest.skip("this PyTorch's threads are not of GNU's interface")
    assert shares == ["0.0", "1.0", "0.0", "1.0", "0.0"]
