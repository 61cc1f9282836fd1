"""How alike the tokens of a picture are to a network."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor
from torch.nn import functional

from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap, Projections
from undrift.errors import InputError


class TokenLikeness(AttentionTap):
    """The cosines between the values of a picture's tokens, less their mean; the mean over the layers that are seen.

    Features inside of a diffusion model find one thing again without having been trained to (DIFT, arXiv 2306.03881).
    Of queries, keys and values, values parted things from what is around them best on LittleWorld (docs/studio.md).
    Layers in which the image has no values of its own, one per token of the grid, are passed over: cross-attention,
    and other resolutions. The first row of the batch is looked at.

    Args:
        tokens: of the grid.
        sites: at which layers to look.
    """

    def __init__(self, tokens: int, sites: Collection[Site]) -> None:
        self._tokens, self._sites = tokens, frozenset(sites)
        self._sum: Tensor | None = None
        self._layers = 0

    @property
    def cosines(self) -> Tensor:
        """(tokens, tokens) float32 in [-1, 1].

        Raises:
            InputError: no layer was seen that has a value for every token of the grid.
        """
        if self._sum is None:
            raise InputError("this model has no layer that tells which parts of a picture are alike")
        return self._sum / self._layers

    def wants(self, site: Site) -> bool:
        return site in self._sites

    def project(self, site: Site, projections: Projections) -> Projections:
        image = projections.value[0, projections.text_tokens :]
        if image.shape[0] == self._tokens:
            values = image.flatten(1).float()
            directions = functional.normalize(values - values.mean(0), dim=-1)
            cosines = directions @ directions.T
            self._sum = cosines if self._sum is None else self._sum + cosines
            self._layers += 1
        return projections
