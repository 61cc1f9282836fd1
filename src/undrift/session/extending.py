"""A picture on a larger canvas, and what is new of it drawn from the caption: a session, and its first turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from undrift.backbones.base import Backbone
from undrift.errors import InputError
from undrift.flow import Observer
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.session.canvas import Frame, beyond, check_frame, framed
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.store import Session

FILL = "repaint"
"""The method that fills what is new."""


def begin_framed(
    session: Session,
    frame: Frame,
    folder: str | Path,
    backbone: Backbone,
    prompt: str | None = None,
    ref: str = "head",
) -> Session:
    """A new session in ``folder`` whose original is what ``frame`` shows of a turn, mirrored beyond its edges.

    Args:
        session: whose turn.
        frame: in pixels of the turn's picture.
        folder: of the new session.
        backbone: encodes the picture.
        prompt: what the new picture shows; None takes the turn's.
        ref: the turn, anything that ``Tree.turn`` understands.

    Raises:
        InputError: no such turn, or a frame that has nothing of it, or is too small or too large.
        SessionError: the folder is in use or cannot be written.
    """
    turn = session.turn(ref)
    check_frame(frame, (turn.width, turn.height))
    picture = framed(session.picture(turn), frame)
    return start_session(folder, picture, turn.prompt if prompt is None else prompt, backbone)


def fill_plan(frame: Frame, size: tuple[int, int], prompt: str, seed: int | None = None) -> EditPlan:
    """The turn that fills what ``frame`` has beyond a picture of ``size``, once a session begins with it.

    Raises:
        InputError: the frame goes nowhere beyond the picture, or nothing says what it is to show.
    """
    new = beyond(frame, size)
    if new is None:
        raise InputError("the frame goes nowhere beyond the picture: there is nothing to fill")
    if not prompt.strip():
        raise InputError("nothing says what the extended picture shows: give its caption")
    return EditPlan(prompt, source_prompt=prompt, region=new, seed=seed)


def extend(
    session: Session,
    frame: Frame,
    folder: str | Path,
    backbone: Backbone,
    prompt: str | None = None,
    ref: str = "head",
    method: EditMethod | None = None,
    seed: int | None = None,
    observers: Sequence[Observer] = (),
) -> Session:
    """A new session with more around a turn's picture, its first turn filling what is new from the caption.

    Every pixel of the turn's picture that the frame has stays as it is, to the bit.

    Args:
        session, frame, folder, backbone, prompt, ref: as for ``begin_framed``.
        method: fills; None takes ``FILL`` with the model's tuned values.
        seed: of the fill; None draws one.
        observers: hear of every step.

    Raises:
        InputError: as ``begin_framed`` and ``fill_plan``, before anything is made, or what the method refuses.
        SessionError: the folder is in use or cannot be written.
        Cancelled: an observer stopped it; the new session is kept, with its border mirrored.
    """
    turn = session.turn(ref)
    plan = fill_plan(frame, (turn.width, turn.height), turn.prompt if prompt is None else prompt, seed)
    method = method or registry.method(FILL, backbone)
    method.check(backbone)
    made = begin_framed(session, frame, folder, backbone, plan.prompt, turn.id)
    run_turn(made, backbone, method, plan, observers)
    return made
