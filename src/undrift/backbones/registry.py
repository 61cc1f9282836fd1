"""Finds the backbone families: every ``Backbone`` that names ``pipeline_classes``, no list to keep."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache

from undrift.backbones.base import Backbone
from undrift.discovery import classes, described, is_subclass, plug_ins

log = logging.getLogger(__name__)


@cache
def families() -> Mapping[str, type[Backbone]]:
    """The backbone class of every pipeline class that can be loaded; plug-ins' after undrift's own."""
    own = classes("undrift.backbones", Backbone)  # type: ignore[type-abstract]
    found = {name: family for family in own for name in family.pipeline_classes}
    for entry, family in plug_ins("undrift.backbones"):
        if not is_subclass(family, Backbone):
            log.warning("%s is left out: it is %r, expected a subclass of Backbone", described(entry), family)
            continue
        for name in family.pipeline_classes:  # type: ignore[attr-defined]
            if found.setdefault(name, family) is not family:  # type: ignore[arg-type]
                log.warning("%s does not load %s: undrift does already", described(entry), name)
    return dict(sorted(found.items()))
