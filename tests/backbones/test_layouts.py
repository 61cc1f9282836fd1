"""The layouts that people hold: each loads with the velocity that it should have, or is refused in one line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.support import tiny_flux
from tests.support.layouts.loads import LOADS, by_diffusers, velocity
from tests.support.layouts.refused import FIND, NF4, REFUSED, saved_as, without
from tests.support.slow_cases import slow_but_for
from tests.support.tiny_pipelines import FAMILIES, saved
from undrift.backbones import from_pipeline, load
from undrift.errors import ModelError

QUICK = {
    "flux, variant bf16 in shards",
    "flux, T5 with spiece.model alone",
    "flux, GGUF",
    "flux, two LoRAs",
    "sd3 in shards",
    "flux2, one file in its authors' layout",
    "qwen_image, one file",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny pipeline of each family, saved plainly."""
    made = {name: saved(name, tmp_path_factory.mktemp("plain") / name) for name in FAMILIES}
    return {**made, "flux": tiny_flux.save_tiny_flux(tmp_path_factory.mktemp("plain") / "flux")}


@pytest.fixture(scope="module")
def expected(folders: dict[str, Path]) -> dict[str, Tensor]:
    return {name: velocity(load(str(folder), device="cpu")) for name, folder in folders.items()}


@pytest.mark.parametrize("name", slow_but_for(QUICK, LOADS))
def test_it_loads(name: str, folders: dict[str, Path], expected: dict[str, Tensor], tmp_path: Path) -> None:
    layout = LOADS[name]
    if not layout.is_here:
        pytest.skip(f"{layout.package} is not installed")
    given = layout.make(folders[layout.family], tmp_path / "made")
    found = velocity(load(**given, device="cpu"))
    if layout.bar is None:
        own = velocity(from_pipeline(by_diffusers(given), name="diffusers' own"))
        torch.testing.assert_close(found, own, atol=0, rtol=0)  # the same operations on the same numbers
        assert not torch.equal(found, expected[layout.family]), "it is another model than the plain one"
    else:
        # What the layout loses of each weight, see ``Layout.bar``.
        torch.testing.assert_close(found, expected[layout.family], atol=layout.bar, rtol=0)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused(name: str, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, message = REFUSED[name]
    monkeypatch.setattr(FIND, without("bitsandbytes"))
    copy = Path(shutil.copytree(folders["flux"], tmp_path / "made"))
    with pytest.raises(ModelError, match=message) as caught:
        load(str(make(copy)), device="cpu")
    assert "\n" not in str(caught.value)


def test_four_bits_are_told_to_need_a_cuda_device_before_anything_is_read(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """diffusers says so once it is asked for that part, and ``doctor`` does not ask it."""
    folder = saved_as(NF4)(Path(shutil.copytree(folders["flux"], tmp_path / "made")))
    monkeypatch.setattr(FIND, lambda name: object())
    line = r"transformer was saved as nf4, which needs a CUDA device, the model is to run on cpu: use weights in 16"
    with pytest.raises(ModelError, match=line):
        load(str(folder), device="cpu")


def test_the_table_in_the_documents_is_of_these() -> None:
    assert len(LOADS) + len(REFUSED) >= 25
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| (?:loads|refused)[^|]*\|", text, re.MULTILINE)
    assert rows == [*LOADS, *REFUSED]
