"""Where attention can be tapped. A backbone declares its sites; taps choose among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SiteKind = Literal["double", "single"]


@dataclass(frozen=True, order=True)
class Site:
    """One attention layer of a flow transformer.

    Attributes:
        kind: ``double`` blocks keep separate weights for text and image, ``single`` blocks share them.
        index: the block's number within its kind, from 0.
    """

    kind: SiteKind
    index: int
