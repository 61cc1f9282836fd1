"""What is said of turns once they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from undrift.backbones.counter import Counter
from undrift.cli.output import say
from undrift.flow import Observer
from undrift.methods.base import EditMethod
from undrift.session.model import Turn
from undrift.session.prompts import nothing_steers
from undrift.session.spent import Spent
from undrift.session.store import Session
from undrift.session.together import Watcher
from undrift.wording import one_line


class Told(Watcher):
    """Keeps the turns as they are made, and says what there is to say of them, each note once.

    Args:
        session: whose turns.
        known: those that were there before.

    Attributes:
        turns: those of finished batches, in the order of their plans.
        stored: how many turns are stored.
        methods: of the batch that is being made.
        spent: counts what it asks of the network.
    """

    def __init__(self, session: Session, known: Mapping[str, Turn]) -> None:
        self._session, self._known = session, dict(known)
        self._said: set[str] = set()
        self._made: dict[int, Turn] = {}
        self.turns: list[Turn] = []
        self.stored = 0
        self.methods: Sequence[EditMethod] = ()
        self.spent: Spent | None = None

    def observers(self, numbers: Sequence[int], counter: Counter) -> Sequence[Observer]:
        if self.spent is not None:
            self.spent.begin(numbers, counter)
        return ()

    def made(self, number: int, turn: Turn) -> None:
        self._made[number] = self._known[turn.id] = turn
        self.stored += 1

    def tell(self) -> None:
        """The batch is over."""
        for number, turn in sorted(self._made.items()):
            self.turns.append(turn)
            for note in _notes(self._session, self.methods[number], turn, self._known):
                if note not in self._said:  # candidates say it once
                    self._said.add(note)
                    say(f"note: {note}", err=True)
        self._made = {}


def _notes(session: Session, method: EditMethod, turn: Turn, known: Mapping[str, Turn]) -> list[str]:
    """What somebody should know of a turn that was made."""
    return [note for note in (_unsteered(method, turn), _unchanged(session, turn, known)) if note is not None]


def _unsteered(method: EditMethod, turn: Turn) -> str | None:
    return None if turn.spec is None else nothing_steers(method, turn.spec)


def _unchanged(session: Session, turn: Turn, known: Mapping[str, Turn]) -> str | None:
    """In a line, that a turn has left every pixel as it was; None if it has not, or its parent is not ``known``."""
    parent = known.get(turn.parent or "")
    if parent is None or turn.drift_previous is None or turn.drift_previous.psnr is not None:
        return None
    if session.picture(turn).tobytes() != session.picture(parent).tobytes():
        return None
    advice = "say more of what is new, or turn the dial to obeying (--dial -0.5)"
    return f"turn '{one_line(turn.prompt)}' changed nothing: {advice}"
