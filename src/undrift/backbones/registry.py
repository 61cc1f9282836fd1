"""Finds the backbone families: every ``Backbone`` that names ``pipeline_classes``, no list to keep."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

import undrift.backbones as package
from undrift.backbones.base import Backbone


@cache
def families() -> Mapping[str, type[Backbone]]:
    """The backbone class of every pipeline class that can be loaded."""
    found: dict[str, type[Backbone]] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for value in vars(importlib.import_module(f"{package.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Backbone):
                found.update(dict.fromkeys(value.pipeline_classes, value))
    return dict(sorted(found.items()))
