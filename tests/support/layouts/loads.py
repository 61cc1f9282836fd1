"""Layouts that load, made of tiny pipelines, each with what its velocity is held to."""

from __future__ import annotations

import importlib.util
import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.support import tiny_flux, tiny_pipelines
from tests.support.adapters import lora_file
from tests.support.flux2_layout import authors_layout
from tests.support.pieces import save_with_pieces
from tests.support.weight_files import gguf_file, transformer_weights
from undrift.backbones import Backbone, Geometry

Given = dict[str, Any]
"""What ``undrift.load`` takes for a layout: its name, and where it has them the transformer, adapters and dtype."""

GRID = Geometry(height=40, width=24, rows=5, columns=3, token_side=8)
PROMPT = "a red cat on the grass"
BF16 = 2.0**-8
"""Half a unit in the last place of a bfloat16 of size 1; float16 is finer."""

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "": torch.float32}


@dataclass(frozen=True)
class Layout:
    """One way to hold a model.

    Attributes:
        family: of the tiny pipeline that it is made of.
        make: writes it, of a pipeline's folder, to a new place.
        bar: how far its velocity may lie from the pipeline's: how exactly it keeps the weights, times what a random
            network of this size makes of it. None for another model than the pipeline, which must have the very same
            velocity as what diffusers alone makes of the layout.
        package: that it needs and undrift does not.
    """

    family: str
    make: Callable[[Path, Path], Given]
    bar: float | None = 0.0
    package: str = ""

    @property
    def is_here(self) -> bool:
        """Whether its package is installed."""
        return not self.package or importlib.util.find_spec(self.package) is not None


def velocity(backbone: Backbone) -> Tensor:
    """One velocity, whose noise and prompt are the same for all."""
    noise = torch.randn(1, GRID.tokens, 16, generator=torch.Generator().manual_seed(6))
    return backbone.velocity_field(backbone.embed([PROMPT]), GRID, 1.0)(noise, 0.6)


def by_diffusers(given: Given) -> Any:
    """The pipeline that diffusers alone makes of a layout."""
    from diffusers import DiffusionPipeline

    dtype = DTYPES[given.get("dtype", "")]
    parts = {"transformer": _transformer(given, dtype)} if "transformer" in given else {}
    pipe = DiffusionPipeline.from_pretrained(given["name"], dtype=dtype, **parts)
    adapters = [text.rpartition(":") for text in given.get("loras", ())]
    names = [f"lora_{number}" for number in range(len(adapters))]
    for name, (file, _, _) in zip(names, adapters, strict=True):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config` attribute", UserWarning)
            pipe.load_lora_weights(file, adapter_name=name)
    if names:
        pipe.set_adapters(names, [float(scale) for _, _, scale in adapters])
    return pipe


def _transformer(given: Given, dtype: torch.dtype) -> Any:
    from diffusers import FluxTransformer2DModel, GGUFQuantizationConfig

    packed = {"quantization_config": GGUFQuantizationConfig(compute_dtype=dtype)}
    return FluxTransformer2DModel.from_single_file(
        str(given["transformer"]),
        config=given["name"],
        subfolder="transformer",
        dtype=dtype,
        **(packed if str(given["transformer"]).endswith(".gguf") else {}),
    )


def plain(source: Path, made: Path) -> Given:
    return {"name": str(shutil.copytree(source, made))}


def built(build: Callable[..., Any], **options: Any) -> Callable[[Path, Path], Given]:
    """Another pipeline than the family's."""

    def make(source: Path, made: Path) -> Given:
        build(**options).save_pretrained(made)
        return {"name": str(made)}

    return make


def variant(name: str, shard: str | None = None) -> Callable[[Path, Path], Given]:
    """Saved with ``variant``, in its number format, in shards where a size is given."""

    def make(source: Path, made: Path) -> Given:
        from diffusers import DiffusionPipeline

        pipe = DiffusionPipeline.from_pretrained(source, dtype=DTYPES[name])
        size = {} if shard is None else {"max_shard_size": shard}
        pipe.save_pretrained(made, variant=name or None, **size)
        return {"name": str(made)}

    return make


def both_variants(source: Path, made: Path) -> Given:
    """Beside the plain weights lies a variant that is another model's."""
    given = plain(source, made)
    for file in list(made.glob("*/*.safetensors")):
        stem = file.name.removesuffix(".safetensors")
        (file.parent / f"{stem}.fp16.safetensors").write_bytes(b"not these")
    return given


def clip_keys(prefix: bool) -> Callable[[Path, Path], Given]:
    """CLIP's weights with and without ``text_model.`` in front, as older and newer libraries save them."""

    def make(source: Path, made: Path) -> Given:
        given = plain(source, made)
        file = made / "text_encoder" / "model.safetensors"
        bare = {key.removeprefix("text_model."): tensor for key, tensor in load_file(file).items()}
        save_file({f"text_model.{key}" if prefix else key: value for key, value in bare.items()}, file)
        return given

    return make


def odd_files(source: Path, made: Path) -> Given:
    """A checkpoint in one file beside the parts, a part that the index does not name, and notes."""
    given = plain(source, made)
    (made / "flux1-dev.safetensors").write_bytes(b"\xff" * 10)
    (made / "controlnet").mkdir()
    (made / "controlnet" / "model.safetensors").write_bytes(b"\xff" * 10)
    (made / "README.md").write_text("# a model")
    return given


def pieces(alone: bool) -> Callable[[Path, Path], Given]:
    """T5's tokenizer as sentencepiece's model, with or without ``tokenizer.json``."""

    def make(source: Path, made: Path) -> Given:
        given = plain(source, made)
        save_with_pieces(made / "tokenizer_2", alone=alone)
        return given

    return make


def emptied(source: Path, made: Path) -> Given:
    """A pipeline whose transformer's weights are not there: another file is to bring them."""
    given = plain(source, made)
    (made / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    return given


def one_file(
    layout: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict, dtype: torch.dtype | None = None
) -> Callable[[Path, Path], Given]:
    """The transformer in one file, in ``layout``."""

    def make(source: Path, made: Path) -> Given:
        file = made.with_suffix(".safetensors")
        state = {key: tensor.to(dtype or tensor.dtype) for key, tensor in layout(transformer_weights(source)).items()}
        save_file(state, file)
        return {**emptied(source, made), "transformer": file}

    return make


def gguf(source: Path, made: Path) -> Given:
    file = gguf_file(made.with_name("tiny-Q8_0.gguf"), transformer_weights(source))
    return {**emptied(source, made), "transformer": file}


def adapters(*scales: float, kohya: bool = False) -> Callable[[Path, Path], Given]:
    """One adapter of its own weights for each of ``scales``."""

    def make(source: Path, made: Path) -> Given:
        given = plain(source, made)
        files = [lora_file(made / f"{number}.safetensors", kohya, number) for number in range(len(scales))]
        return {**given, "loras": [f"{file}:{scale}" for file, scale in zip(files, scales, strict=True)]}

    return make


def gguf_and_adapter(source: Path, made: Path) -> Given:
    return {**gguf(source, made), "loras": [f"{lora_file(made / 'style.safetensors')}:0.5"]}


def saved_by_torchao(config: str) -> Callable[[Path, Path], Given]:
    """The transformer quantised before it was saved."""

    def make(source: Path, made: Path) -> Given:
        from diffusers import FluxTransformer2DModel, TorchAoConfig

        given = plain(source, made)
        quantize = getattr(importlib.import_module("torchao.quantization"), config)()
        network = FluxTransformer2DModel.from_pretrained(
            source / "transformer", quantization_config=TorchAoConfig(quantize), dtype=torch.bfloat16
        )
        shutil.rmtree(made / "transformer")
        network.save_pretrained(made / "transformer")
        return {**given, "dtype": "bf16"}

    return make


def edit(file: Path, **changes: Any) -> None:
    """Change values in a configuration."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


LOADS: dict[str, Layout] = {
    "flux": Layout("flux", plain),
    "flux in shards": Layout("flux", variant("", "30KB")),
    "flux, variant fp16": Layout("flux", variant("fp16"), 8 * BF16),
    "flux, variant bf16": Layout("flux", variant("bf16"), 64 * BF16),
    "flux, variant fp16 in shards": Layout("flux", variant("fp16", "20KB"), 8 * BF16),
    "flux, variant bf16 in shards": Layout("flux", variant("bf16", "20KB"), 64 * BF16),
    "flux, plain and variant": Layout("flux", both_variants),
    "flux, CLIP keys with a prefix": Layout("flux", clip_keys(True)),
    "flux, CLIP keys without one": Layout("flux", clip_keys(False)),
    "flux, other files beside": Layout("flux", odd_files),
    "flux, T5 with spiece.model alone": Layout("flux", pieces(True), None),
    "flux, T5 with spiece.model and tokenizer.json": Layout("flux", pieces(False)),
    "flux, schnell": Layout(
        "flux", built(tiny_flux.pipeline, guidance=False, use_dynamic_shifting=False, shift=1.0), None
    ),
    "flux, one file": Layout("flux", one_file()),
    "flux, one file in eight bits": Layout("flux", one_file(dtype=torch.float8_e4m3fn), None),
    "flux, GGUF": Layout("flux", gguf, None),
    "flux, LoRA": Layout("flux", adapters(0.5), None),
    "flux, LoRA in kohya's keys": Layout("flux", adapters(0.5, kohya=True), None),
    "flux, two LoRAs": Layout("flux", adapters(1.0, -0.25), None),
    "flux, GGUF and LoRA": Layout("flux", gguf_and_adapter, None),
    "flux, saved in int8": Layout("flux", saved_by_torchao("Int8WeightOnlyConfig"), None, "torchao"),
    "flux, saved in fp8": Layout("flux", saved_by_torchao("Float8WeightOnlyConfig"), None, "torchao"),
    "sd3": Layout("sd3", plain),
    "sd3 in shards": Layout("sd3", variant("", "30KB")),
    "sd3, variant fp16": Layout("sd3", variant("fp16"), 8 * BF16),
    "sd3, one file": Layout("sd3", one_file()),
    "flux2": Layout("flux2", plain),
    "flux2 in shards": Layout("flux2", variant("", "30KB")),
    "flux2, variant bf16": Layout("flux2", variant("bf16"), 64 * BF16),
    "flux2, one file in its authors' layout": Layout("flux2", one_file(authors_layout)),
    "flux2, distilled": Layout("flux2", built(tiny_pipelines.flux2_klein, distilled=True), None),
    "flux2, dev": Layout("flux2", built(tiny_pipelines.flux2_dev), None),
    "qwen_image": Layout("qwen_image", plain),
    "qwen_image, variant bf16": Layout("qwen_image", variant("bf16"), 64 * BF16),
    "qwen_image, one file": Layout("qwen_image", one_file()),
}
"""By what they are called in the table of docs/models.md."""
