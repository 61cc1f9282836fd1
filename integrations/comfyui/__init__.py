"""undrift's nodes for ComfyUI: put or link this folder into ``ComfyUI/custom_nodes`` as ``undrift``."""

from comfy_api.latest import ComfyExtension, io

from .nodes import NODES


class UndriftExtension(ComfyExtension):
    """What ComfyUI asks for the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """The nodes."""
        return list(NODES)


async def comfy_entrypoint() -> UndriftExtension:
    """Called by ComfyUI's node loader."""
    return UndriftExtension()
