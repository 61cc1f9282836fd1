"""``undrift studio``: the main job in a browser."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undrift.cli.language_options import LanguageChoice, language_options
from undrift.cli.options import ModelChoice, ahead_option, common, model_options
from undrift.cli.output import say
from undrift.cli.paths import Folder
from undrift.cli.sessions import open_session
from undrift.errors import InputError

if TYPE_CHECKING:
    from undrift.session.store import Session

PASSWORD_VARIABLE = "UNDRIFT_PASSWORD"
SAM_VARIABLE = "UNDRIFT_SAM"


@click.command()
@click.argument("session", required=False, type=Folder())
@click.option(
    "--sessions",
    type=Folder(),
    help="Folder whose sessions are listed and where new ones go. Default: that of SESSION, else the current folder.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; elsewhere needs a password.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default: 7860, or a free one if that is taken.")
@click.option("--password", envvar=PASSWORD_VARIABLE, help=f"Ask for this first; better set ${PASSWORD_VARIABLE}.")
@click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")
@click.option(
    "--sam",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    envvar=SAM_VARIABLE,
    help=f"Segment Anything, as transformers saves it, finds what is clicked. Default: ${SAM_VARIABLE}, or none.",
)
@ahead_option
@language_options
@model_options
@common
def studio(
    session: Path | None,
    sessions: Path | None,
    host: str,
    port: int | None,
    password: str | None,
    no_browser: bool,
    sam: Path | None,
    ahead: bool,
    chosen_language: LanguageChoice,
    chosen_model: ModelChoice,
) -> None:
    """Edit in the browser, on a page that this machine serves to itself; Ctrl-C ends it.

    SESSION opens one made before, here or on the command line.
    """
    from undrift.cli import execution
    from undrift.cli.errors import describe
    from undrift.session.segmenting import Segmenter
    from undrift.studio import server
    from undrift.studio.studio import Studio

    server.check_password(host, password)
    language = chosen_language.opened()
    root, opened = _where(session, sessions)
    segmenter = None if sam is None else Segmenter(sam)
    listening = server.listen(host, port)
    backbone = (
        execution.load_model(chosen_model)
        if opened is None
        else execution.load_for(opened, opened.head, chosen_model)
    )
    first = None if opened is None else opened.folder.name
    load = partial(execution.load_other, chosen_model)
    served = Studio(backbone, root, first, describe, language, load, segmenter=segmenter, looks_ahead=ahead)
    if first is not None:
        served.expect(first)

    def ready(url: str) -> None:
        say(f"studio: {url}")
        if not no_browser:
            server.open_browser(url)

    server.serve(served, listening, host, password, ready)


def _where(session: Path | None, sessions: Path | None) -> tuple[Path, Session | None]:
    """The folder of the sessions, and the session to begin with.

    Raises:
        SessionError: SESSION is none.
        InputError: SESSION lies in another folder than ``--sessions``, or that is no folder.
    """
    from undrift.session.database import FILE

    if session is None and sessions is None and Path(FILE).is_file():
        session = Path()
    if session is None:
        root = sessions or Path()
        if not root.is_dir():
            raise InputError(f"--sessions {root}: no such folder; make it first")
        return root, None
    opened = open_session(session.resolve())
    root = opened.folder.parent
    if sessions is not None and sessions.resolve() != root:
        raise InputError(f"session '{session}' is not in --sessions {sessions}: leave out one of them")
    return root, opened
