"""The tree of turns as one consistent snapshot: finding turns, walking, drawing. No files, no database."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from undrift.errors import InputError
from undrift.session.model import Turn

Children = dict[str | None, list[Turn]]

RESERVED = ("head", "original")
SHORTEST_PREFIX = 4


@dataclass(frozen=True)
class Tree:
    """All turns of a session at one moment.

    Attributes:
        turns: by id, in the order they were finished; the first is the original.
        head_id: the turn that the next edit continues.
        branch: the branch that follows the head, None if the head left all branches.
        branches: newest turn's id by branch name.
        trail: for a turn the child that was last on the way to the head: where redo goes.
    """

    turns: Mapping[str, Turn]
    head_id: str
    branch: str | None
    branches: Mapping[str, str]
    trail: Mapping[str, str]

    @property
    def original(self) -> Turn:
        return next(iter(self.turns.values()))

    @property
    def head(self) -> Turn:
        return self.turns[self.head_id]

    def turn(self, ref: str | int) -> Turn:
        """The turn that ``ref`` names.

        In this order: ``head``; ``original``; an id; a branch (its newest turn); a number, counted from the original
        along the head's line (its past and what redo would visit), or anywhere if only one turn has it; the
        beginning of an id, at least 4 digits of it.

        Raises:
            InputError: no such turn, or several; the message lists what exists.
        """
        name = str(ref)
        if name == "head":
            return self.head
        if name == "original":
            return self.original
        if name in self.turns:
            return self.turns[name]
        if name in self.branches:
            return self.turns[self.branches[name]]
        found = self._numbered(int(name)) if name.isascii() and name.isdecimal() and len(name) <= 6 else []
        if not found and len(name) >= SHORTEST_PREFIX:
            found = [turn for key, turn in self.turns.items() if key.startswith(name.lower())]
        if len(found) == 1:
            return found[0]
        raise InputError(self._not_found(name, found))

    def path(self, turn: Turn) -> tuple[Turn, ...]:
        """From the original to ``turn``, both included."""
        path = [turn]
        while (parent := path[-1].parent) is not None:
            path.append(self.turns[parent])
        return tuple(reversed(path))

    def line(self) -> tuple[Turn, ...]:
        """The head's past, the head, and what redo would visit."""
        line = list(self.path(self.head))
        while (child := self.trail.get(line[-1].id)) is not None:
            line.append(self.turns[child])
        return tuple(line)

    def children(self, turn: Turn) -> tuple[Turn, ...]:
        """The turns made from ``turn``, oldest first."""
        return tuple(t for t in self.turns.values() if t.parent == turn.id)

    def text(self, width: int = 100) -> str:
        """The tree drawn with one line per turn: ``*`` marks the head, side branches are indented."""
        children: Children = {}
        for turn in self.turns.values():
            children.setdefault(turn.parent, []).append(turn)
        return "\n".join(self._label(turn, indent, width) for turn, indent in self._drawn(children))

    def _drawn(self, children: Children) -> Iterator[tuple[Turn, str]]:
        """Turns in drawing order: the main line goes straight on, every other child starts an indented line."""
        left = [(self.original, "")]
        while left:
            turn, indent = left.pop()
            yield turn, indent
            born = children.get(turn.id, [])
            main = self.trail.get(turn.id, born[-1].id if born else "")
            left.extend((child, indent) for child in born if child.id == main)
            left.extend((child, indent + "| ") for child in reversed(born) if child.id != main)

    def _label(self, turn: Turn, indent: str, width: int) -> str:
        names = ", ".join(name for name, tip in self.branches.items() if tip == turn.id)
        mark = "*" if turn.id == self.head_id else "o"
        start = f"{indent}{mark} {turn.number}  {turn.id}  "
        end = f"  [{names}]" if names else ""
        return start + textwrap.shorten(turn.told or "(no prompt)", max(width - len(start) - len(end), 20)) + end

    def _numbered(self, number: int) -> list[Turn]:
        on_line = [turn for turn in self.line() if turn.number == number]
        return on_line or [turn for turn in self.turns.values() if turn.number == number]

    def _not_found(self, name: str, found: list[Turn]) -> str:
        if found:
            return f"'{name}' means several turns: {_listed(found)}; give an id"
        branches = f"; branches: {', '.join(self.branches)}" if self.branches else ""
        known = f"{_listed(list(self.turns.values()))}{branches}; or head, original"
        return f"no turn '{name}' in this session; turns: {known}"


def check_branch(name: str, reserved: Sequence[str] = RESERVED) -> None:
    """Refuse a branch name that could be mistaken for something else.

    Raises:
        InputError: it is; the message says what a name looks like.
    """
    if not re.fullmatch(r"[A-Za-z_][\w./-]{0,63}", name) or name in reserved:
        raise InputError(
            f"branch name '{name}': expected a letter, then letters, digits, '.', '-', '_' or '/', at most 64, "
            f"and neither {' nor '.join(RESERVED)}"
        )


def _listed(turns: list[Turn], limit: int = 12) -> str:
    shown = ", ".join(f"{turn.number} ({turn.id})" for turn in turns[-limit:])
    return f"{'..., ' if len(turns) > limit else ''}{shown}"
