"""Finds the backbone families: every ``Backbone`` that names ``pipeline_classes``, no list to keep."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import undrift.backbones as package
from undrift.backbones.base import Backbone
from undrift.discovery import classes


@cache
def families() -> Mapping[str, type[Backbone]]:
    """The backbone class of every pipeline class that can be loaded."""
    found = {name: family for family in classes(package, Backbone) for name in family.pipeline_classes}  # type: ignore[type-abstract]
    return dict(sorted(found.items()))
