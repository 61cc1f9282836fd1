"""Further anchors of an edit: pictures whose look it is to take on, beside the original and the turn before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from undrift.flow import combine_anchors
from undrift.flow.control import Gain

LEAST = 1e-6
"""Stands in for a weight of 0 in a mean, which needs one; at a pull of 0 it moves nothing."""


@dataclass(frozen=True)
class Reference:
    """A picture that an edit is pulled towards.

    Attributes:
        latent: packed, (batch, tokens, channels).
        weight: the share of the pull that it has at a token, (batch, tokens) in [0, 1].
    """

    latent: Tensor
    weight: Tensor


def share_of(references: Sequence[Reference]) -> Tensor:
    """s, the references' share of the pull: the sum of their weights, at most 1; (batch, tokens, 1)."""
    total = sum((reference.weight for reference in references[1:]), references[0].weight)
    return total.clamp(max=1.0).unsqueeze(-1)


def anchored(anchors: Sequence[Tensor], weights: Sequence[float], references: Sequence[Reference]) -> Tensor:
    """The one anchor for ``anchors``, whose ``weights`` sum to 1, and ``references``.

    sum_i (1 - s) w_i a_i + sum_j r_j b_j, over the sum of its weights: references take their share s, and what is
    left is the anchors' own. Source: arXiv 2505.04320, Proposition 1, with weights per token.
    """
    if not references:
        return combine_anchors(anchors, weights)
    left = 1.0 - share_of(references)
    own: list[Gain] = [left * weight for weight in weights]
    others: list[Gain] = [reference.weight.unsqueeze(-1) for reference in references]
    return combine_anchors([*anchors, *(reference.latent for reference in references)], [*own, *others])


def mean_of(references: Sequence[Reference]) -> Tensor:
    """sum_j r_j b_j / sum_j r_j, (batch, tokens, channels); where none weighs anything, all count alike."""
    weights: list[Gain] = [reference.weight.clamp(min=LEAST).unsqueeze(-1) for reference in references]
    return combine_anchors([reference.latent for reference in references], weights)
