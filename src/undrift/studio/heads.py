"""Where a session's head goes when somebody clicks: undo, redo, going to a turn, keeping a candidate."""

from __future__ import annotations

from undrift.session.model import Turn
from undrift.session.store import Session
from undrift.session.tree import Tree
from undrift.studio.forms import HeadForm


def move(session: Session, form: HeadForm) -> Turn:
    """Move the head as ``form`` says, starting from the turn that its page shows.

    Raises:
        InputError: nothing to undo or to redo there, or no such turn.
    """
    tree = session.tree()
    turn = tree.turn(form.turn)
    if form.step == "keep":
        return keep(session, tree, turn)
    # Another page may have moved the head; a step is taken from where this one is.
    if turn.id != tree.head_id:
        session.checkout(reference(tree, turn))
    if form.step == "here":
        return turn
    return session.undo() if form.step == "undo" else session.redo()


def keep(session: Session, tree: Tree, turn: Turn) -> Turn:
    """Go on with ``turn``; a branch that ended at another candidate of it ends here from now on."""
    siblings = {t.id for t in tree.turns.values() if t.parent == turn.parent and t.id != turn.id}
    tips = [name for name in _by_preference(tree) if tree.branches[name] in siblings]
    if not tips or turn.id in tree.branches.values():
        return session.checkout(reference(tree, turn))
    session.place({tips[0]: turn.id}, turn.id, tips[0])
    return turn


def reference(tree: Tree, turn: Turn) -> str:
    """What to check out for ``turn``: a branch that ends there, so that the branch goes on, else its id."""
    return next((name for name in _by_preference(tree) if tree.branches[name] == turn.id), turn.id)


def _by_preference(tree: Tree) -> list[str]:
    """Branch names, the followed one first."""
    return sorted(tree.branches, key=lambda name: name != tree.branch)
