"""What is told in JSON, by pictures, latents and folders of models, is read, or refused."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from tests.fuzz.harness import attempt, damaged, fuzzed
from tests.support.memory import memory_folder
from tests.support.toy import ToyBackbone, toy_picture
from undrift.backbones.folder import ModelFolder, read_folder
from undrift.pictures import png_bytes
from undrift.session import latents
from undrift.session.latents import StoredLatent
from undrift.session.provenance import Recorded, recall

NUMBERS: list[Any] = [0, -1, 2**31, 2**70, 1e300, float("inf"), float("nan")]
plain: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.sampled_from(NUMBERS), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


@st.composite
def altered(draw: st.DrawFn, original: Any) -> Any:
    """``original`` with some of its values, on any level, replaced, left out or put beside others."""
    value = json.loads(json.dumps(original))
    for _ in range(draw(st.integers(0, 3))):
        place = value
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or draw(st.booleans()):
                if draw(st.booleans()):
                    place[key] = draw(plain)
                else:
                    del place[key]
                break
            place = place[key]
    return value


SPEC = {
    "source_prompt": "a cat",
    "target_prompt": "a dog",
    "words": ["dog"],
    "method": "toy",
    "preset": "default",
    "params": {"steps": 2, "ranks": [1, 2]},
    "dial": 0.0,
    "seed": 1,
    "model": "toy",
    "weights_hash": "toy-weights",
    "dtype": "fp32",
    "device": "cpu",
    "versions": {"undrift": "0.1"},
}
METADATA = {
    "format": 1,
    "software": "undrift",
    "prompt": "a dog",
    "turns": [
        {"number": 0, "kind": "original", "prompt": "a cat", "spec": None},
        {"number": 1, "kind": "edit", "prompt": "a dog", "spec": SPEC},
    ],
}


@fuzzed
@given(altered(METADATA))
def test_recorded_turns(metadata: Any) -> None:
    data = png_bytes(Image.new("L", (1, 1)), metadata)
    found = attempt("recorded turns", lambda: recall(data))
    if isinstance(found, Recorded):
        assert all(turn.spec is None or 0 <= turn.spec.seed < 2**32 for turn in found.turns)


@cache
def latent() -> tuple[bytes, dict[str, Any], torch.Tensor]:
    backbone = ToyBackbone()
    made = backbone.encode([toy_picture(16, 8)])
    data = latents.to_bytes(made, backbone)
    return data, latents._about(data), made.packed


@st.composite
def latent_files(draw: st.DrawFn) -> bytes:
    data, about, packed = latent()
    if draw(st.booleans()):
        return draw(damaged([data]))
    text = json.dumps(draw(altered(about)))
    stored: bytes = save({"packed": packed}, metadata={"undrift": text})
    return stored


@fuzzed
@given(latent_files())
def test_latents(data: bytes) -> None:
    found = attempt("latents", lambda: latents.from_bytes(data, ToyBackbone()))
    maker = attempt("makers of latents", lambda: latents.maker_of(data))
    if isinstance(found, StoredLatent):
        assert found.latent.packed.shape[1] == found.latent.geometry.tokens
        assert found.latent.packed.isfinite().all()
    assert maker is None or all(isinstance(name, str) and name for name in maker)  # type: ignore[attr-defined]


INDEX = {
    "_class_name": "FluxPipeline",
    "transformer": ["diffusers", "FluxTransformer2DModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "tokenizer": [None, None],
    "../victim": ["diffusers", "AutoencoderKL"],
}
EXTRA = {
    "tuned": {"multi_turn": {"guidance": 2.0}},
    "vital_sites": [["double", 0], ["single", 3]],
    "vocabulary": ["cat", "dog"],
    "notes": "drawn",
}


def looked_through(folder: Path) -> ModelFolder:
    found = read_folder(folder, "a model")
    for part in found.parts():
        found.check_weights(part)
    assert found.resident_bytes(4) >= 0
    assert found.weights_hash
    assert found.vital_sites is None or all(site.kind for site in found.vital_sites)
    return found


@fuzzed
@given(altered(INDEX), altered(EXTRA), damaged([save({"x": torch.zeros(2, 3)})]))
def test_folders_of_models(index: Any, extra: Any, weights: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=memory_folder()) as name:
        folder, victim = Path(name) / "model", Path(name) / "victim"
        for part in ("transformer", "vae"):
            (folder / part).mkdir(parents=True)
            (folder / part / "x.safetensors").write_bytes(weights)
        victim.mkdir()
        (victim / "x.safetensors").write_bytes(b"secret")
        (folder / "model_index.json").write_text(json.dumps(index))
        (folder / "undrift.json").write_text(json.dumps(extra))
        found = attempt("folders of models", lambda: looked_through(folder))
        if isinstance(found, ModelFolder):
            assert victim not in {file.resolve().parent for file in found.weight_files()}
