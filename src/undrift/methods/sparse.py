"""Evaluating the target where the edit can reach alone, for methods that couple it to a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from torch import Tensor
from torch.nn import functional

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone, Geometry
from undrift.backbones.sparse import SparsePair
from undrift.flow import VelocityField
from undrift.methods.needs import Need

NEGLIGIBLE = 0.05
"""A token whose change is multiplied by less than this is taken to follow the source."""

MARGIN = 1
"""Tokens around those that are reached which are evaluated as well, so that a seam sees the edit on both sides."""

DESCRIPTION = "evaluate the target in tokens the edit can reach alone; the others are seen as the source left them"
"""Of the parameter that turns it on."""

NEED = Need("partial_sites", "set sparse=false")


@contextmanager
def source_and_target(
    backbone: Backbone,
    prompts: tuple[Sequence[str], Sequence[str]],
    geometry: Geometry,
    guidance: tuple[float, float],
    region: Tensor | None = None,
) -> Iterator[tuple[VelocityField, VelocityField]]:
    """The velocities of source and target for the time of a ``with`` block; ask for the source's first.

    Args:
        prompts, guidance: of source and target.
        region: (batch, tokens), what the edit of a token is multiplied by; outside of where it reaches the target's
            velocity is the source's, and costs nothing. None, or a region of everything, evaluates both whole.
    """
    source, target = (backbone.embed(words) for words in prompts)
    tokens = None if region is None else reached(region, geometry)
    if tokens is None or all(len(row) == geometry.tokens for row in tokens):
        yield (
            backbone.velocity_field(source, geometry, guidance[0]),
            backbone.velocity_field(target, geometry, guidance[1]),
        )
        return
    with SparsePair(backbone, source, target, geometry, guidance, tokens).fields() as fields:
        yield fields


def reached(region: Tensor, geometry: Geometry) -> list[Tensor]:
    """Per row the tokens, (n,) int64, whose ``region`` (batch, tokens) is not negligible, and ``MARGIN`` around."""
    grid = (region > NEGLIGIBLE).float().view(-1, 1, geometry.rows, geometry.columns)
    wide = functional.max_pool2d(grid, 2 * MARGIN + 1, 1, MARGIN).flatten(1)
    return [row.nonzero().flatten() for row in wide]


def kept_bytes(model: Architecture, size: tuple[int, int]) -> int:
    """Bytes of the image's keys and values that a step keeps at most, for a picture of ``size`` (width, height)."""
    geometry = model.geometry(size)
    text_alone = replace(geometry, rows=0)
    sites = model.capabilities.partial_sites
    return 2 * sum(model.feature_bytes(site, geometry) - model.feature_bytes(site, text_alone) for site in sites)
