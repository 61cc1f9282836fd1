"""undrift: edit a picture over many turns with text, and keep everything else where it was.

Names are loaded on first use, so that ``import undrift`` is quick and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from undrift.backbones import from_pipeline, load
    from undrift.backbones.base import Backbone
    from undrift.errors import UndriftError
    from undrift.instructions import Reading, understand
    from undrift.methods.base import EditMethod, EditRequest, EditResult
    from undrift.methods.registry import all_methods, method
    from undrift.pictures import read_picture
    from undrift.session.ahead import prepare
    from undrift.session.canvas import Frame
    from undrift.session.engine import EditPlan, run_together, run_turn, start_session
    from undrift.session.extending import extend
    from undrift.session.model import Turn
    from undrift.session.references import Look
    from undrift.session.store import Session

__version__ = "0.1.0"

_HOMES = {
    "Backbone": "undrift.backbones.base",
    "EditMethod": "undrift.methods.base",
    "EditPlan": "undrift.session.engine",
    "EditRequest": "undrift.methods.base",
    "EditResult": "undrift.methods.base",
    "Frame": "undrift.session.canvas",
    "Look": "undrift.session.references",
    "Reading": "undrift.instructions",
    "Session": "undrift.session.store",
    "Turn": "undrift.session.model",
    "UndriftError": "undrift.errors",
    "all_methods": "undrift.methods.registry",
    "extend": "undrift.session.extending",
    "from_pipeline": "undrift.backbones",
    "load": "undrift.backbones",
    "method": "undrift.methods.registry",
    "prepare": "undrift.session.ahead",
    "read_picture": "undrift.pictures",
    "run_together": "undrift.session.engine",
    "run_turn": "undrift.session.engine",
    "start_session": "undrift.session.engine",
    "understand": "undrift.instructions",
}

__all__ = [
    "Backbone",
    "EditMethod",
    "EditPlan",
    "EditRequest",
    "EditResult",
    "Frame",
    "Look",
    "Reading",
    "Session",
    "Turn",
    "UndriftError",
    "__version__",
    "all_methods",
    "extend",
    "from_pipeline",
    "load",
    "method",
    "prepare",
    "read_picture",
    "run_together",
    "run_turn",
    "start_session",
    "understand",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'undrift' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
