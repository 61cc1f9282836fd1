"""Where attention can be tapped. A backbone declares its sites; taps choose among them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Site:
    """One attention layer of a network, written ``kind.index``.

    Attributes:
        kind: the family's own word, such as FLUX's ``double`` and ``single`` blocks. What a layer is good for is
            said by ``Capabilities``, never by this.
        index: the layer's number within its kind, from 0.
    """

    kind: str
    index: int

    def __str__(self) -> str:
        return f"{self.kind}.{self.index}"
