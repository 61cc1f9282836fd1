"""What a turn is going to look like, while it is sampled."""

from __future__ import annotations

import math
from collections.abc import Callable

from PIL import Image

from undrift.backbones.base import Backbone, Geometry, Latent
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
        self._backbone, self._size, self._show, self._every = backbone, size, show, max(1, every)

    def end(self, event: StepEnd) -> None:
        number, count = event.step.index + 1, event.step.count
        if event.step.inverting or number == count or number % self._every:
            return
        latent = event.image_estimate[:1]
        geometry = grid_of(self._size, latent.shape[1])
        self._show(self._backbone.decode(Latent(latent, geometry))[0], number, count)


def grid_of(size: tuple[int, int], tokens: int) -> Geometry:
    """The grid of ``tokens`` square tokens that covers a picture of ``size`` (width, height).

    The smallest power of two as a token's side that needs no more tokens than there are.
    """
    width, height = size
    side = 1
    while (rows := math.ceil(height / side)) * (columns := math.ceil(width / side)) > tokens:
        side *= 2
    return Geometry(height=height, width=width, rows=rows, columns=columns)
