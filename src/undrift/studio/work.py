"""From a form to a job: which call of the session engine is the work, and how the page hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from undrift.methods.base import EditMethod
from undrift.session import engine
from undrift.session.engine import EditPlan
from undrift.session.model import Turn
from undrift.session.preview import Preview
from undrift.session.store import Session
from undrift.studio.forms import EditForm, ImportForm, RebaseForm, RestoreForm, StartForm, painted
from undrift.studio.jobs import About, Job, Running
from undrift.studio.studio import Studio

MOST_PREVIEWS = 16
"""About how many pictures of a turn in the making are decoded: each costs time that the turn has to wait for."""

Work = Callable[[Running], None]


def start(studio: Studio, form: StartForm) -> Job:
    """Start a session with an uploaded picture."""
    upload = studio.uploads.get(form.upload)
    name = studio.shelf.free_name("session") if form.name is None else form.name
    folder = studio.shelf.new(name)

    def work(running: Running) -> None:
        session = engine.start_session(folder, upload.picture(), form.prompt, studio.backbone)
        running.made(session.source.id)
        studio.changed(name)

    return studio.jobs.submit(About("start", name, f"open {name}", form.tab), work)


def edit(studio: Studio, name: str, form: EditForm) -> Job:
    """A turn, or several candidates of one, all made from ``form.parent``."""
    session = studio.shelf.session(name)
    parent = session.turn(form.parent)
    method = studio.method(form.method)
    chosen = not form.method.params and not form.method.dial
    plan = EditPlan(
        prompt=form.prompt,
        source_prompt=form.source_prompt,
        words=form.words or None,
        parent=parent.id,
        preset=form.method.preset if chosen else None,
        region=form.region((parent.width, parent.height)),
    )
    about = About("edit", name, form.prompt, form.tab, parent.id)
    return studio.jobs.submit(about, _edits(studio, name, session, method, plan, form.seed, form.count))


def rebase(studio: Studio, name: str, form: RebaseForm) -> Job:
    """What ``form.turn`` shows, made anew from the source picture."""
    session = studio.shelf.session(name)
    turn = session.turn(form.turn)
    plan = EditPlan(prompt=turn.prompt, parent="source")
    about = About("rebase", name, f"from the original: {turn.prompt}", form.tab, session.source.id)
    work = _edits(studio, name, session, studio.method(form.method), plan, form.seed, 1)
    return studio.jobs.submit(about, work)


def restore(studio: Studio, name: str, form: RestoreForm) -> Job:
    """Put an earlier picture back where the brush went."""
    session = studio.shelf.session(name)
    parent = session.turn(form.parent)
    brush = painted(form.brush, (parent.width, parent.height))

    def work(running: Running) -> None:
        turn = engine.restore(session, studio.backbone, brush, anchor=form.anchor, parent=parent.id)
        _tell(studio, name, running, turn)

    return studio.jobs.submit(About("restore", name, "put the original back", form.tab, parent.id), work)


def bring_in(studio: Studio, name: str, form: ImportForm) -> Job:
    """Append an uploaded picture as a turn."""
    session = studio.shelf.session(name)
    parent, upload = session.turn(form.parent), studio.uploads.get(form.upload)

    def work(running: Running) -> None:
        turn = engine.import_picture(session, upload.picture(), form.prompt, studio.backbone, parent.id)
        _tell(studio, name, running, turn)

    return studio.jobs.submit(About("import", name, form.prompt or "a picture", form.tab, parent.id), work)


def _edits(
    studio: Studio,
    name: str,
    session: Session,
    method: EditMethod,
    plan: EditPlan,
    seed: int | None,
    count: int,
) -> Work:
    """Work that makes every candidate; the head goes to the first, the others stay beside it."""
    source = session.source
    pairs = engine.candidates(method, engine.drawn_seed() if seed is None else seed, count)

    every = max(1, method.evaluations() // MOST_PREVIEWS)

    def work(running: Running) -> None:
        running.expect(method.evaluations(), len(pairs))
        for number, (chosen, its_seed) in enumerate(pairs):
            running.start_item(number)
            wanted = replace(
                plan, seed=its_seed, preset=plan.preset if chosen is method else None, move_head=number == 0
            )
            preview = Preview(studio.backbone, (source.width, source.height), running.show, every)
            turn = engine.run_turn(session, studio.backbone, chosen, wanted, [running, preview])
            _tell(studio, name, running, turn)

    return work


def _tell(studio: Studio, name: str, running: Running, turn: Turn) -> None:
    running.made(turn.id)
    studio.changed(name)
