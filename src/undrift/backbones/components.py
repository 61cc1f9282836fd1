"""Loads the parts of a pipeline folder through their own classes, and says clearly why one cannot be loaded."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from typing import Any, Literal

from undrift.backbones.adapters import add_loras
from undrift.backbones.compiling import compile_blocks
from undrift.backbones.folder import ModelFolder
from undrift.backbones.libraries import explained, quiet
from undrift.backbones.placement import Placement
from undrift.backbones.quantizing import check_saved, quantization, quantized_in_place
from undrift.backbones.single_file import CHECKPOINTS, load_file, load_parts
from undrift.errors import ModelError

log = logging.getLogger(__name__)

Library = Literal["diffusers", "transformers"]


def load_model(folder: ModelFolder, part: str, cls: Any, placement: Placement) -> Any:
    """A part with weights, in the placement's dtype, and quantised as it says where the part is large.

    Args:
        folder, part: which.
        cls: the part's class, of diffusers or transformers.
        placement: gives dtype and quantisation; the part is not moved yet.

    Raises:
        ModelError: weights missing, pickled, damaged or not the class's.
    """
    if part in folder.replaced and folder.file is not None:
        with explained(folder.file), quiet():
            made = load_file(folder, folder.file, cls, placement)
            _quantize_file(folder, made, placement)
        placement.settle(made)
    else:
        made = _whole(folder, part, cls, placement)
    return _adapted(folder, made) if part == folder.network else made


def load_checkpoint(folder: ModelFolder, placement: Placement) -> dict[str, Any]:
    """The parts with weights of a pipeline of which the folder's ``file`` replaces some, by their names.

    Raises:
        ModelError: a part is missing, damaged, or another model's.
    """
    assert folder.file is not None
    others = (part for part in CHECKPOINTS[folder.pipeline_class] if part not in folder.replaced)
    given = {part: load_part(folder, part, placement) for part in others}
    with explained(folder.file), quiet():
        parts = load_parts(folder, folder.file, given, placement)
        _quantize_file(folder, parts[folder.network], placement)
    for part in folder.replaced:
        placement.settle(parts[part])
    return {**parts, folder.network: _adapted(folder, parts[folder.network])}


def _quantize_file(folder: ModelFolder, network: Any, placement: Placement) -> None:
    """Quantise the network that was read from a file, which the libraries do for folders alone."""
    if placement.quantize != "none" and not folder.packed(folder.network):
        with placement.current():
            quantized_in_place(network, placement)


def _adapted(folder: ModelFolder, network: Any) -> Any:
    """The network with the folder's adapters."""
    if folder.loras:
        add_loras(folder, network)
    return network


def _whole(folder: ModelFolder, part: str, cls: Any, placement: Placement) -> Any:
    folder.check_weights(part)
    _check_class(folder, part, cls)
    options: dict[str, Any] = {"dtype": placement.dtype, "use_safetensors": True, "local_files_only": True}
    if (variant := folder.variant(part)) is not None:
        options["variant"] = variant
    check_saved(folder, part, placement.device)
    if not folder.quantized(part) and folder.is_large(part) and placement.quantize != "none":
        options["quantization_config"] = quantization(cls, placement)
    with explained(folder.path / part), quiet(), placement.current():
        model, info = cls.from_pretrained(folder.path / part, output_loading_info=True, **options)
    absent, left = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
    if absent:
        raise ModelError(f"{folder.path / part} lacks {len(absent)} tensors, '{absent[0]}' first: download it again")
    if left and part == folder.network:
        log.warning(
            "%s holds %d tensors that its config.json has no place for, '%s' first: they are left out",
            folder.path / part,
            len(left),
            left[0],
        )
    placement.settle(model)
    return model


def _check_class(folder: ModelFolder, part: str, cls: Any) -> None:
    """Raises ModelError where diffusers saved a part as another class than the family's, which is another model's."""
    saved = folder.part_config(part).get("_class_name")
    if isinstance(saved, str) and saved != cls.__name__:
        raise ModelError(
            f"{folder.path / part} holds a {saved}, expected a {cls.__name__}: it is the {part} of another model"
        )


def load_part(folder: ModelFolder, part: str, placement: Placement) -> Any:
    """A part with weights, by the class that the index names; see ``load_model``.

    Raises:
        ModelError: as ``load_model``, or the class is unknown here.
    """
    folder.part(part)
    library, class_name = folder.index[part]
    known = importlib.import_module(library) if library in ("diffusers", "transformers") else None
    cls = getattr(known, class_name, None)
    if cls is None:
        raise ModelError(f"{folder.name}: class {library}.{class_name} of its {part} is unknown here")
    return load_model(folder, part, cls, placement)


def load_pipeline(folder: ModelFolder, placement: Placement) -> Any:
    """diffusers' own pipeline of a folder, its large parts quantised and all of them placed.

    Raises:
        ModelError: a part is missing, damaged or unknown.
    """
    import diffusers

    cls = getattr(diffusers, folder.pipeline_class)
    if "processor" in folder.parts() and importlib.util.find_spec("torchvision") is None:
        raise ModelError(f"{folder.name} reads pictures with torchvision, which is not here: pip install torchvision")
    parts = {part: load_part(folder, part, placement) for part in folder.weighty_parts()}
    with explained(folder.path / "model_index.json"), quiet():
        pipe = cls.from_pretrained(folder.path, local_files_only=True, **parts)
    pipe.set_progress_bar_config(disable=True)
    if placement.compiled:
        compile_blocks(pipe.transformer)
    if placement.cache is not None:
        raise ModelError(f"{folder.name} runs in diffusers' own pipeline, which no cache is for: leave out --cache")
    with placement.explained():
        _put(pipe, placement)
    return pipe


def _put(pipe: Any, placement: Placement) -> None:
    if placement.offload == "model":
        pipe.enable_model_cpu_offload(device=placement.device)
    elif placement.offload == "group":
        stream = placement.device.type == "cuda"
        pipe.enable_group_offload(onload_device=placement.device, offload_type="leaf_level", use_stream=stream)
    else:
        pipe.to(placement.device)


def load_tokenizer(folder: ModelFolder, part: str) -> Any:
    """A tokenizer by the class that the index names.

    Raises:
        ModelError: it is missing, unreadable or cannot tell where its pieces lie in the text.
    """
    import transformers

    path = folder.part(part)
    library, class_name = folder.index[part]
    cls = getattr(transformers, class_name, None) if library == "transformers" else None
    if cls is None:
        raise ModelError(f"{folder.name}: tokenizer class {library}.{class_name} is unknown to transformers")
    with explained(folder.path / part), quiet():
        loaded = cls.from_pretrained(path, local_files_only=True)
        # A processor of pictures and text holds the tokenizer beside others.
        tokenizer = getattr(loaded, "tokenizer", loaded)
    if not tokenizer.is_fast:
        raise ModelError(f"{path} holds a slow tokenizer: expected a fast one with tokenizer.json")
    return tokenizer
