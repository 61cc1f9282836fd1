"""From a request to a job that makes its turns."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from functools import partial

from PIL import Image, ImageChops

from undrift.files import sha256
from undrift.instructions import Reading
from undrift.instructions.exchange import Said
from undrift.methods import registry
from undrift.pictures import read_picture
from undrift.services.images_api.asked import Asked, check_size, region
from undrift.session import engine
from undrift.session.engine import EditPlan
from undrift.session.model import Turn
from undrift.session.next_turn import carried, last_method
from undrift.session.provenance import known_prompt
from undrift.session.saying import again_plan, check_edit, heard, heard_after, said_plan, told
from undrift.session.store import Session
from undrift.session.tree import Tree
from undrift.studio import submit, uploads
from undrift.studio.forms import MethodForm
from undrift.studio.http_errors import Refused
from undrift.studio.job import About, Job, Running
from undrift.studio.studio import Studio

MOST_COMPARED = 200
"""Turns that a picture is looked for among, the newest first, and the most megapixels that they have together."""


@dataclass(frozen=True)
class Started:
    """What a request set going.

    Attributes:
        session: name of the session.
        reading: what its prompt was read as.
        job: makes the turns; None where the prompt only goes back to ``turn``.
        turn: the earlier turn that the prompt goes back to.
    """

    session: str
    reading: Reading
    job: Job | None
    turn: Turn | None = None


def start(studio: Studio, asked: Asked) -> Started:
    """Queue the turns of a request; everything that can be refused is refused before.

    Raises:
        UndriftError: a picture, mask, session, turn, method or prompt that cannot be used.
    """
    fields = asked.fields
    if fields.model not in (None, "", "undrift", studio.backbone.identity.name):
        raise Refused(404, f"no model {fields.model[:80]!a}: {studio.backbone.identity.name!a} is served")
    picture = read_picture(asked.image, max_megapixels=uploads.MAX_MEGAPIXELS)
    check_size(fields.size, picture.size)
    where = region(asked.mask, picture.size)
    if fields.session is None:
        if fields.turn is not None:
            raise Refused(400, "'turn' is a turn of a session: send 'session' as well")
        return _first(studio, asked, picture, where)
    return _next(studio, asked, studio.folders.session(fields.session), picture, where)


def _first(studio: Studio, asked: Asked, picture: Image.Image, where: Image.Image | None) -> Started:
    """A session of its own."""
    fields = asked.fields
    caption = known_prompt(asked.image) if fields.caption is None else fields.caption
    method = studio.method(fields.editor(registry.DEFAULT, "default"))
    listen = partial(heard_after, [Said(None, caption)], fields.prompt, fields.read_as, studio.language)
    reading = told(listen, fields.prompt, caption, method)
    check_edit(reading)
    name = f"api-{secrets.token_hex(8)}"
    folder = studio.folders.new(name)

    def work(running: Running) -> None:
        running.say("preparing the picture")
        session = engine.start_session(folder, picture, caption, studio.backbone)
        plan = replace(said_plan(reading, session.original), seed=fields.seed, region=where)
        submit.edits(studio, name, session.tree(), method, plan, fields.n)(running)

    return Started(name, reading, studio.jobs.submit(About("edit", name, fields.prompt, "api"), work))


def _next(studio: Studio, asked: Asked, session: Session, picture: Image.Image, where: Image.Image | None) -> Started:
    """One more turn of a session, from the turn whose picture was sent."""
    fields, tree = asked.fields, session.tree()
    if picture.size != (tree.original.width, tree.original.height):
        wanted = f"{tree.original.width}x{tree.original.height}"
        raise Refused(400, f"the picture is {picture.width}x{picture.height}, expected the session's {wanted} pixels")
    parent = tree.turn(fields.turn) if fields.turn else _shown(session, tree, asked.image, picture)
    at = parent or tree.head
    form = fields.editor(*last_method(tree, at))
    form = form.model_copy(update={"params": carried(tree, at, form.name)})
    listen = partial(heard, tree, fields.prompt, at.id, fields.caption, fields.read_as, studio.language)
    reading = told(
        listen, fields.prompt, at.prompt if fields.caption is None else fields.caption, studio.method(form)
    )
    if reading.turn is not None:
        back = tree.path(at)[reading.turn]
        session.checkout(back.id)
        return Started(str(fields.session), reading, None, back)
    plan, form = _plan(reading, at, fields.caption, form)
    plan = replace(plan, seed=plan.seed if fields.seed is None else fields.seed, region=where)
    method, name = studio.method(form), str(fields.session)

    def work(running: Running) -> None:
        wanted = plan
        if parent is None:  # painted elsewhere
            brought = engine.import_picture(session, picture, at.prompt, studio.backbone, at.id)
            wanted = replace(plan, parent=brought.id)
        submit.edits(studio, name, session.tree(), method, wanted, fields.n)(running)

    about = About("edit", name, fields.prompt, "api", plan.parent)
    return Started(name, reading, studio.jobs.submit(about, work))


def _plan(reading: Reading, at: Turn, caption: str | None, form: MethodForm) -> tuple[EditPlan, MethodForm]:
    if not reading.strength:
        return said_plan(reading, at, caption), form
    plan, dial = again_plan(reading, at)
    return plan, form.model_copy(update={"dial": dial})


def _shown(session: Session, tree: Tree, file: bytes, picture: Image.Image) -> Turn | None:
    """The turn whose picture this is, the head before the newest; None for a picture from elsewhere.

    ``file`` is what ``picture`` came as: one that was sent from here is known without decoding any.
    """
    ordered = [tree.head, *list(tree.turns.values())[::-1]]
    same = sha256(file)
    if sent := next((turn for turn in ordered if turn.image_hash == same), None):
        return sent
    most = min(MOST_COMPARED, int(MOST_COMPARED * 1e6 / (picture.width * picture.height)))
    for turn in ordered[: 1 + most]:
        if ImageChops.difference(session.picture(turn), picture).getbbox() is None:
            return turn
    return None
