"""Pipelines that somebody loaded with diffusers, taken as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support import tiny_pipelines
from tests.support.layouts.loads import velocity
from tests.support.tiny_pipelines import FAMILIES, saved
from undrift.backbones import from_pipeline, load
from undrift.errors import ModelError


@pytest.mark.parametrize("family", FAMILIES)
def test_a_loaded_pipeline_is_taken_as_it_is(family: str, tmp_path: Path) -> None:
    pipe = FAMILIES[family].make()
    backbone = from_pipeline(pipe, name="mine")
    assert torch.equal(velocity(backbone), velocity(load(str(saved(family, tmp_path / "made")), device="cpu")))
    assert (backbone.identity.name, backbone.identity.dtype) == ("mine", "float32")
    before = backbone.identity.weights_hash
    with torch.no_grad():
        next(iter(pipe.transformer.parameters())).mul_(1.5)
    assert from_pipeline(pipe, name="mine").identity.weights_hash != before


def test_an_editor_is_refused() -> None:
    with pytest.raises(ModelError, match=r"mine is an editor by instructions \(FluxKontextPipeline\): use it with"):
        from_pipeline(tiny_pipelines.kontext(), name="mine")
