"""The one interface through which anything looks into, or changes, a backbone's attention.

A backbone installs taps with a context manager (``Backbone.tapped``) and always removes them; meanwhile every
integration tells them of its steps. Tensors have the
shape (batch, sequence, heads, head_dim); the first ``text_tokens`` of the sequence are the prompt, the rest
the image, whatever order the model itself has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from undrift.attention.sites import Site
from undrift.flow import Observer


@dataclass(frozen=True)
class Projections:
    """Query, key and value of one attention layer, after QK normalisation and before rotary embedding.

    Where the image attends to the prompt alone (cross-attention), keys and values are the prompt's only, and zeros
    stand for the queries of its rows, whose outputs nobody uses. Where it attends to itself alone ``text_tokens`` is
    0.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    text_tokens: int


class AttentionTap(Observer):
    """Captures, highlights or injects. Override what is needed; the defaults change nothing.

    Being an ``Observer`` an installed tap hears of the steps from ``integrate``; the backbone announces each
    evaluation of the network through ``evaluation``.

    Class attributes:
        both_branches: see the attention of the negative branch of guidance too, where that takes an evaluation of its
            own: for taps that know no prompt. No tap is told of that evaluation.
    """

    both_branches: ClassVar[bool] = False

    def wants(self, site: Site) -> bool:
        """Whether this tap is to be called at ``site``. Sites nobody wants run the backbone's own code."""
        return True

    @property
    def idle(self) -> bool:
        """Whether the next evaluation is, bit for bit, what it would be without this tap, which learns nothing from
        it. A tap that says so has that evaluation announced and sees none of its attention; it may not even be run:
        another one already gave its result.
        """
        return False

    def evaluation(self, sigma: float) -> None:
        """Called before each evaluation of the network, with the sigma it is evaluated at."""

    def project(self, site: Site, projections: Projections) -> Projections:
        """The projections to use instead, before rotary embedding."""
        return projections

    def attend(
        self,
        site: Site,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        text_tokens: int,
        mask: Tensor | None = None,
    ) -> Tensor | None:
        """The attention's output (batch, sequence, heads, head_dim), after rotary embedding; None leaves it to the
        backbone. At most one tap of those installed together may answer at a site.

        ``mask`` is as in ``undrift.attention.kernel``; whoever answers has to heed it.
        """
        return None
