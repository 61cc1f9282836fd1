"""Stands in for ComfyUI's documented interface for nodes of the schema V3: as much of it as undrift's nodes use.

Names, argument names and defaults are ComfyUI's; an argument that it does not have is an error here too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from . import _io as io


class ComfyExtension(ABC):
    """What a package of nodes gives to the loader."""

    @abstractmethod
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """The nodes."""


__all__ = ["ComfyExtension", "io"]
