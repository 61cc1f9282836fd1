"""A turn's picture on another canvas, cropped or extended: a session has pictures of one size, so it is a new one."""

from __future__ import annotations

from undrift.session.canvas import Frame, check_frame
from undrift.session.extending import FILL, begin_framed, fill_plan
from undrift.studio.forms import FrameForm, MethodForm
from undrift.studio.job import About, Job, Running
from undrift.studio.studio import Studio
from undrift.studio.submit import edits
from undrift.studio.uploads import MAX_MEGAPIXELS


def frame(studio: Studio, name: str, form: FrameForm) -> Job:
    """Begin a session with what a frame shows of a turn of the session ``name``, and fill what is new if asked to.

    Raises:
        InputError: no such turn, a frame that has nothing of it, or is too small or too large, or nothing to fill.
    """
    session = studio.folders.session(name)
    turn = session.turn(form.turn)
    prompt = turn.prompt if form.prompt is None else form.prompt
    wanted, size = Frame(form.left, form.top, form.width, form.height), (turn.width, turn.height)
    check_frame(wanted, size, MAX_MEGAPIXELS)
    plan = fill_plan(wanted, size, prompt) if form.fill else None
    method = studio.method(MethodForm(name=FILL))
    into = studio.free_name(f"{name}-{form.width}x{form.height}")
    folder = studio.folders.new(into)

    def work(running: Running) -> None:
        running.say("framing it")
        made = begin_framed(session, wanted, folder, studio.backbone, prompt, turn.id)
        running.made(made.original.id)
        studio.changed(into)
        if plan is not None:
            edits(studio, into, made.tree(), method, plan)(running)

    about = About("frame", into, f"frame of {name}: {form.width} by {form.height} pixels", form.tab, prompt=prompt)
    return studio.jobs.submit(about, work, form)
