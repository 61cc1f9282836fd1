"""The addresses under /api: each reads what was asked, makes one call, and answers with JSON or a picture.

Functions without ``async`` run in Starlette's pool of threads, those with it only wait: nothing here holds up the
event loop.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from undrift.backbones.knowledge import is_foreign, unknown_with_nearest
from undrift.littleworld import demo
from undrift.pictures import Check, png_bytes, read_picture
from undrift.session.compare import compare as compare_turns
from undrift.session.unpack import import_zip
from undrift.studio import (
    connections,
    framing,
    housekeeping,
    images,
    models,
    navigation,
    repeating,
    selecting,
    submit,
    views,
)
from undrift.studio.answers import JSONResponse
from undrift.studio.asking import awaited, session_of, studio_of, takes, takes_long, turn_of
from undrift.studio.forms import (
    BranchForm,
    DiffForm,
    EditForm,
    FrameForm,
    HeadForm,
    ImportForm,
    MethodForm,
    ModelForm,
    NoteForm,
    PauseForm,
    RebaseForm,
    RenameForm,
    RepeatForm,
    RestoreForm,
    SayForm,
    SelectForm,
    StartForm,
)
from undrift.studio.guard import file_name
from undrift.studio.job import Job
from undrift.studio.notes import Note
from undrift.studio.page import FOREVER
from undrift.studio.saying import understood
from undrift.studio.studio import Studio
from undrift.studio.uploads import Upload

_decoding = anyio.CapacityLimiter(2)
"""Uploads decoded at a time: each may need 24 megapixels of memory."""


def about(request: Request) -> Response:
    """The model, the methods and the limits."""
    return JSONResponse({**studio_of(request).about, "locked": request.app.state.door is not None})


def offered_models(request: Request) -> Response:
    """The models that turns could be made with, and what they take for pictures as large as a session's."""
    return JSONResponse({"models": models.offers(studio_of(request), _size(request) or models.USUAL_SIZE)})


@takes(ModelForm)
def download_model(request: Request, form: ModelForm) -> Any:
    """Bring a model to this machine."""
    return _queued(request, models.bring_here(studio_of(request), form))


@takes(ModelForm)
def change_model(request: Request, form: ModelForm) -> Any:
    """Queue a change of the model."""
    return _queued(request, models.change(studio_of(request), form))


async def events(request: Request) -> Response:
    """What happens, as it happens. Half of the connections may follow that: the rest is for everything else."""
    after = request.headers.get("last-event-id") or request.query_params.get("after") or None
    stream = studio_of(request).events.stream(after, connections.most() // 2)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})


@takes(DiffForm)
def diff(request: Request, form: DiffForm) -> Any:
    """What changes between two prompts."""
    unknown = unknown_with_nearest(studio_of(request).backbone.capabilities, form.target)
    return {**views.diff_view(form.source, form.target), "unknown": unknown}


async def upload(request: Request) -> Response:
    """Take a picture's file: the body is the file, ``name`` what it is called."""
    data = await request.body()
    studio, called = studio_of(request), file_name(request)
    async with awaited(request) as check:
        added = await anyio.to_thread.run_sync(studio.uploads.add, data, "", check, called, limiter=_decoding)
    return JSONResponse(_upload_view(studio, added))


async def archive(request: Request) -> Response:
    """Take a session's zip file: the body is the file, ``name`` what it is called, and the session after it."""
    data, called = await request.body(), file_name(request)
    folders = studio_of(request).folders
    name = folders.free_name(re.sub(r"\.zip$", "", called, flags=re.IGNORECASE)[:64])
    taking = partial(import_zip, data, folders.new(name), called=called)
    await anyio.to_thread.run_sync(taking, limiter=_decoding)
    return JSONResponse({"name": name})


def example(request: Request) -> Response:
    """The bundled picture as an upload."""
    studio = studio_of(request)
    added = studio.uploads.add(png_bytes(demo.picture()), demo.prompt())
    return JSONResponse({**_upload_view(studio, added), "edits": demo.edits()})


def upload_preview(request: Request) -> Response:
    """An upload, small."""
    return Response(studio_of(request).uploads.get(request.path_params["key"]).preview, media_type="image/png")


def jobs(request: Request) -> Response:
    """Every job, and whether waiting ones are begun."""
    queue = studio_of(request).jobs
    return JSONResponse({"jobs": queue.listed(), "paused": queue.paused})


@takes(PauseForm)
def pause(request: Request, form: PauseForm) -> Any:
    """Pause the queue, or let it go on."""
    studio_of(request).jobs.pause(form.paused)
    return {"paused": form.paused}


def sooner(request: Request) -> Response:
    """Move a waiting job forward by one place."""
    queue = studio_of(request).jobs
    return JSONResponse(queue.view(queue.sooner(request.path_params["job"])))


def cancel(request: Request) -> Response:
    """Stop a job."""
    queue = studio_of(request).jobs
    return JSONResponse(queue.view(queue.cancel(request.path_params["job"])))


def job_preview(request: Request) -> Response:
    """What a running turn looks like so far, or the candidate of that number."""
    tiles = studio_of(request).jobs.job(request.path_params["job"]).tiles
    number = request.query_params.get("candidate", "0")
    preview = next((tile.preview for place, tile in enumerate(tiles) if str(place) == number), None)
    return Response(status_code=204) if preview is None else Response(preview, media_type="image/png")


def sessions(request: Request) -> Response:
    """Every session, the newest first."""
    studio = studio_of(request)
    cards = [views.card_view(name, studio.folders) for name in studio.folders.names()]
    return JSONResponse({"sessions": cards, "removed": housekeeping.removed(studio)})


@takes(StartForm)
def start(request: Request, form: StartForm) -> Any:
    """Start a session."""
    return _queued(request, submit.start(studio_of(request), form))


def session(request: Request) -> Response:
    """A session with all its turns, and what is noted of them."""
    name = request.path_params["name"]
    notes = {turn: note.model_dump() for turn, note in studio_of(request).notes.of(name).items()}
    return JSONResponse({**views.session_view(name, session_of(request)), "notes": notes})


@takes(NoteForm)
def note(request: Request, form: NoteForm) -> Any:
    """Note something of a turn."""
    name, studio = request.path_params["name"], studio_of(request)
    turn = session_of(request).tree().turn(form.turn)
    studio.notes.write(name, turn.id, Note(name=form.name.strip(), starred=form.starred))
    studio.changed(name)
    return {}


@takes(RenameForm)
def rename(request: Request, form: RenameForm) -> Any:
    """Give a session another name."""
    return {"name": housekeeping.rename(studio_of(request), request.path_params["name"], form.name.strip())}


def remove(request: Request) -> Response:
    """Take a session out of the list."""
    housekeeping.remove(studio_of(request), request.path_params["name"])
    return JSONResponse({})


def bring_back(request: Request) -> Response:
    """Put a removed session back into the list."""
    return JSONResponse({"name": housekeeping.bring_back(studio_of(request), request.path_params["name"])})


@takes(MethodForm)
def cost(request: Request, form: MethodForm) -> Any:
    """What one turn with a method costs: evaluations of the network and, of a session's pictures, memory."""
    studio, size = studio_of(request), _size(request)
    memory = {} if size is None else models.turn_memory(studio, size)
    return {"evaluations": studio.method(form).cost(studio.backbone).evaluations, **memory}


@takes(EditForm)
def edit(request: Request, form: EditForm) -> Any:
    """Queue a turn, or several candidates of it."""
    return _queued(request, submit.edit(studio_of(request), request.path_params["name"], form))


@takes(SayForm)
def say(request: Request, form: SayForm) -> Any:
    """What a text asks for; nothing is made."""
    studio = studio_of(request)
    return understood(session_of(request).tree(), form, studio.language, studio.exchanges)


@takes(RebaseForm)
def rebase(request: Request, form: RebaseForm) -> Any:
    """Queue a turn made anew from the original picture."""
    return _queued(request, submit.rebase(studio_of(request), request.path_params["name"], form))


@takes(RestoreForm)
def restore(request: Request, form: RestoreForm) -> Any:
    """Queue putting an earlier picture back."""
    return _queued(request, submit.restore(studio_of(request), request.path_params["name"], form))


@takes(ImportForm)
def bring_in(request: Request, form: ImportForm) -> Any:
    """Queue putting in a picture made elsewhere."""
    return _queued(request, submit.bring_in(studio_of(request), request.path_params["name"], form))


@takes(RepeatForm)
def repeat(request: Request, form: RepeatForm) -> Any:
    """Queue a session's turns on another picture."""
    return _queued(request, repeating.repeat(studio_of(request), request.path_params["name"], form))


@takes(FrameForm)
def frame(request: Request, form: FrameForm) -> Any:
    """Queue a session with a part of a picture, or with more around it."""
    return _queued(request, framing.frame(studio_of(request), request.path_params["name"], form))


@takes_long(SelectForm)
def select(request: Request, form: SelectForm, check: Check) -> Any:
    """The thing at a point of a turn's picture."""
    return selecting.select(studio_of(request), request.app.state.sights, session_of(request), form, check)


@takes(HeadForm)
def head(request: Request, form: HeadForm) -> Any:
    """Move the head."""
    turn = navigation.move(session_of(request), form)
    studio, name = studio_of(request), request.path_params["name"]
    studio.changed(name)
    studio.expect(name)
    return {"head": turn.id}


@takes(BranchForm)
def branch(request: Request, form: BranchForm) -> Any:
    """Name a branch."""
    turn = session_of(request).branch(form.name, form.turn)
    studio_of(request).changed(request.path_params["name"])
    return {"head": turn.id}


def compare(request: Request) -> Response:
    """Two turns in numbers."""
    opened = session_of(request)
    found = compare_turns(opened, turn_of(request, opened, "first"), turn_of(request, opened, "second"))
    numbers = {**found.numbers.model_dump(), "mean": found.mean, "largest": found.largest}
    return JSONResponse(numbers, headers={"cache-control": FOREVER})


def heat(request: Request) -> Response:
    """Where two turns differ."""
    opened = session_of(request)
    return _png(images.heat(opened, turn_of(request, opened, "first"), turn_of(request, opened, "second")))


def picture(request: Request) -> Response:
    """A turn's picture, the stored file itself."""
    opened = session_of(request)
    return _png(images.picture(opened, turn_of(request, opened)))


def thumbnail(request: Request) -> Response:
    """A turn's picture, small."""
    opened = session_of(request)
    return _png(images.thumbnail(opened, turn_of(request, opened).id))


def overlay(request: Request) -> Response:
    """A turn's mask over its picture."""
    opened = session_of(request)
    return _png(images.overlay(opened, turn_of(request, opened)))


def _size(request: Request) -> tuple[int, int] | None:
    """Of the pictures of the session that the address asks about, width and height; None where it names none."""
    name = request.query_params.get("session")
    original = None if name is None else studio_of(request).folders.session(name).original
    return None if original is None else (original.width, original.height)


def _png(data: bytes) -> Response:
    return Response(data, media_type="image/png", headers={"cache-control": FOREVER})


def _queued(request: Request, job: Job) -> Any:
    return studio_of(request).jobs.view(job)


def _upload_view(studio: Studio, upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.id,
        "width": upload.width,
        "height": upload.height,
        "smaller": upload.smaller,
        "prompt": upload.prompt,
        "recipe": upload.recipe,
        "foreign": is_foreign(studio.backbone.capabilities, read_picture(upload.preview)),
    }
