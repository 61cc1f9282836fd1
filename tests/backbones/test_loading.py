"""Loading: what works, and every way in which it cannot work with the one line that says so."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import psutil  # type: ignore[import-untyped]
import pytest
import torch
from huggingface_hub import errors as hub
from safetensors.torch import save_file

from undrift.attention.sites import Site
from undrift.backbones import hub as hub_models
from undrift.backbones import load
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.folder import read_folder
from undrift.backbones.locate import existing, locate
from undrift.backbones.weights import read_header
from undrift.errors import InputError, ModelError
from undrift.littleworld.weights import model_path

HUB_ID = "someone/some-flux"


@pytest.fixture
def folder(tiny_flux_folder: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(tiny_flux_folder, tmp_path / "broken"))


def weights(folder: Path, part: str = "transformer") -> Path:
    return next((folder / part).glob("*.safetensors"))


def edit_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_folder_loads_in_float32_on_the_cpu(tiny_flux_folder: Path) -> None:
    backbone = load(str(tiny_flux_folder), device="cpu")
    files = sorted(tiny_flux_folder.glob("*/*.safetensors"))
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    identity = backbone.identity
    assert (identity.name, identity.dtype, identity.device) == (str(tiny_flux_folder), "float32", "cpu")
    assert identity.weights_hash == digest[:16]
    assert backbone.capabilities.guidance == "embedded"
    assert backbone.sites == (*(Site("double", i) for i in range(2)), *(Site("single", i) for i in range(2)))
    assert backbone.tuned == {}


def test_a_folder_called_like_an_embedded_model_is_named_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "littleworld-sd").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate("littleworld-sd").path == model_path("littleworld-sd")
    assert existing("littleworld-sd") is None, "else a script would name the folder, and sessions would open it"
    assert existing("./littleworld-sd") == Path("littleworld-sd")


def test_the_hash_follows_the_weights_and_nothing_else(folder: Path) -> None:
    before = read_folder(folder, "x").weights_hash
    (folder / "README.md").write_text("changed")
    (folder / "other.safetensors").write_bytes(b"not a part")
    assert read_folder(folder, "x").weights_hash == before
    content = bytearray(weights(folder).read_bytes())
    content[-1] ^= 1
    weights(folder).write_bytes(content)
    assert read_folder(folder, "x").weights_hash != before


@pytest.mark.slow
def test_large_files_enter_the_hash_by_samples_of_every_tensor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undrift.backbones.weights.HASH_WHOLE_UP_TO", 10)
    monkeypatch.setattr("undrift.backbones.weights.SAMPLE_BYTES", 4)
    file, plain = weights(folder), weights(folder).read_bytes()
    before = read_folder(folder, "x").weights_hash
    length, tensors = read_header(file)
    for tensor in tensors.values():
        start, end = (8 + length + offset for offset in tensor["data_offsets"])
        for place in (start, end - 1):
            file.write_bytes(plain[:place] + bytes([plain[place] ^ 1]) + plain[place + 1 :])
            assert read_folder(folder, "x").weights_hash != before
    file.write_bytes(plain.replace(b"x_embedder.bias", b"y_embedder.bias"))
    assert read_folder(folder, "x").weights_hash != before
    file.write_bytes(plain)
    assert read_folder(folder, "x").weights_hash == before


def test_undrift_json_brings_tuned_parameters_vital_sites_and_notes(folder: Path) -> None:
    tuned = {"multi_turn": {"steps": 6}}
    extra = {"tuned": tuned, "vital_sites": [["double", 1], ["single", 0]], "notes": "drawn world"}
    (folder / "undrift.json").write_text(json.dumps(extra))
    backbone = load(str(folder), device="cpu")
    assert backbone.tuned == tuned
    assert backbone.capabilities.vital_sites == (Site("double", 1), Site("single", 0))
    assert backbone.capabilities.notes == "drawn world"


def test_dtype_names_of_the_ecosystem_work(tiny_flux_folder: Path) -> None:
    assert load(str(tiny_flux_folder), device="cpu", dtype="bf16").identity.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flux", "no model 'flux': expected 'littleworld', an existing folder, or a hub id such as black-forest"),
        ("./absent/folder", "no model './absent/folder': expected"),
        ("/absent/folder", "no model '/absent/folder': expected"),
    ],
)
def test_a_name_that_means_nothing(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(name)


def test_a_file_and_a_folder_of_something_else(tmp_path: Path) -> None:
    file = tmp_path / "flux.safetensors"
    file.write_bytes(b"")
    with pytest.raises(ModelError, match=r"flux.safetensors is damaged \(no safetensors header\): download it again"):
        load(str(file))
    save_file({"x": torch.zeros(1)}, file)
    with pytest.raises(ModelError, match=r"flux.safetensors is a file of weights, no folder: give its pipeline"):
        load(str(file))
    with pytest.raises(ModelError, match=r"has no model_index.json: expected the folder of a diffusers pipeline"):
        load(str(tmp_path))


def _not_json(folder: Path) -> None:
    (folder / "model_index.json").write_text("{")


def _no_flux(folder: Path) -> None:
    edit_json(folder / "model_index.json", _class_name="KolorsPipeline")


def _no_vae_folder(folder: Path) -> None:
    shutil.rmtree(folder / "vae")


def _no_t5_in_index(folder: Path) -> None:
    edit_json(folder / "model_index.json", text_encoder_2=[None, None])


def _no_weights(folder: Path) -> None:
    weights(folder).unlink()


def _pickled(folder: Path) -> None:
    weights(folder).rename(folder / "transformer" / "diffusion_pytorch_model.bin")


def _truncated(folder: Path) -> None:
    weights(folder).write_bytes(weights(folder).read_bytes()[:-100])


def _corrupt(folder: Path) -> None:
    weights(folder).write_bytes(b"\xff" * 1000)


def _empty(folder: Path) -> None:
    weights(folder).write_bytes(b"")


def _missing_shard(folder: Path) -> None:
    index = {"weight_map": {"a": weights(folder).name, "b": "part-2.safetensors"}}
    (folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def _no_shards(folder: Path) -> None:
    (folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json").write_text('{"weight_map": []}')


def _unusual_name(folder: Path) -> None:
    weights(folder).rename(folder / "transformer" / "flux1-dev.safetensors")


def _other_family(folder: Path) -> None:
    edit_json(folder / "transformer" / "config.json", _class_name="SD3Transformer2DModel")


def _other_shapes(folder: Path) -> None:
    edit_json(folder / "transformer" / "config.json", num_attention_heads=3)


def _more_blocks(folder: Path) -> None:
    edit_json(folder / "transformer" / "config.json", num_layers=3)


def _no_config(folder: Path) -> None:
    (folder / "vae" / "config.json").unlink()


def _unknown_tokenizer(folder: Path) -> None:
    edit_json(folder / "model_index.json", tokenizer=["transformers", "NoSuchTokenizer"])


def _tokenizer_without_files(folder: Path) -> None:
    (folder / "tokenizer_2" / "tokenizer.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_not_json, r"model_index.json cannot be read: Expecting"),
        (_no_flux, r"broken is a KolorsPipeline: expected one of Flux2KleinPipeline, .*FluxPipeline"),
        (_no_vae_folder, r"lacks the part 'vae': .* is incomplete, download it again"),
        (_no_t5_in_index, r"lacks the part 'text_encoder_2'"),
        (_no_weights, r"transformer holds no weights \(\*.safetensors\): download .* again"),
        (_pickled, r"transformer holds pickled weights only, which can run code when read: convert them"),
        (_truncated, r"is damaged \(\d+ bytes, expected \d+\): download it again"),
        (_corrupt, r"is damaged \(no safetensors header\): download it again"),
        (_empty, r"is damaged \(no safetensors header\): download it again"),
        (_missing_shard, r"part-2.safetensors is missing: download .* again"),
        (_no_shards, r"index.json names no shards \(weight_map\): download it again"),
        (_unusual_name, r"flux1-dev.safetensors has a name that no library looks for: expected model.safetensors or"),
        (_other_family, r"transformer holds a SD3Transformer2DModel, expected a FluxTransformer2DModel"),
        (_other_shapes, r"transformer cannot be loaded: "),
        (_more_blocks, r"transformer lacks \d+ tensors, 'transformer_blocks.2.* first: download it again"),
        (_no_config, r"vae holds weights and no config.json: download .* again"),
        (_unknown_tokenizer, r"tokenizer class transformers.NoSuchTokenizer is unknown"),
        (_tokenizer_without_files, r"tokenizer_2 cannot be loaded: "),
    ],
)
def test_a_broken_folder_says_what_is_wrong(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load(str(folder), device="cpu")
    assert "\n" not in str(caught.value)


def test_every_part_is_looked_at_before_the_first_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T5 is read first, in minutes; that a shard of the transformer is missing is told before."""
    monkeypatch.setattr(FluxBackbone, "from_folder", lambda *_: pytest.fail("a part is read"))
    _missing_shard(folder)
    with pytest.raises(ModelError, match=r"part-2.safetensors is missing"):
        load(str(folder), device="cpu")


class _Trap:
    """Unpickling this writes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os.mkdir, (str(self._path),)


def test_pickles_are_never_read(folder: Path, tmp_path: Path) -> None:
    weights(folder).unlink()
    torch.save(_Trap(tmp_path / "sprung"), folder / "transformer" / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled weights only"):
        load(str(folder), device="cpu")
    assert not (tmp_path / "sprung").exists()


RESPONSE: Any = SimpleNamespace(headers={}, request=None)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            hub.GatedRepoError("403", response=RESPONSE),
            f"{HUB_ID} is gated: accept its licence at https://huggingface.co/{HUB_ID}, then run 'hf auth login'",
        ),
        (
            hub.RepositoryNotFoundError("404", response=RESPONSE),
            "is neither a local folder nor public on the hub: check the name, or run 'hf auth login'",
        ),
        (hub.RevisionNotFoundError("404", response=RESPONSE), "has no revision 'v9'"),
        (
            hub.LocalEntryNotFoundError("offline"),
            r"is not on this machine and cannot be downloaded \(offline\): check the network, or give a local folder",
        ),
        (ConnectionError("no route to host"), r"cannot be downloaded \(no route to host\)"),
        (OSError(28, "No space left on device"), r"cannot be downloaded \(.*No space left on device\)"),
    ],
)
def test_hub_trouble_is_explained(monkeypatch: pytest.MonkeyPatch, error: Exception, message: str) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(ModelError, match=message):
        load(HUB_ID, device="cpu", revision="v9")


def test_a_hub_model_is_identified_by_its_weights(tiny_flux_folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Whatever the commit: a changed README is another one."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = shutil.copytree(tiny_flux_folder, tmp_path / commit)
    asked: dict[str, Any] = {}

    def download(name: str, **options: Any) -> str:
        asked.update(options, name=name)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(hub_models, "_listing", lambda name, commit: None)
    backbone = load(HUB_ID, device="cpu", revision="v1")
    here = backbone.identity
    assert (here.name, here.weights_hash) == (HUB_ID, read_folder(tiny_flux_folder, "x").weights_hash)
    assert here.has_weights(commit[:16]), "as earlier versions recorded it"
    assert not here.has_weights(commit[1:17])
    assert (asked["name"], asked["revision"]) == (HUB_ID, "v1")
    assert not any(pattern.endswith((".bin", ".pt", ".py")) for pattern in asked["allow_patterns"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"dtype": "int4"}, "dtype is 'int4', expected one of: auto, float32"),
        ({"offload": "disk"}, "offload is 'disk', expected one of: none, model, group"),
        ({"quantize": "int3"}, "quantize is 'int3', expected one of: none, nf4, int8, fp8"),
        ({"device": "gpu"}, "device is 'gpu', expected auto, cpu, cuda, cuda:N or mps"),
    ],
)
def test_unknown_options_are_refused(option: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load("littleworld", **option)


def test_offloading_and_quantising_need_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ModelError, match="offload=model needs a CUDA device, the model is to run on cpu: leave it out"
    ):
        load("littleworld", device="cpu", offload="model")
    with pytest.raises(ModelError, match="quantize=nf4 needs a CUDA device"):
        load("littleworld", device="cpu", quantize="nf4")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(
        ModelError, match="device is 'cuda', but no CUDA device is available: use --device cpu or auto"
    ):
        load("littleworld", device="cuda")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ModelError, match=r"quantize=int8 needs the package torchao: pip install 'undrift\[quantize\]'"
    ):
        load("littleworld", device="cuda", quantize="int8")


def test_too_little_memory_is_noticed_before_loading(tiny_flux_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    message = r"needs \d+ KB in float32, main memory has 1000 bytes free: try --dtype bf16"
    with pytest.raises(ModelError, match=message):
        load(str(tiny_flux_folder), device="cpu")
