"""LoRA adapters, in diffusers' own keys, in those that diffusers converts (kohya, BFL, XLabs), and in peft's."""

from __future__ import annotations

import importlib.util
import inspect
import json
import logging
import math
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from undrift.backbones.folder import Lora, ModelFolder
from undrift.backbones.libraries import explained, quiet
from undrift.backbones.single_file import CHANNELS
from undrift.backbones.weights import read_header
from undrift.errors import InputError, ModelError
from undrift.files import named, open_regular
from undrift.from_json import from_json

log = logging.getLogger(__name__)

PEFT = "adapter_model.safetensors"
"""What peft calls an adapter's file; ``adapter_config.json`` beside it says how strong it was in training."""

OTHERS = ("hada_", "lokr_")
"""What tensors of LyCORIS's other adapters are called by: LoHa and LoKr."""

BARE = ("base_model.model.", "diffusion_model.", "")
"""What peft, ComfyUI and single networks of diffusers put before the name of a layer, in place of its part's."""

METADATA = "lora_adapter_metadata"
"""Under what diffusers writes an adapter's settings into the header of its file."""

CONFIG_BYTES = 2**20


class Held(NamedTuple):
    """What a file holds for a network.

    Attributes:
        state: tensors by name, the part's first.
        alphas: by which the scales of layers are reckoned; None or empty where the tensors have them in already.
        settings: that diffusers stored with it, ``PART.NAME`` each; None without.
    """

    state: dict[str, Tensor]
    alphas: Any
    settings: dict[str, Any] | None


def parse_lora(text: str) -> Lora:
    """``FILE`` or ``FILE:SCALE`` as an adapter; without a scale as strong as it was in training.

    Raises:
        InputError: a scale that is no number.
        ModelError: no such file, or none of an adapter.
    """
    path, colon, scale = text.rpartition(":")
    if not colon or named(text).exists():
        file = _checked(named(text).expanduser())
        return Lora(file, _trained_scale(file))
    try:
        value = float(scale)
    except ValueError:
        raise InputError(f"--lora {text}: expected FILE or FILE:SCALE, such as style.safetensors:0.8") from None
    if not abs(value) <= 100:
        raise InputError(f"--lora {text}: expected a scale from -100 to 100")
    return Lora(_checked(named(path).expanduser()), value)


def _trained_scale(file: Path) -> float:
    """The scale of peft's own adapters: lora_alpha / r, by rsLoRA (arXiv 2312.03732) lora_alpha / sqrt(r)."""
    config = file.with_name("adapter_config.json")
    if file.name != PEFT or not config.is_file():
        return 1.0
    try:
        with open_regular(config) as stream:
            told = from_json(stream.read(CONFIG_BYTES))
        rank, alpha = float(told["r"]), float(told["lora_alpha"])
        scale = alpha / (math.sqrt(rank) if told.get("use_rslora") else rank)
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError):
        scale = math.nan
    if not abs(scale) <= 100:
        raise ModelError(f"{config} does not say how strong {file.name} is (r, lora_alpha): give FILE:SCALE")
    return scale


def _checked(file: Path) -> Path:
    if importlib.util.find_spec("peft") is None:
        raise ModelError(f"--lora {file} needs the package peft: pip install 'undrift[lora]'")
    if file.is_dir():
        inside = sorted(file.glob("*.safetensors"))
        if len(inside) != 1:
            raise ModelError(f"{file} is a folder with {len(inside)} safetensors files: give the adapter's own")
        return _checked(inside[0])
    if not file.is_file() or file.suffix != ".safetensors":
        raise ModelError(f"no adapter {file}: expected a safetensors file")
    _, tensors = read_header(file)
    if any(other in name for name in tensors for other in OTHERS):
        raise ModelError(f"{file} is a LoHa or LoKr of LyCORIS, which are not read here: expected a LoRA")
    if not any("lora" in name for name in tensors):
        raise ModelError(f"{file} is no LoRA: none of its {len(tensors)} tensors is called so")
    return file


def add_loras(folder: ModelFolder, network: Any) -> None:
    """Add the folder's adapters to its network, as diffusers' own pipeline would.

    Raises:
        ModelError: an adapter is for another model.
    """
    import diffusers

    cls = getattr(diffusers, folder.pipeline_class)
    parameters = inspect.signature(cls.__init__).parameters
    empty = {name: None for name, value in parameters.items() if name != "self" and value.default is inspect._empty}
    with quiet():
        pipe = cls(**{**empty, folder.network: network})
    names = [f"lora_{number}" for number in range(len(folder.loras))]
    for name, lora in zip(names, folder.loras, strict=True):
        with explained(lora.path), quiet(), warnings.catch_warnings():
            # Several adapters are what was asked for; layers that are not there are told below.
            warnings.filterwarnings("ignore", "Already found a `peft_config` attribute", UserWarning)
            held = _of_network(cls, lora, folder.network, network)
            _check_layers(lora, held, folder, network)
            _add(pipe, held, folder.network, network, name)
        if name not in getattr(network, "peft_config", {}):
            raise ModelError(f"{lora.path} changes no layer of {folder.name}: it is for another model")
    pipe.set_adapters(names, [lora.scale for lora in folder.loras])


def _add(pipe: Any, held: Held, part: str, network: Any, name: str) -> None:
    # Not by the pipeline's own load_lora_weights, which of tensors that are converted already forgets the settings.
    add = getattr(pipe, f"load_lora_into_{part}")
    alphas = {"network_alphas": held.alphas or {}} if "network_alphas" in inspect.signature(add).parameters else {}
    add(held.state, **{part: network}, adapter_name=name, metadata=held.settings, _pipeline=pipe, **alphas)


def _of_network(cls: Any, lora: Lora, part: str, network: Any) -> Held:
    """What the file holds for the network."""
    # Of a UNet's configuration its pipeline tells how kohya counts the blocks.
    shape = {"unet_config": network.config} if part == "unet" else {}
    given = _with_part(lora.path, part, network)
    source, settings = (str(lora.path), None) if given is None else given
    options = {"return_alphas": True, "return_lora_metadata": True, "local_files_only": True, **shape}
    state, *rest = cls.lora_state_dict(source, **options)
    settings = rest[-1] if settings is None else settings
    kept = {key: value for key, value in state.items() if key.startswith(f"{part}.")}
    if not kept:
        raise ModelError(f"{lora.path} holds nothing for a {part} of a {cls.__name__}: it is for another model")
    if len(kept) < len(state):
        log.warning("%s: its text encoder's part is left out, the %s's is used", lora.path, part)
    own = {key: value for key, value in (settings or {}).items() if key.startswith(f"{part}.")}
    return Held(kept, rest[0] if len(rest) > 1 else None, own or None)


def _with_part(file: Path, part: str, network: nn.Module) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and settings of a file whose layers are called as the network's own, with the part's name before them.

    None for any other file: which layers are meant there is the pipeline's to say.
    """
    from safetensors import safe_open

    layers = {name for name, _ in network.named_modules() if name}
    with safe_open(file, framework="pt") as stream:
        names = list(stream.keys())
        for before in BARE:
            if all(name.startswith(before) and _layer(name.removeprefix(before)) in layers for name in names):
                told = json.loads((stream.metadata() or {}).get(METADATA, "{}"))
                tensors = {f"{part}.{name.removeprefix(before)}": stream.get_tensor(name) for name in names}
                return tensors, {f"{part}.{name}": value for name, value in told.items()}
    return None


def _layer(name: str) -> str:
    """The layer that a tensor in diffusers' keys is for; empty for another tensor."""
    return next((name.partition(mark)[0] for mark in (".lora_A.", ".lora_B.") if mark in name), "")


def _check_layers(lora: Lora, held: Held, folder: ModelFolder, network: nn.Module) -> None:
    """Check that the layers of an adapter are the network's, and tell of some that are not.

    Raises:
        ModelError: none is, or one is of another size.
    """
    layers = dict(network.named_modules())
    for name in held.state:
        if ".lora_A." in name and (other := name.replace(".lora_A.", ".lora_B.")) not in held.state:
            raise ModelError(f"{lora.path} lacks {other}, which '{name}' goes with: download it again")
    asked = {_layer(name): tensor for name, tensor in held.state.items() if ".lora_A." in name}
    found = {name.partition(".")[2]: tensor for name, tensor in asked.items()}
    absent = sorted(name for name in found if name not in layers)
    if absent and len(absent) == len(found):
        raise ModelError(f"{lora.path} changes no layer of {folder.name}: it is for another model")
    for name, tensor in found.items():
        width = getattr(layers.get(name), "in_features", None)
        if isinstance(width, int) and tensor.dim() == 2 and tensor.shape[1] != width:
            raise ModelError(f"{lora.path} {_other_size(name, int(tensor.shape[1]), width, folder)}")
    if absent:
        log.warning(
            "%s: %d of its %d layers are not in %s, '%s' first: it may be for another model",
            *(lora.path, len(absent), len(found), folder.name, absent[0]),
        )


def _other_size(layer: str, given: int, width: int, folder: ModelFolder) -> str:
    if layer == "x_embedder" and given in CHANNELS:
        return f"takes {given} input channels: it is for {CHANNELS[given].partition(':')[0]}, and edits nothing here"
    return f"is for another model: its layer '{layer}' takes {given} numbers, that of {folder.name} {width}"
