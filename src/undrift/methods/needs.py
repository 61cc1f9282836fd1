"""What a method cannot do without, asked of the model before a turn starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from undrift.backbones.base import Backbone
from undrift.errors import InputError

Sites = Literal["map_sites", "text_sites", "sharing_sites", "vital_sites", "partial_sites"]

WORDS: Mapping[Sites, str] = MappingProxyType(
    {
        "map_sites": "layers that make attention maps",
        "text_sites": "layers in which the picture attends to the prompt",
        "sharing_sites": "layers that share features",
        "vital_sites": "layers known to be vital",
        "partial_sites": "layers that can be run on some tokens alone",
    }
)


@dataclass(frozen=True)
class Need:
    """Layers of a model, by the field of its ``Capabilities`` that names them.

    Attributes:
        sites: the field.
        without: how to run the method on a model that has none, for the message.
    """

    sites: Sites
    without: str

    def check(self, method: str, backbone: Backbone) -> None:
        """Raises InputError if ``backbone`` has no such layer."""
        if not getattr(backbone.capabilities, self.sites):
            raise InputError(
                f"method '{method}' needs {WORDS[self.sites]} and {backbone.identity.name} has none: {self.without}"
            )
