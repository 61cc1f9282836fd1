"""Weights in one file: networks in their authors' own layout or GGUF, and whole checkpoints of Stable Diffusion."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from undrift.backbones.folder import ModelFolder
from undrift.backbones.placement import Placement
from undrift.backbones.weights import AUTHORS_LAYERS, read_header
from undrift.errors import ModelError
from undrift.files import open_regular

FIRST_LAYERS = ("img_in.weight", "model.diffusion_model.img_in.weight", "x_embedder.weight")
"""What the layer is called, in the known layouts of FLUX.1, that takes the noisy picture's channels."""

_UNET, _VAE, _TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model."

CHECKPOINTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "StableDiffusionPipeline": {"unet": _UNET, "vae": _VAE, "text_encoder": _TEXT},
        "StableDiffusionXLPipeline": {
            "unet": _UNET,
            "vae": _VAE,
            "text_encoder": "conditioner.embedders.0.",
            "text_encoder_2": "conditioner.embedders.1.",
        },
    }
)
"""By pipeline what the tensors of each part are called by in a whole checkpoint, as its authors publish it."""

FIRST_CONVOLUTION = "model.diffusion_model.input_blocks.0.0.weight"
FILLS_MASKS = 9
"""Input channels of Stable Diffusion's inpainting models."""

OTHERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "StableDiffusionPipeline": {"conditioner.": "Stable Diffusion XL", "control_model.": "a ControlNet"},
        "StableDiffusionXLPipeline": {_TEXT: "Stable Diffusion 1 or 2", "control_model.": "a ControlNet"},
    }
)
"""By pipeline what tensors are called by in checkpoints of something else that looks alike."""

TITLES = MappingProxyType(
    {"StableDiffusionPipeline": "Stable Diffusion 1 or 2", "StableDiffusionXLPipeline": "Stable Diffusion XL"}
)

SCALED: Mapping[str, str] = MappingProxyType(
    {
        "scaled_fp8": "numbers of eight bits with scales of their own",
        ".scale_weight": "numbers of eight bits with scales of their own",
        ".weight_scale": "numbers of eight bits with scales of their own",
        ".comfy_quant": "weights that ComfyUI quantised",
        ".absmax": "weights of four bits by bitsandbytes",
        ".qweight": "weights of four bits by Nunchaku",
    }
)
"""What tensors' names end in, in files whose other tensors mean nothing without them, and diffusers does not heed."""

CHANNELS: Mapping[int, str] = MappingProxyType(
    {
        384: "FLUX.1 Fill, which fills masks: use FLUX.1-dev, and --only for a mask",
        128: "FLUX.1 Control (depth or canny), which is steered by a control picture: use FLUX.1-dev",
    }
)
"""Input channels of transformers of FLUX.1's shape that take more than a noisy picture."""


def check_channels(name: str, pipeline_class: str, channels: object) -> None:
    """Raises ModelError if the transformer of a FLUX.1 has the input ``channels`` of a model for something else."""
    if pipeline_class == "FluxPipeline" and isinstance(channels, int) and channels in CHANNELS:
        raise ModelError(f"{name} has {channels} input channels: it is {CHANNELS[channels]}")


def check_file(file: Path, pipeline_class: str) -> None:
    """Check that a file can be the transformer of a pipeline.

    Raises:
        ModelError: it is none, is damaged, or one of another model; GGUF without the package that reads it.
    """
    if not file.is_file():
        raise ModelError(f"no file {file}: expected a transformer's weights, as safetensors or GGUF")
    if file.suffix == ".gguf":
        if importlib.util.find_spec("gguf") is None:
            raise ModelError(f"{file} needs the package gguf: pip install 'undrift[gguf]'")
        with open_regular(file) as stream:
            if stream.read(4) != b"GGUF":
                raise ModelError(f"{file} is damaged (no GGUF header): download it again")
        return
    if file.suffix != ".safetensors":
        raise ModelError(f"{file} is neither safetensors nor GGUF: convert it, other formats can run code when read")
    _, tensors = read_header(file)
    if any("lora" in name for name in tensors):
        raise ModelError(f"{file} is a LoRA: give it with --lora")
    for ending, what in SCALED.items():
        if any(name.endswith(ending) for name in tensors):
            raise ModelError(f"{file} holds {what}, which are not read here: give a GGUF of it, or one in 16 bits")
    for layer in FIRST_LAYERS:
        if layer in tensors:
            check_channels(str(file), pipeline_class, int(tensors[layer]["shape"][-1]))
    if pipeline_class in CHECKPOINTS:
        _check_checkpoint(file, pipeline_class, tensors)


def check_held(folder: ModelFolder, quantize: str) -> None:
    """Raises ModelError where weights would be recorded as quantised, and not be.

    What its own file holds quantised stays as it is, a GGUF transformer or a part that was saved so; the other large
    parts are quantised beside it.
    """
    if quantize == "none":
        return
    file = folder.file
    packed = [part for part in folder.weighty_parts() if folder.packed(part)]
    if packed and not folder.quantizable():
        what = f"{file} is" if file is not None else f"{', '.join(packed)} of {folder.name} were saved"
        raise ModelError(f"{what} quantised already, and no other part is large: leave out --quantize {quantize}")


def _check_checkpoint(file: Path, pipeline_class: str, tensors: Mapping[str, Any]) -> None:
    for prefix, what in OTHERS[pipeline_class].items():
        if any(name.startswith(prefix) for name in tensors):
            raise ModelError(f"{file} is a checkpoint of {what}, expected one of {TITLES[pipeline_class]}")
    if FIRST_CONVOLUTION in tensors and int(tensors[FIRST_CONVOLUTION]["shape"][1]) == FILLS_MASKS:
        raise ModelError(
            f"{file} has {FILLS_MASKS} input channels: it is a model that fills masks: use the one that it was made"
            " from, and --only for a mask"
        )


def replaced_parts(folder: ModelFolder, file: Path) -> tuple[str, ...]:
    """The parts of a pipeline whose weights ``file`` holds: its network, and what else a whole checkpoint has."""
    names = read_header(file)[1] if file.suffix == ".safetensors" else ()
    known = CHECKPOINTS.get(folder.pipeline_class, {})
    held = (part for part, prefix in known.items() if any(name.startswith(prefix) for name in names))
    return tuple(dict.fromkeys((folder.network, *(part for part in held if part in folder.parts()))))


def check_tensors(folder: ModelFolder, file: Path) -> None:
    """Check by its layers' names that a file can hold the folder's network, where that lies there to compare.

    Raises:
        ModelError: it holds something else.
    """
    own = {name.partition(".")[0] for each in folder.files(folder.network) for name in read_header(each)[1]}
    if file.suffix == ".gguf" or not own:
        return
    names = read_header(file)[1]
    by_authors = any(name.startswith(AUTHORS_LAYERS) for name in names)
    if not by_authors and own.isdisjoint(name.partition(".")[0] for name in names):
        raise ModelError(f"{file} holds no tensor of a {folder.network} of {folder.name}: it is something else")


def load_parts(folder: ModelFolder, file: Path, given: Mapping[str, Any], placement: Placement) -> dict[str, Any]:
    """The parts with weights of a checkpoint in one file, in the shapes that the folder's configurations say.

    Args:
        folder: configurations and tokenizer.
        file: the weights.
        given: the parts that the file does not hold.
        placement: gives the dtype.

    Raises:
        ModelError: tensors are missing. The libraries raise what they like for another shape.
    """
    import diffusers

    if file.suffix == ".gguf":
        raise ModelError(f"{file} is GGUF, which is read for transformers alone: give a UNet as safetensors")
    unused = {"safety_checker": None, "feature_extractor": None, "image_encoder": None}
    incomplete = ModelError(f"{file} lacks tensors of the model in {folder.path}: download it again")
    try:
        pipe = getattr(diffusers, folder.pipeline_class).from_single_file(
            str(file), config=str(folder.path), dtype=placement.dtype, local_files_only=True, **unused, **given
        )
    except NotImplementedError:  # a tensor that nothing was read into has no data to be converted
        raise incomplete from None
    if any(tensor.is_meta for part in folder.replaced for tensor in pipe.components[part].parameters()):
        raise incomplete
    return {name: pipe.components[name] for name in (*folder.replaced, *given)}


def load_file(folder: ModelFolder, file: Path, cls: Any, placement: Placement) -> Any:
    """The transformer of ``file``, in the shape that the folder's configuration says.

    The libraries raise what they like for another shape.

    Raises:
        ModelError: tensors are missing, or more than there should be.
    """
    options: dict[str, Any] = {"config": str(folder.path), "subfolder": "transformer", "local_files_only": True}
    if file.suffix == ".gguf":
        from diffusers import GGUFQuantizationConfig

        options["quantization_config"] = GGUFQuantizationConfig(compute_dtype=placement.dtype)
    try:
        return cls.from_single_file(str(file), dtype=placement.dtype, **options)
    except LookupError:  # what converts authors' layouts looks for tensors that are not there
        raise ModelError(
            f"{file} has not the tensors of a {cls.__name__}, by its authors' names or diffusers': it is another"
            " model's, or incomplete"
        ) from None
