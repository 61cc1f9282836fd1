"""``undrift serve``: what other programs talk to."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from undrift.cli.language_options import LanguageChoice, language_options
from undrift.cli.options import ModelChoice, ahead_option, common, model_options
from undrift.cli.output import say
from undrift.cli.paths import Folder
from undrift.errors import InputError


@click.command()
@click.option("--api", is_flag=True, help="Serve the images API: /v1/images/edits and /v1/models.")
@click.option(
    "--sessions", type=Folder(), default=Path(), help="Folder where the sessions go. Default: the current folder."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; elsewhere needs a key.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default: 7860, or a free one if that is taken.")
@click.option("--key", envvar="UNDRIFT_KEY", help="Programs have to send this; better set $UNDRIFT_KEY.")
@ahead_option
@language_options
@model_options
@common
def serve(
    api: bool,
    sessions: Path,
    host: str,
    port: int | None,
    key: str | None,
    ahead: bool,
    chosen_language: LanguageChoice,
    chosen_model: ModelChoice,
) -> None:
    """Keep the model in memory for this machine's commands, or serve it to other programs (--api); Ctrl-C ends it.

    Without --api, new, edit, run and the others find it by themselves, load nothing, and give the same results.
    """
    if not api:
        _keep_warm(chosen_model, ahead)
        return
    if find_spec("python_multipart") is None:
        raise InputError("serve --api needs the python-multipart package: pip install 'undrift[api]'")
    from undrift.cli import execution
    from undrift.cli.errors import describe
    from undrift.services.images_api.app import SHORTEST_KEY, create_api
    from undrift.studio import server
    from undrift.studio.studio import Studio

    server.check_password(host, key, SHORTEST_KEY, "key", "--key or $UNDRIFT_KEY")
    if not sessions.is_dir():
        raise InputError(f"--sessions {sessions}: no such folder; make it first")
    language = chosen_language.opened()
    listening = server.listen(host, port)
    backbone = execution.load_model(chosen_model)
    studio = Studio(backbone, sessions, None, describe, language, looks_ahead=ahead)
    server.serve(studio, listening, host, key, lambda url: say(f"images API: {url}v1"), create_api)


def _keep_warm(choice: ModelChoice, ahead: bool) -> None:
    """Load the model that the options name, and run the commands that are handed over on it until Ctrl-C."""
    from undrift.cli import warm

    path = warm.socket_path()
    if path is None:
        raise InputError("this system has no local sockets, or $UNDRIFT_SOCKET is empty: serve --api, or the studio")
    from undrift.cli import execution
    from undrift.cli.keeper import Keeper
    from undrift.cli.warm_server import WarmServer, listening

    with listening(path) as socket:
        keeper = execution.keeper = Keeper(looks_ahead=ahead)
        loaded = execution.load_model(choice).identity
        say(f"{loaded.name} stays in memory on {loaded.device}; undrift edit, run and others use it. Ctrl-C ends it")
        server = WarmServer(path, keeper.ahead.work, keeper.moved) if ahead else WarmServer(path)
        server.serve(socket)
