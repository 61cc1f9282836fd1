"""LoRA adapters, in diffusers' own keys and in those that diffusers converts (kohya, BFL, XLabs)."""

from __future__ import annotations

import importlib.util
import inspect
import logging
import warnings
from pathlib import Path
from typing import Any

from undrift.backbones.folder import Lora, ModelFolder
from undrift.backbones.weights import read_header
from undrift.errors import InputError, ModelError
from undrift.files import named

log = logging.getLogger(__name__)


def parse_lora(text: str) -> Lora:
    """``FILE`` or ``FILE:SCALE`` as an adapter.

    Raises:
        InputError: a scale that is no number.
        ModelError: no such file, or none of an adapter.
    """
    path, colon, scale = text.rpartition(":")
    if not colon or named(text).is_file():
        path, scale = text, "1"
    try:
        value = float(scale)
    except ValueError:
        raise InputError(f"--lora {text}: expected FILE or FILE:SCALE, such as style.safetensors:0.8") from None
    if not abs(value) <= 100:
        raise InputError(f"--lora {text}: expected a scale from -100 to 100")
    return Lora(_checked(named(path).expanduser()), value)


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
    pipe = cls(**{**empty, folder.network: network})
    names = [f"lora_{number}" for number in range(len(folder.loras))]
    for name, lora in zip(names, folder.loras, strict=True):
        state, alphas = _of_network(cls, lora, folder.network, network)
        with warnings.catch_warnings():
            # Several adapters are what was asked for.
            warnings.filterwarnings("ignore", "Already found a `peft_config` attribute", UserWarning)
            if folder.network == "unet":
                # Its pipeline would forget the alphas of a state that is converted already.
                cls.load_lora_into_unet(state, alphas, network, adapter_name=name, _pipeline=pipe)
            else:
                pipe.load_lora_weights(state, adapter_name=name)
        if name not in getattr(network, "peft_config", {}):
            raise ModelError(f"{lora.path} changes no layer of {folder.name}: it is for another model")
    pipe.set_adapters(names, [lora.scale for lora in folder.loras])


def _of_network(cls: Any, lora: Lora, network: str, module: Any) -> tuple[dict[str, Any], Any]:
    """What the file holds for the network, and the alphas by which the scales of its layers are reckoned."""
    # Of a UNet's configuration its pipeline tells how kohya counts the blocks.
    shape = {"unet_config": module.config} if network == "unet" else {}
    given = cls.lora_state_dict(str(lora.path), local_files_only=True, **shape)
    state, alphas = given[:2] if isinstance(given, tuple) else (given, None)
    kept = {key: value for key, value in state.items() if key.startswith(f"{network}.")}
    if not kept:
        raise ModelError(f"{lora.path} holds nothing for a {network} of a {cls.__name__}: it is for another model")
    if len(kept) < len(state):
        log.warning("%s: its text encoder's part is left out, the %s's is used", lora.path, network)
    return kept, alphas
