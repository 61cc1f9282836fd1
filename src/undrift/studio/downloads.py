"""What can be taken out of a session, as files that the browser saves."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from undrift.session import export as exports
from undrift.session import script
from undrift.session.animation import animation
from undrift.session.model import Turn
from undrift.session.store import Session
from undrift.studio.asking import session_of, turn_of
from undrift.studio.http_errors import Refused
from undrift.temporary import Folder

Write = Callable[[Session, Turn, Path], None]


@dataclass(frozen=True)
class Kind:
    """A file that an export gives: its ending, its media type, and what writes it."""

    suffix: str
    media: str
    write: Write


def _sheet(session: Session, turn: Turn, path: Path) -> None:
    exports.write_contact_sheet(session, path, session.path(turn))


def _animation(session: Session, turn: Turn, path: Path) -> None:
    path.write_bytes(animation(session, session.path(turn), captions=True))


def _commands(session: Session, turn: Turn, path: Path) -> None:
    path.write_bytes(script.contents("\n".join(script.commands(session, turn)) + "\n"))


def _python(session: Session, turn: Turn, path: Path) -> None:
    path.write_bytes(script.contents(script.python_script(session, turn)))


KINDS: Mapping[str, Kind] = {
    "png": Kind(".png", "image/png", exports.export_png),
    "zip": Kind(".zip", "application/zip", lambda session, turn, path: exports.export_zip(session, path)),
    "sheet": Kind("-sheet.png", "image/png", _sheet),
    "animation": Kind(".webp", "image/webp", _animation),
    "commands": Kind(".sh", "text/plain", _commands),
    "python": Kind(".py", "text/plain", _python),
}


def export(request: Request) -> Response:
    """A file made from a turn or its session; it is made in a folder that is gone once it is sent."""
    kind = KINDS.get(request.path_params["kind"])
    if kind is None:
        raise Refused(404, f"no export of this kind, expected one of: {', '.join(KINDS)}")
    session = session_of(request)
    turn = turn_of(request, session)
    folder = Folder(Path(tempfile.gettempdir()), mode=0o700)
    name = request.path_params["name"] + ("" if kind.suffix == ".zip" else f"-{_called(session, turn)}") + kind.suffix
    try:
        kind.write(session, turn, folder.path / "export")
    except BaseException:
        folder.remove()
        raise
    gone = BackgroundTask(folder.remove)
    return FileResponse(folder.path / "export", media_type=kind.media, filename=name, background=gone)


def _called(session: Session, turn: Turn) -> str:
    """The turn's number, and where others have it too the beginning of its id, so that no two files have one name."""
    twins = [other for other in session.tree().turns.values() if other.number == turn.number]
    return str(turn.number) if len(twins) == 1 else f"{turn.number}-{turn.id[:6]}"
