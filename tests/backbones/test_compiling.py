"""Compiled blocks: how many graphs there are, and that taps add none from turn to turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from PIL import Image

from tests.support import tiny_flux, tiny_pipelines
from tests.support.slow_cases import slow_but_for
from tests.support.tiny_sd import backbone_of, pipeline
from undrift.attention.capture import MapCapture
from undrift.attention.columns import TextColumns
from undrift.backbones import Backbone, from_pipeline, load
from undrift.backbones.compiling import compile_blocks, is_compiled
from undrift.errors import ModelError

PROMPTS = ("a cat", "a red dog on a beach", "a cat")


class Graphs:
    """Counts the graphs that dynamo hands over, and runs them as they are."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, module: Any, inputs: Any) -> Any:
        self.count += 1
        return module.forward


@pytest.fixture
def graphs() -> Iterator[Graphs]:
    torch._dynamo.reset()
    yield Graphs()
    torch._dynamo.reset()


def velocities(backbone: Backbone, *, tapped: bool) -> list[torch.Tensor]:
    """Of three prompts at two sigmas each, with maps read or not."""
    latent = backbone.encode([Image.new("RGB", (40, 24), "teal")])
    found = []
    for prompt in PROMPTS:
        field = backbone.velocity_field(backbone.embed([prompt]), latent.geometry, 2.0)
        tap = MapCapture(TextColumns.first(len(prompt.split()), 1), backbone.capabilities.map_sites)
        with backbone.tapped(*([tap] if tapped else [])):
            found += [field(latent.packed, sigma) for sigma in (0.6, 0.5)]
    return found


@pytest.mark.slow
def test_taps_words_and_turns_make_no_graphs_of_their_own(graphs: Graphs) -> None:
    backbone = from_pipeline(tiny_flux.pipeline(), name="tiny")
    eager = [velocities(backbone, tapped=tapped) for tapped in (False, True)]
    compile_blocks(backbone._network, backend=graphs)  # type: ignore[attr-defined]
    counts = []
    for tapped in (False, True, False, True, False, True):
        for made, plain in zip(velocities(backbone, tapped=tapped), eager[tapped], strict=True):
            assert torch.equal(made, plain), "the counting backend runs what it was given"
        counts.append(graphs.count)
    # One graph for the double blocks and one for the single ones, whose first gets its input in another layout; two
    # around the taps of the double blocks; none for another block, word, turn or sigma.
    assert counts[0] <= 3
    assert counts[1] - counts[0] <= 2
    assert counts[2:] == [counts[2]] * 4
    assert counts[2] - counts[1] <= 1


@pytest.mark.parametrize("family", slow_but_for((), tiny_pipelines.FAMILIES))
def test_the_blocks_of_every_family_compile(family: str, graphs: Graphs) -> None:
    backbone = from_pipeline(tiny_pipelines.FAMILIES[family].make(), name="tiny")
    eager = velocities(backbone, tapped=True)
    compile_blocks(backbone._network, backend=graphs)  # type: ignore[attr-defined]
    for made, plain in zip(velocities(backbone, tapped=True), eager, strict=True):
        torch.testing.assert_close(made, plain)  # the counting backend runs the same operations
    assert graphs.count
    before = graphs.count
    velocities(backbone, tapped=True)
    assert graphs.count == before


def test_a_network_of_unknown_blocks_is_refused() -> None:
    with pytest.raises(ModelError, match="the blocks of Linear are not known, and cannot be compiled"):
        compile_blocks(torch.nn.Linear(2, 2))


@pytest.mark.slow
def test_a_folder_is_compiled_where_that_is_asked_for(tiny_flux_folder: Any) -> None:
    backbone = load(str(tiny_flux_folder), device="cpu", compile=True)
    assert is_compiled(backbone._network)  # type: ignore[attr-defined]
    assert backbone.identity.options == ("compile=on",)
    assert not is_compiled(load(str(tiny_flux_folder), device="cpu")._network)  # type: ignore[attr-defined]


def test_streamed_layers_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ModelError, match="compile=True and offload=group do not go together: leave one of them out"):
        load("littleworld", device="cuda", offload="group", compile=True)


@pytest.mark.slow
def test_a_unet_compiles(graphs: Graphs) -> None:
    backbone = backbone_of(pipeline())  # of its own: the blocks of the shared one must stay as they are
    plain = velocities(backbone, tapped=True)
    compile_blocks(backbone._network, backend=graphs)
    for made, eager in zip(velocities(backbone, tapped=True), plain, strict=True):
        torch.testing.assert_close(made, eager)  # the same operations
    assert graphs.count
