"""How the last command held a session's model in memory: the next one goes on so, as it is told to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress

from undrift.cli.options import DTYPES, OFFLOADS, PLACEMENT, QUANTIZATIONS, SWITCH, TILINGS, ModelChoice
from undrift.errors import SessionError
from undrift.from_json import from_json
from undrift.session import inside
from undrift.session.model import Loaded, Turn, TurnSpec
from undrift.session.script import DTYPE_OPTIONS
from undrift.session.store import Session

FILE = "placement.json"
"""In the session's folder and in no export: it says what suits this machine."""

CACHE = re.compile(r"(first_block|taylorseer)(:[0-9]{1,4}(\.[0-9]{1,9})?)?")
"""``--cache``, of a session's folder that may be a stranger's."""

DEVICE = re.compile(r"cpu|mps|cuda(:[0-9]{1,3})?")
"""``--device``, of a session's folder as well; chosen automatically, it is another matter."""

_LONGEST = 64 * 1024
_KNOWN = {
    "dtype": DTYPES,
    "offload": OFFLOADS,
    "quantize": QUANTIZATIONS,
    "tiling": TILINGS,
    "compile": SWITCH,
    "text_tokens": ("auto", *map(str, range(1, 513))),
}


def remember(session: Session, choice: ModelChoice) -> None:
    """Have later commands hold the model as this one does; a folder that cannot be written is no failure."""
    with suppress(SessionError):
        inside.write(session.folder, FILE, json.dumps(choice.placement).encode())


def remembered(session: Session, turn: Turn) -> dict[str, str]:
    """How the session's model was held, if it can be held so here: the folder may come from another machine.

    Where no command has said it, in the number format of ``turn``.
    """
    try:
        found = from_json(inside.read(session.folder, FILE, _LONGEST))
    except (SessionError, ValueError):
        return {} if turn.spec is None else recorded(turn.spec)
    said = found.items() if isinstance(found, dict) else ()
    held = {
        name: value
        for name, value in said
        if name in PLACEMENT and isinstance(value, str) and (name == "device" or _known(name, value))
    }
    return held if _can_be_held(held) else {}


def recorded(spec: TurnSpec | Loaded) -> dict[str, str]:
    """How the model was held that made a turn, if its device is here: another one has formats of its own."""
    from undrift.backbones.placement import quantize_option

    if not _is_here(spec.device):
        return {}
    said = (option.partition("=")[::2] for option in spec.options)
    return {
        "dtype": DTYPE_OPTIONS.get(spec.dtype, spec.dtype),
        "device": spec.device,
        "quantize": quantize_option(spec.quantize),
        **{name: value for name, value in said if _known(name, value)},
    }


def _known(name: str, value: str) -> bool:
    """Whether an option, other than the device, takes ``value``."""
    if name == "cache":
        return value == "none" or CACHE.fullmatch(value) is not None
    return value in _KNOWN.get(name, ())


def _can_be_held(held: Mapping[str, str]) -> bool:
    """Whether the device is here; one that was chosen automatically, to move weights or to quantize, is CUDA."""
    plain = all(held.get(name, PLACEMENT[name]) == PLACEMENT[name] for name in ("offload", "quantize"))
    device = held.get("device", PLACEMENT["device"])
    return _is_here(device if device != "auto" else "cpu" if plain else "cuda")


def _is_here(device: str) -> bool:
    import torch

    if not DEVICE.fullmatch(device):
        return False
    kind, _, number = device.partition(":")
    if kind == "cuda":
        return int(number or 0) < torch.cuda.device_count()
    return kind == "cpu" or torch.backends.mps.is_available()
