"""Packages that only the benchmark's readers need."""

from __future__ import annotations

import importlib
from typing import Any

from undrift.errors import InputError


def needed(module: str, package: str, purpose: str) -> Any:
    """The module, imported.

    Raises:
        InputError: it is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(f"{purpose} needs {package}: pip install 'undrift[bench]'") from None
