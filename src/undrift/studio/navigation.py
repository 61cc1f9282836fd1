"""Where a session's head goes when somebody clicks: undo, redo, going to a turn, keeping a candidate."""

from __future__ import annotations

from undrift.session.model import Turn
from undrift.session.next_turn import followed, keep
from undrift.session.store import Session
from undrift.studio.forms import HeadForm


def move(session: Session, form: HeadForm) -> Turn:
    """Move the head as ``form`` says, starting from the turn that its page shows.

    Raises:
        InputError: nothing to undo or to redo there, or no such turn.
    """
    if form.step == "keep":
        return keep(session, form.turn)
    tree = session.tree()
    turn = tree.turn(form.turn)
    # Another page may have moved the head; a step is taken from where this one is.
    if turn.id != tree.head_id:
        session.checkout(followed(tree, turn))
    if form.step == "here":
        return turn
    return session.undo() if form.step == "undo" else session.redo()
