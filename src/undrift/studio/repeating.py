"""The turns of a session on another picture, as a session of their own: a recipe, and of several pictures a batch."""

from __future__ import annotations

from PIL import Image

from undrift.session.carrying import carried_turns
from undrift.session.model import Turn
from undrift.session.replay import check_size, recorded_method, repeated_turns, replay
from undrift.studio.forms import RepeatForm
from undrift.studio.job import About, Job, Running
from undrift.studio.models import check_settled
from undrift.studio.studio import Studio
from undrift.studio.uploads import Upload, scaled_size


def repeat(studio: Studio, name: str, form: RepeatForm) -> Job:
    """The way to a turn of the session ``name`` once more, on an uploaded picture, in a session of its own.

    Raises:
        Refused: an upload that is not held any more (404), or a name that is taken or none (400, 409).
        InputError: no such turn, one that this model cannot make, that is of another size, or that has no sure
            meaning of a picture that shows ``form.prompt``.
    """
    check_settled(studio)
    session = studio.folders.session(name)
    upload, tree = studio.uploads.get(form.upload), session.tree()
    turns = repeated_turns(tree, form.turn)
    size = (
        (upload.width, upload.height)
        if form.longest is None
        else scaled_size((upload.width, upload.height), form.longest)
    )
    check_size(turns, size)
    carried_turns(tree, turns, form.prompt)
    evaluations = _evaluations(studio, turns)
    into = studio.free_name(name if form.name is None else form.name)
    folder = studio.folders.new(into)

    def work(running: Running) -> None:
        running.say("reading the picture")
        picture = _picture(upload, size, running)
        running.expect(evaluations)
        running.start_item(0, lambda: studio.backbone.counter.evaluations)

        def made(turn: Turn) -> None:
            running.made(turn.id)
            studio.changed(into)

        replay(
            session, folder, studio.backbone, image=picture, prompt=form.prompt, turn=form.turn,
            observers=[running], finished=made,
        )  # fmt: skip

    about = About(
        "repeat", into, f"the same turns on {form.called or 'another picture'}", form.tab, prompt=form.prompt
    )
    return studio.jobs.submit(about, work, form)


def _evaluations(studio: Studio, turns: tuple[Turn, ...]) -> int:
    """What making ``turns`` costs on the studio's model, which has to be able to."""
    total = 0
    for turn in turns:
        if turn.spec is not None:
            method = recorded_method(turn.spec)
            method.check(studio.backbone)
            total += method.cost(studio.backbone).evaluations
    return total


def _picture(upload: Upload, size: tuple[int, int], running: Running) -> Image.Image:
    picture = upload.picture(running.check)
    if picture.size == size:
        return picture
    running.say("scaling it")
    return picture.resize(size, Image.Resampling.LANCZOS)
