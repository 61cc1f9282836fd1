"""From a form to a job: which call of the session engine is the work, and how the page hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from undrift.methods.base import EditMethod
from undrift.session import engine
from undrift.session.engine import EditPlan
from undrift.session.model import Turn
from undrift.session.next_turn import candidate_plans, rebase_plan
from undrift.session.preview import Preview
from undrift.session.tree import Tree
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
        running.say("reading the picture")
        picture = upload.picture(running.check)
        running.say("preparing it")
        session = engine.start_session(folder, picture, form.prompt, studio.backbone)
        running.made(session.original.id)
        studio.changed(name)

    return studio.jobs.submit(About("start", name, f"open {name}", form.tab), work)


def edit(studio: Studio, name: str, form: EditForm) -> Job:
    """A turn, or several candidates of one, all made from ``form.parent``."""
    tree = studio.shelf.session(name).tree()
    parent = tree.turn(form.parent)
    plan = EditPlan(
        prompt=form.prompt,
        source_prompt=form.source_prompt,
        instruction=form.instruction,
        exchange=studio.exchanges.get(form.exchange),
        words=form.words,
        seed=form.seed,
        parent=parent.id,
        region=form.region((parent.width, parent.height)),
    )
    about = About("edit", name, form.prompt, form.tab, parent.id)
    return studio.jobs.submit(about, edits(studio, name, tree, studio.method(form.method), plan, form.count))


def rebase(studio: Studio, name: str, form: RebaseForm) -> Job:
    """What ``form.turn`` shows, made anew from the original picture."""
    tree = studio.shelf.session(name).tree()
    plan = replace(rebase_plan(tree, form.turn), seed=form.seed)
    about = About("rebase", name, f"from the original: {plan.prompt}", form.tab, plan.parent)
    return studio.jobs.submit(about, edits(studio, name, tree, studio.method(form.method), plan))


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
        running.say("reading the picture")
        picture = upload.picture(running.check)
        running.say("preparing it")
        turn = engine.import_picture(session, picture, form.prompt, studio.backbone, parent.id)
        _tell(studio, name, running, turn)

    return studio.jobs.submit(About("import", name, form.prompt or "a picture", form.tab, parent.id), work)


def edits(studio: Studio, name: str, tree: Tree, method: EditMethod, plan: EditPlan, count: int = 1) -> Work:
    """Work that makes every candidate; the head goes to the first, the others stay beside it."""
    session, original = studio.shelf.session(name), tree.original
    turns = candidate_plans(tree, method, plan, count)
    cost = method.cost(studio.backbone)
    every = max(1, cost.evaluations // MOST_PREVIEWS)

    def work(running: Running) -> None:
        running.expect(cost.evaluations, studio.backbone.counter, len(turns))
        for number, (variant, wanted) in enumerate(turns):
            running.start_item(number)
            preview = Preview(studio.backbone, (original.width, original.height), running.show, every)
            turn = engine.run_turn(session, studio.backbone, variant, wanted, [running, preview])
            _tell(studio, name, running, turn)

    return work


def _tell(studio: Studio, name: str, running: Running, turn: Turn) -> None:
    running.made(turn.id)
    studio.changed(name)
