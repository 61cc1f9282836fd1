"""Which model made a turn: what its record and its latent both say.

A session may come from anybody. One whose record names one model while its latent names another would be continued
by a model that nobody looking at it expects: such a latent is refused when it is read.
"""

from __future__ import annotations

from undrift.backbones.locate import LITTLEWORLD
from undrift.session import verify
from undrift.session.latents import Maker
from undrift.session.model import Turn
from undrift.session.store import Session


def maker(session: Session, turn: Turn) -> Maker | None:
    """The model that made ``turn``; None where nothing says it.

    Raises:
        SessionError: the record and the latent disagree, or the latent is none.
    """
    return verify.made_by(turn, session.latent(turn))


def usual_model(session: Session, turn: Turn) -> str:
    """The name of the model that made ``turn``, or the last turn before it that one made: sessions go on with it."""
    found = maker(session, turn)
    if found is None and turn.parent is not None:
        makers = (maker(session, step) for step in reversed(session.path(turn)[:-1]))
        found = next((each for each in makers if each is not None), None)
    return LITTLEWORLD if found is None else found.name
