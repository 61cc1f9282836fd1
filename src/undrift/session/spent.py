"""How far candidates are that are made at once."""

from __future__ import annotations

from collections.abc import Sequence

from undrift.backbones.counter import Counter
from undrift.methods.cost import Cost


class Spent:
    """Evaluations of one candidate, a mean over all of them.

    Those of one method ask for them together, and others each for itself: what the network computes once for several
    counts for each, and what it computes apart for one does not count for the others. So it ends where ``total``
    says, as what the network is asked in all does not.

    Args:
        costs: of the candidates.

    Attributes:
        total: evaluations at the end.
    """

    def __init__(self, costs: Sequence[Cost]) -> None:
        self._costs = [cost.evaluations for cost in costs]
        self._began: dict[int, tuple[Counter, int]] = {}
        self.total = sum(self._costs) // len(self._costs)

    def begin(self, numbers: Sequence[int], counter: Counter) -> None:
        """These candidates are begun, perhaps once more, and ``counter`` counts what they ask for."""
        for number in numbers:
            self._began[number] = counter, counter.evaluations

    def so_far(self) -> int:
        """What is spent; no candidate takes more than its cost, whoever else its counter counts for later."""
        spent = (
            min(self._costs[number], counter.evaluations - before)
            for number, (counter, before) in self._began.items()
        )
        return sum(spent) // len(self._costs)
