"""A turn's picture on another canvas, cropped or extended: a session has pictures of one size, so it is a new one."""

from __future__ import annotations

from undrift.session import engine
from undrift.session.canvas import Frame, check_frame, framed
from undrift.studio.forms import FrameForm
from undrift.studio.job import About, Job, Running
from undrift.studio.studio import Studio
from undrift.studio.uploads import MAX_MEGAPIXELS


def frame(studio: Studio, name: str, form: FrameForm) -> Job:
    """Begin a session with what a frame shows of a turn of the session ``name``.

    Raises:
        InputError: no such turn, or a frame that has nothing of it, or is too small or too large.
    """
    session = studio.folders.session(name)
    turn = session.turn(form.turn)
    wanted = Frame(form.left, form.top, form.width, form.height)
    check_frame(wanted, (turn.width, turn.height), MAX_MEGAPIXELS)
    into = studio.free_name(f"{name}-{form.width}x{form.height}")
    folder = studio.folders.new(into)

    def work(running: Running) -> None:
        running.say("framing it")
        picture = framed(session.picture(turn), wanted)
        running.say("preparing it")
        made = engine.start_session(folder, picture, turn.prompt, studio.backbone)
        running.made(made.original.id)
        studio.changed(into)

    about = About(
        "frame", into, f"frame of {name}: {form.width} by {form.height} pixels", form.tab, prompt=turn.prompt
    )
    return studio.jobs.submit(about, work, form)
