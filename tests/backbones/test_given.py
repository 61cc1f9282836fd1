"""Files of weights as records name them, and where they are found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.adapters import lora_file
from undrift.backbones.base import ModelIdentity
from undrift.backbones.folder import Lora
from undrift.backbones.given import GivenFile, all_found, loras_of, transformer_of
from undrift.backbones.named import files_of, remember_file
from undrift.backbones.weights import weights_digest
from undrift.errors import ModelError

DIGEST = "0123456789abcdef"


def identity(loras: tuple[str, ...] = (), options: tuple[str, ...] = ()) -> ModelIdentity:
    return ModelIdentity("m", "w", "float32", "cpu", loras=loras, options=options)


@pytest.mark.parametrize("name", ["a.safetensors", "a:b@c.safetensors", "é=1 .safetensors"])
@pytest.mark.parametrize("scale", ["1", "-0.5", "0.3333333333333333", "1e-05"])
def test_labels_are_read_as_they_are_written(name: str, scale: str) -> None:
    adapter = GivenFile(name, DIGEST, scale)
    assert loras_of(identity(loras=(adapter.label,))) == (adapter,)
    given = GivenFile(name, DIGEST)
    assert transformer_of(identity(options=("tiling=on", f"transformer={given.label}"))) == given


def test_adapters_of_somebody_s_pipeline_have_no_files() -> None:
    assert loras_of(identity(loras=("style", "style@home", "default_0"))) == ()
    assert transformer_of(identity(options=("tiling=on",))) is None


@pytest.mark.parametrize("scale", [1.0, 0.8, 1 / 3, -2.0, 1e-5, 12345.678])
def test_a_scale_is_recorded_as_the_number_that_it_is(scale: float, tmp_path: Path) -> None:
    (adapter,) = loras_of(identity(loras=(Lora(lora_file(tmp_path / "a.safetensors"), scale).label,)))
    assert float(str(adapter.scale)) == scale


def test_a_file_is_found_where_it_was_given_last(tmp_path: Path) -> None:
    first = lora_file(tmp_path / "first.safetensors", seed=41)
    digest = weights_digest([first])
    asked = GivenFile("first.safetensors", digest, "0.5")
    with pytest.raises(ModelError, match=r"^the session was made with first\.safetensors, which was never") as caught:
        all_found([asked])
    assert str(caught.value).endswith(
        "given on this machine: add --lora first.safetensors:0.5 with the path, or --lora none to go on without"
    )
    assert asked.located() == "first.safetensors:0.5"
    remember_file(digest, first)
    second = first.rename(tmp_path / "second.safetensors")
    with pytest.raises(ModelError, match=r"first.safetensors, which is no longer at .*first.safetensors: add --lora"):
        all_found([asked])
    remember_file(digest, second)
    remember_file(digest, second)
    assert files_of(digest) == [second, first]
    assert all_found([asked]) == (f"{second}:0.5",)
    lora_file(second, seed=42)
    with pytest.raises(ModelError, match=r"first.safetensors, which is another file at .*second.safetensors now"):
        all_found([asked])


def test_all_adapters_are_asked_for_where_one_is_missing(tmp_path: Path) -> None:
    here = lora_file(tmp_path / "here.safetensors", seed=43)
    remember_file(weights_digest([here]), here)
    files = [GivenFile("here.safetensors", weights_digest([here]), "1"), GivenFile("not here", DIGEST, "2")]
    with pytest.raises(ModelError, match=r"add --lora here.safetensors:1 --lora 'not here:2' with the path, or"):
        all_found(files)
    with pytest.raises(ModelError, match=r"add --transformer 'x; y' with the path, or --transformer none to go on"):
        all_found([GivenFile("x; y", DIGEST)])
