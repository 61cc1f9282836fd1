"""Seeds that nobody chose: drawn by chance, and known beforehand by whoever prepares for them."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from threading import Lock

SEEDS = 2**32
MOST_KNOWN = 64


class Seeds:
    """Draws a seed for a turn from each parent; the next one can be looked at before it is drawn.

    The seeds that were looked at last, of ``MOST_KNOWN`` parents, are remembered.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, int] = OrderedDict()
        self._lock = Lock()

    def coming(self, parent: str) -> int:
        """What the next turn from the turn ``parent`` draws in this process, if it is not too long until then."""
        with self._lock:
            seed = self._known.setdefault(parent, secrets.randbelow(SEEDS))
            self._known.move_to_end(parent)
            while len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
            return seed

    def drawn(self, parent: str) -> int:
        """A seed for a turn from the turn ``parent``."""
        with self._lock:
            known = self._known.pop(parent, None)
        return secrets.randbelow(SEEDS) if known is None else known


seeds = Seeds()
"""Those of this process."""
