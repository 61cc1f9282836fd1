"""Puts attention taps into the layers of a transformer, through the processors that its layers carry.

diffusers lets every attention layer carry a *processor*, the function that turns hidden states into the layer's
output. ``installed`` puts a ``TappedProcessor`` on the layers that some tap wants and nothing on the others. What
such a processor computes is the family's own; the rest is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap, Projections
from undrift.errors import InputError


@dataclass
class Running:
    """What processors must know of the evaluation under way and are not told by their layer.

    Attributes:
        tapped: whether the taps see this evaluation; of those at the negative branch of guidance only taps that work
            on ``both_branches`` see the attention.
        text_tokens: how many of the sequence's tokens are text.
    """

    tapped: bool = True
    text_tokens: int = 0


class TappedProcessor:
    """The attention of one layer with its taps asked on the way; a family derives one and gives it ``__call__``.

    A ``__call__`` returns what ``stock`` gives while no tap is ``asked``. Else it makes the projections of
    the whole sequence, **text first** whatever the layer's own order is, passes them through ``projected``, applies
    the rotary embedding, asks ``attended``, computes plain attention itself where the answer is None, and hands the
    streams back in the layer's order. With taps that change nothing its output is ``stock``'s, bit for bit; where the
    layer's own order is another, this takes a ``stock`` that computes text first too.
    """

    def __init__(self, stock: Any, site: Site, taps: tuple[AttentionTap, ...], running: Running) -> None:
        self.stock = stock
        self.site = site
        self.taps = taps
        self.running = running

    @property
    def asked(self) -> tuple[AttentionTap, ...]:
        """The taps that see the evaluation under way and have something to do in it.

        While none has, the layer runs its own code, which neither joins the streams nor keeps projections.
        """
        heard = (tap for tap in self.taps if self.running.tapped or tap.both_branches)
        return tuple(tap for tap in heard if not tap.idle)

    def projected(self, projections: Projections) -> Projections:
        """The projections as the taps leave them, one after another."""
        for tap in self.asked:
            projections = tap.project(self.site, projections)
        return projections

    def attended(
        self, query: Tensor, key: Tensor, value: Tensor, text_tokens: int, mask: Tensor | None
    ) -> Tensor | None:
        """The answer of the one tap that replaces the attention here; None if none does.

        Raises:
            InputError: more than one answers.
        """
        answers = [(tap, tap.attend(self.site, query, key, value, text_tokens, mask)) for tap in self.asked]
        given = [(tap, answer) for tap, answer in answers if answer is not None]
        if len(given) > 1:
            names = " and ".join(type(tap).__name__ for tap, _ in given)
            raise InputError(
                f"{names} both replace the attention of {self.site.kind} block {self.site.index}: install one of them"
            )
        return given[0][1] if given else None


MakeProcessor = Callable[[Any, Site, tuple[AttentionTap, ...]], TappedProcessor]
"""From a layer's stock processor, its site and the taps that want it to the processor that asks them."""


@contextmanager
def installed(
    layers: Mapping[Site, Any], taps: Sequence[AttentionTap], make_processor: MakeProcessor
) -> Iterator[None]:
    """Install ``taps`` on the layers they want and put every layer's processor back, whatever happens inside.

    Taps of an enclosing block stay active and are asked first.

    Args:
        layers: the attention layer of every site, with diffusers' ``processor`` and ``set_processor``.
        taps: to install.
        make_processor: the family's.
    """
    before: dict[Site, Any] = {}
    try:
        for site, layer in layers.items():
            wanting = tuple(tap for tap in taps if tap.wants(site))
            if wanting:
                before[site] = layer.processor
                layer.set_processor(_extended(layer.processor, site, wanting, make_processor))
        yield
    finally:
        for site, processor in before.items():
            layers[site].set_processor(processor)


def _extended(
    processor: Any, site: Site, taps: tuple[AttentionTap, ...], make_processor: MakeProcessor
) -> TappedProcessor:
    if isinstance(processor, TappedProcessor):
        return make_processor(processor.stock, site, (*processor.taps, *taps))
    return make_processor(processor, site, taps)
