"""A source's velocity at all tokens and a target's at some, at the cost of those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from undrift.attention.sparse import SharedKeys
from undrift.errors import InputError
from undrift.flow import VelocityField

if TYPE_CHECKING:
    from undrift.backbones.base import Backbone
    from undrift.backbones.conditioning import Conditioning
    from undrift.backbones.geometry import Geometry


class SparsePair:
    """Two velocities of one step: the source's is evaluated whole, the target's at chosen tokens.

    Those attend to the text, to each other, and to what the source's evaluation left of the tokens that were not
    chosen (``SharedKeys``). At these the target's velocity is the source's. That is exact where every token is
    chosen, and where source and target have one prompt and state.

    The source is asked first, then the target at the same sigma. Rows of a batch have tokens of their own, and their
    targets are evaluated one by one, so that a row comes out as it does alone.

    Args:
        backbone: with ``partial_sites`` among its capabilities.
        source, target: the prompts, one per row.
        geometry: of the latents.
        guidance: of source and target.
        tokens: per row the image tokens at which the target is evaluated, (n,) int64 each, each once.
    """

    def __init__(
        self,
        backbone: Backbone,
        source: Conditioning,
        target: Conditioning,
        geometry: Geometry,
        guidance: tuple[float, float],
        tokens: Sequence[Tensor],
    ) -> None:
        if not backbone.capabilities.partial_sites:
            raise InputError(f"{backbone.identity.name} cannot be evaluated at some of its tokens alone")
        self._backbone = backbone
        self._tokens = tuple(tokens)
        self._source = backbone.velocity_field(source, geometry, guidance[0])
        self._inputs = [
            backbone.part_of(backbone.network_inputs(target.take([row]), geometry, guidance[1:]), chosen)
            for row, chosen in enumerate(self._tokens)
        ]
        absent = [_others(chosen, geometry.tokens) for chosen in self._tokens]
        self._tap = SharedKeys(backbone.capabilities.partial_sites, absent)
        self._found: tuple[float, Tensor] | None = None

    @property
    def kept_bytes(self) -> int:
        """Bytes that the source's last evaluation left for the target's."""
        return self._tap.kept_bytes

    @contextmanager
    def fields(self) -> Iterator[tuple[VelocityField, VelocityField]]:
        """Source and target, for the time of a ``with`` block.

        Raises:
            InputError: another tap is installed: it knows sequences of all tokens only.
        """
        if self._backbone.taps:
            names = " and ".join(type(tap).__name__ for tap in self._backbone.taps)
            raise InputError(f"{names} knows evaluations of all tokens only: set sparse=false, or leave it out")
        with self._backbone.tapped(self._tap):
            yield self._source_velocity, self._target_velocity

    def _source_velocity(self, x: Tensor, sigma: float) -> Tensor:
        with self._tap.leaving():
            velocity = self._source(x, sigma)
        self._found = sigma, velocity
        return velocity

    def _target_velocity(self, x: Tensor, sigma: float) -> Tensor:
        if self._found is None or self._found[0] != sigma:
            raise InputError(f"the target at sigma {sigma} needs the source's evaluation at that sigma before it")
        velocity, self._found = self._found[1].clone(), None
        for row, (tokens, inputs) in enumerate(zip(self._tokens, self._inputs, strict=True)):
            if len(tokens):
                with self._tap.taking(row):
                    chosen = x[row : row + 1, tokens]
                    velocity[row, tokens] = self._backbone.evaluate(chosen, sigma, inputs)[0]
        return velocity


def _others(tokens: Tensor, count: int) -> Tensor:
    """The numbers up to ``count`` that ``tokens`` leaves out."""
    left = torch.ones(count, dtype=torch.bool)
    left[tokens.cpu()] = False
    return left.nonzero().flatten()
