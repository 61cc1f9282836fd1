"""Random walks over a session against a model in plain Python."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.memory import memory_folder
from tests.support.sessions import append, start
from undrift.errors import InputError
from undrift.session.store import Session


class SessionMachine(RuleBasedStateMachine):
    """The model knows turns by the order they were made: parents, head, branches, and where the head has been."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=memory_folder())) / "s"
        self.session = start(self.folder)
        self.ids = [self.session.original.id]
        self.parents: list[int | None] = [None]
        self.head = 0
        self.branches = {"main": 0}
        self.branch: str | None = "main"
        self.visits: list[int] = [0]

    def teardown(self) -> None:
        shutil.rmtree(self.folder.parent)

    def ancestors(self, turn: int) -> list[int]:
        path = [turn]
        while (parent := self.parents[path[-1]]) is not None:
            path.append(parent)
        return path

    def move(self, turn: int) -> None:
        self.head = turn
        self.visits.append(turn)

    def redo_target(self) -> int | None:
        """The child of the head on the way to the place visited last, of all places below the head."""
        for place in reversed(self.visits):
            path = self.ancestors(place)
            if self.head in path[1:]:
                return path[path.index(self.head) - 1]
        return None

    @rule()
    def edit(self) -> None:
        turn = append(self.session, len(self.ids))
        self.parents.append(self.head)
        self.ids.append(turn.id)
        self.move(len(self.ids) - 1)
        if self.branch is not None:
            self.branches[self.branch] = self.head

    @rule(data=st.data())
    def edit_elsewhere(self, data: st.DataObject) -> None:
        parent = data.draw(st.integers(0, len(self.ids) - 1))
        turn = append(self.session, len(self.ids), self.ids[parent])
        self.parents.append(parent)
        self.ids.append(turn.id)
        if parent != self.head:
            self.branch = None
        self.move(len(self.ids) - 1)
        if self.branch is not None:
            self.branches[self.branch] = self.head

    @rule()
    def undo(self) -> None:
        parent = self.parents[self.head]
        if parent is None:
            with pytest.raises(InputError, match="nothing to undo"):
                self.session.undo()
        else:
            assert self.session.undo().id == self.ids[parent]
            self.move(parent)

    @rule()
    def redo(self) -> None:
        target = self.redo_target()
        if target is None:
            with pytest.raises(InputError, match="nothing to redo"):
                self.session.redo()
        else:
            assert self.session.redo().id == self.ids[target]
            self.move(target)

    @rule(data=st.data())
    def checkout(self, data: st.DataObject) -> None:
        turn = data.draw(st.integers(0, len(self.ids) - 1))
        self.session.checkout(self.ids[turn])
        self.move(turn)
        self.branch = None

    @rule(data=st.data())
    def checkout_branch(self, data: st.DataObject) -> None:
        self.branch = data.draw(st.sampled_from(sorted(self.branches)))
        self.session.checkout(self.branch)
        self.move(self.branches[self.branch])

    @precondition(lambda self: len(self.branches) < 4)
    @rule(data=st.data())
    def start_branch(self, data: st.DataObject) -> None:
        turn = data.draw(st.integers(0, len(self.ids) - 1))
        name = f"branch-{len(self.branches)}"
        self.session.branch(name, self.ids[turn])
        self.branches[name] = turn
        self.branch = name
        self.move(turn)

    @rule()
    def reopen(self) -> None:
        self.session = Session.open(self.folder)

    @invariant()
    def session_equals_model(self) -> None:
        tree = self.session.tree()
        assert list(tree.turns) == self.ids
        parents = [None if p is None else self.ids[p] for p in self.parents]
        assert [turn.parent for turn in tree.turns.values()] == parents
        assert tree.head_id == self.ids[self.head]
        assert tree.branch == self.branch
        assert tree.branches == {name: self.ids[turn] for name, turn in self.branches.items()}
        assert [turn.id for turn in tree.path(tree.head)] == [
            self.ids[i] for i in reversed(self.ancestors(self.head))
        ]
        assert len(tree.text().splitlines()) == len(self.ids)
        assert not self.session.unfinished()


TestSessionMachine = SessionMachine.TestCase
TestSessionMachine.settings = settings(
    max_examples=12, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
