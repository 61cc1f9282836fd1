"""Which model made a turn: what its record and its latent both say.

A session may come from anybody. One whose record names one model while its latent names another would be continued
by a model that nobody looking at it expects.
"""

from __future__ import annotations

from undrift.backbones.locate import LITTLEWORLD
from undrift.errors import SessionError
from undrift.session import latents
from undrift.session.latents import Maker
from undrift.session.model import Turn
from undrift.session.reading import Damaged
from undrift.session.store import Session


def checked(turn: Turn, latent: bytes | None) -> Maker | None:
    """The model that made ``turn``, whose latent file is ``latent``; None where nothing says it.

    Raises:
        Damaged: the record names another model than the latent.
        SessionError: the latent is none.
    """
    recorded = None if turn.spec is None else Maker(turn.spec.model, turn.spec.weights_hash)
    encoded = None if latent is None else latents.maker_of(latent)
    if recorded is not None and encoded is not None and recorded != encoded:
        raise Damaged(
            f"turn {turn.id} was made by the model {recorded.name} ({recorded.weights_hash}) as its record says, "
            f"and by {encoded.name} ({encoded.weights_hash}) as its latent does"
        )
    return recorded or encoded


def maker(session: Session, turn: Turn) -> Maker | None:
    """The model that made ``turn``, see ``agreed``."""
    return agreed(session, turn, session.latent(turn))


def agreed(session: Session, turn: Turn, latent: bytes | None) -> Maker | None:
    """The model that made ``turn`` of ``session``, whose latent file is ``latent``; None where nothing says it.

    Raises:
        SessionError: the record and the latent disagree, or the latent is none.
    """
    try:
        return checked(turn, latent)
    except Damaged as error:
        raise SessionError(f"the session '{session.folder}' is damaged: {error}") from None


def usual_model(session: Session, turn: Turn) -> str:
    """The name of the model that made ``turn``, or the last turn before it that one made: sessions go on with it."""
    found = maker(session, turn)
    if found is None and turn.parent is not None:
        makers = (maker(session, step) for step in reversed(session.path(turn)[:-1]))
        found = next((each for each in makers if each is not None), None)
    return LITTLEWORLD if found is None else found.name
