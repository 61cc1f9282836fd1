"""Finds the backbone families: every ``Backbone`` that names ``pipeline_classes``, no list to keep."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache

from undrift.backbones.base import Backbone
from undrift.discovery import classes, described, plug_ins, whole
from undrift.errors import InputError

log = logging.getLogger(__name__)


@cache
def families() -> Mapping[str, type[Backbone]]:
    """The backbone class of every pipeline class that can be loaded; plug-ins' after undrift's own."""
    own = classes("undrift.backbones", Backbone)  # type: ignore[type-abstract]
    found = {name: family for family in own for name in family.pipeline_classes}
    for entry, value in plug_ins("undrift.backbones"):
        try:
            family = whole(value, Backbone)  # type: ignore[type-abstract]
        except InputError as error:
            log.warning("%s is left out: %s", described(entry), error)
            continue
        for name in family.pipeline_classes:
            if found.setdefault(name, family) is not family:
                log.warning("%s does not load %s: undrift does already", described(entry), name)
    return dict(sorted(found.items()))
