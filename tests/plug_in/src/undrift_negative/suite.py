"""A suite: one grey picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from undrift.bench.case import Case, Task
from undrift.bench.suites.base import Suite


class GreyCase(Case):
    """A picture of one grey, and one turn."""

    id = "grey"
    tasks = (Task("grey", "another grey", "tone"),)

    def original(self) -> Image.Image:
        return Image.new("RGB", (32, 32), (55, 55, 55))


class Greys(Suite):
    """The one case."""

    name = "greys"
    title = "Greys"
    needs_data = False

    def cases(self) -> Sequence[Case]:
        return [GreyCase()]
