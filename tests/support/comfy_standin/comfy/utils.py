"""Stands in for ComfyUI's module: a node's progress bar."""

from __future__ import annotations

shown: list[tuple[int, int]] = []
"""What bars showed, of how much."""


class ProgressBar:
    """A bar; what is beyond its end is its end."""

    def __init__(self, total: int, node_id: str | None = None) -> None:
        self.total = total

    def update_absolute(self, value: int, total: int | None = None, preview: object = None) -> None:
        """Show ``value``."""
        shown.append((min(value, self.total), self.total))
