"""What a turn is going to look like, while it is sampled."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from undrift.backbones.base import Backbone, Latent
from undrift.flow import Observer, StepEnd

Show = Callable[[Image.Image, int, int], None]
"""Takes the picture, the step's number from 1, and how many steps there are."""


class Preview(Observer):
    """Shows where the straight line through the state ends, x0 = x - sigma v, decoded.

    It reads the states of the sampling alone and changes nothing: the turn is the same to the bit. Each picture costs
    one decoding and no evaluation. Of a batch, the first row is shown.
    """

    def __init__(self, backbone: Backbone, size: tuple[int, int], show: Show, every: int = 1) -> None:
        """
        Args:
            backbone: what the turn runs on.
            size: (width, height) of the session's pictures.
            show: is called during the turn; what it raises (``Cancelled``, say) ends the turn.
            every: show each n-th step; the last step's picture is about to be the turn's and is not shown.
        """
        self._backbone, self._geometry = backbone, backbone.geometry(size)
        self._show, self._every = show, max(1, every)

    def end(self, event: StepEnd) -> None:
        number, count = event.step.index + 1, event.step.count
        if event.step.inverting or number == count or number % self._every:
            return
        latent = Latent(event.image_estimate[:1], self._geometry)
        self._show(self._backbone.decode(latent)[0], number, count)
