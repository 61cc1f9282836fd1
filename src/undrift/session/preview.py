"""What a turn is going to look like, while it is sampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL import Image

from undrift.backbones.base import Backbone, Latent
from undrift.flow import Observer, StepEnd
from undrift.session.making import stored_latent
from undrift.session.rough import RoughDecoder
from undrift.session.store import Session

Show = Callable[[Sequence[Image.Image], int, int], None]
"""Takes the pictures, one per row of the state, the step's number from 1, and how many steps there are."""

Decode = Callable[[Latent], Image.Image]
"""From a latent of one row to a picture."""


class Preview(Observer):
    """Shows where the straight line through the state ends, x0 = x - sigma v, decoded.

    It reads the states of the sampling alone and changes nothing: the turn is the same to the bit. Each picture costs
    one decoding and no evaluation.
    """

    def __init__(
        self, backbone: Backbone, size: tuple[int, int], show: Show, every: int = 1, decode: Decode | None = None
    ) -> None:
        """
        Args:
            backbone: what the turn runs on.
            size: (width, height) of the session's pictures.
            show: is called during the turn; what it raises (``Cancelled``, say) ends the turn.
            every: show each n-th step; the last step's picture is about to be the turn's and is not shown.
            decode: makes the pictures, see ``decoder``; by default the backbone.
        """
        self._geometry = backbone.geometry(size)
        self._show, self._every = show, max(1, every)
        self._decode = decode or (lambda latent: backbone.decode(latent)[0])

    def end(self, event: StepEnd) -> None:
        number, count = event.step.index + 1, event.step.count
        if event.step.inverting or number == count or number % self._every:
            return
        rows = (Latent(row.unsqueeze(0), self._geometry) for row in event.image_estimate)
        self._show([self._decode(row) for row in rows], number, count)


def decoder(session: Session, backbone: Backbone) -> Decode | None:
    """What previews of a session's turns are decoded by: the backbone, unless its parts are moved to be used.

    Then its VAE would push the transformer off the device and back for every picture, 24 GB each way for FLUX.1, and
    ``RoughDecoder`` takes its place, made of the original and the head; None where neither has a latent that the
    backbone understands, and nothing can be shown.
    """
    if backbone.placement is None or not backbone.placement.moves:
        return lambda latent: backbone.decode(latent)[0]
    turns = {turn.id: turn for turn in (session.original, session.head)}.values()
    latents = [(session.picture(turn), stored_latent(session, turn, backbone)) for turn in turns]
    known = [(picture, latent) for picture, latent in latents if latent is not None]
    return RoughDecoder(known).picture if known else None
