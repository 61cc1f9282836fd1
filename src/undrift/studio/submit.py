"""From a form to a job: which call of the session engine is the work, and how the page hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from PIL import Image

from undrift.errors import InputError
from undrift.methods.base import EditMethod
from undrift.session import engine
from undrift.session.engine import EditPlan
from undrift.session.model import Turn
from undrift.session.next_turn import candidate_plans, rebase_plan
from undrift.session.spent import Spent
from undrift.session.tree import Tree
from undrift.studio import looking
from undrift.studio.forms import EditForm, Form, ImportForm, RebaseForm, RestoreForm, StartForm, painted
from undrift.studio.http_errors import Refused
from undrift.studio.job import About, Job, Running
from undrift.studio.looking import Looks
from undrift.studio.models import check_settled
from undrift.studio.studio import Studio
from undrift.studio.tiles import Tiles
from undrift.studio.uploads import scaled_size

MOST_PREVIEWS = 16
"""About how many pictures of a turn in the making are decoded: each costs time that the turn has to wait for."""

Work = Callable[[Running], None]


def start(studio: Studio, form: StartForm) -> Job:
    """Start a session with an uploaded picture."""
    upload = studio.uploads.get(form.upload)
    name = studio.free_name("session") if form.name is None else form.name
    folder = studio.folders.new(name)

    def work(running: Running) -> None:
        running.say("reading the picture")
        picture = upload.picture(running.check)
        if form.longest is not None:
            running.say("scaling it")
            picture = picture.resize(scaled_size(picture.size, form.longest), Image.Resampling.LANCZOS)
        running.say("preparing it")
        session = engine.start_session(folder, picture, form.prompt, studio.backbone)
        running.made(session.original.id)
        studio.changed(name)
        studio.expect(name)

    return studio.jobs.submit(About("start", name, f"begin session {name}", form.tab), work, form)


def edit(studio: Studio, name: str, form: EditForm, key: str | None = None) -> Job:
    """A turn, or several candidates of one, all made from ``form.parent`` or what ``form.after`` makes."""
    check_settled(studio)
    session = studio.folders.session(name)
    tree = session.tree()
    parent = tree.turn(form.parent)
    follows = None if form.after is None else _followed(studio, name, form.after)
    region = form.region((parent.width, parent.height))
    if region is None and form.like is not None:
        region = session.region(tree.turn(form.like))
    method = studio.method(form.method)
    looks = looking.looks(studio, session, method, form)
    plan = EditPlan(
        prompt=form.prompt,
        source_prompt=form.source_prompt,
        instruction=form.instruction,
        exchange=studio.exchanges.get(form.exchange),
        words=form.words,
        seed=form.seed,
        parent=parent.id,
        region=region,
    )
    about = About("edit", name, form.prompt, form.tab, parent.id, form.prompt, form.after)
    work = edits(studio, name, tree, method, plan, form.count, follows, looks, together=form.together)
    return studio.jobs.submit(about, work, form, key)


def rebase(studio: Studio, name: str, form: RebaseForm, key: str | None = None) -> Job:
    """What ``form.turn`` shows, made anew from the original picture."""
    check_settled(studio)
    tree = studio.folders.session(name).tree()
    plan = replace(rebase_plan(tree, form.turn), seed=form.seed)
    about = About("rebase", name, f"from the original: {plan.prompt}", form.tab, plan.parent, plan.prompt)
    return studio.jobs.submit(about, edits(studio, name, tree, studio.method(form.method), plan), form, key)


def restore(studio: Studio, name: str, form: RestoreForm, key: str | None = None) -> Job:
    """Put an earlier picture back where the brush went."""
    session = studio.folders.session(name)
    parent = session.turn(form.parent)
    brush = painted(form.brush, (parent.width, parent.height))

    def work(running: Running) -> None:
        turn = engine.restore(session, studio.backbone, brush, anchor=form.anchor, parent=parent.id)
        _tell(studio, name, running, turn)
        studio.expect(name)

    about = About("restore", name, "put the original back", form.tab, parent.id, parent.prompt)
    return studio.jobs.submit(about, work, form, key)


def bring_in(studio: Studio, name: str, form: ImportForm) -> Job:
    """Append an uploaded picture as a turn."""
    session = studio.folders.session(name)
    parent, upload = session.turn(form.parent), studio.uploads.get(form.upload)

    def work(running: Running) -> None:
        running.say("reading the picture")
        picture = upload.picture(running.check)
        running.say("preparing it")
        turn = engine.import_picture(session, picture, form.prompt, studio.backbone, parent.id)
        _tell(studio, name, running, turn)
        studio.expect(name)

    about = About("import", name, form.prompt or "a picture", form.tab, parent.id, form.prompt)
    return studio.jobs.submit(about, work, form)


def again(studio: Studio, name: str, form: Form, key: str) -> Job:
    """Queue what an earlier studio had queued as ``key``.

    Raises:
        UndriftError: it cannot be made any more.
    """
    if isinstance(form, EditForm):
        return edit(studio, name, form, key)
    if isinstance(form, RebaseForm):
        return rebase(studio, name, form, key)
    if isinstance(form, RestoreForm):
        return restore(studio, name, form, key)
    raise InputError(f"a {type(form).__name__} cannot be begun again")


def edits(
    studio: Studio,
    name: str,
    tree: Tree,
    method: EditMethod,
    plan: EditPlan,
    count: int = 1,
    follows: Job | None = None,
    looks: Looks | None = None,
    *,
    together: bool = False,
) -> Work:
    """Work that makes every candidate; the head goes to the first, the others stay beside it.

    With ``follows`` they are made from what that job has made by then, in place of the plan's parent. ``looks``
    opens the references of all of them. ``together`` makes them in one batch.
    """
    session = studio.folders.session(name)
    turns = candidate_plans(tree, method, plan, count)
    parts = [turns] if together else [[turn] for turn in turns]
    costs = [[variant.cost(studio.backbone) for variant, _ in part] for part in parts]
    every = max(1, max(cost.evaluations for part in costs for cost in part) // MOST_PREVIEWS)

    def work(running: Running) -> None:
        settled: dict[str, Any] = {} if follows is None else {"parent": _made_by(follows)}
        if looks is not None:
            running.say("reading the references")
            settled["references"] = looks(running.check)
        running.lay_out(len(turns))
        spents = [Spent(part) for part in costs]
        running.expect(max(spent.total for spent in spents), len(parts))
        for number, (part, spent) in enumerate(zip(parts, spents, strict=True)):
            running.start_item(number, spent.so_far)
            tiles = Tiles(studio, session, running, every, number, spent)
            methods, plans = [variant for variant, _ in part], [replace(wanted, **settled) for _, wanted in part]
            engine.run_together(session, studio.backbone, methods, plans, [running], watcher=tiles)
        studio.expect(name, method)

    return work


def _followed(studio: Studio, name: str, key: str) -> Job:
    """The job ``key`` of the session ``name``, from whose turn another one is to be made."""
    job = studio.jobs.job(key)
    if job.about.session != name:
        raise Refused(400, f"the job {key} is one of '{job.about.session}', expected one of '{name}'")
    if not job.open:
        _made_by(job)
    return job


def _made_by(job: Job) -> str:
    """The turn that ``job`` has made, the first of several.

    Raises:
        InputError: it made none.
    """
    if not job.turns:
        raise InputError(f"the turn that this was to follow was not made: {job.about.title}")
    return job.turns[0]


def _tell(studio: Studio, name: str, running: Running, turn: Turn) -> None:
    running.made(turn.id)
    studio.changed(name)
