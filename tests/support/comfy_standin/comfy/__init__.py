"""Stands in for ComfyUI's package of this name: as much of it as undrift's nodes use."""
