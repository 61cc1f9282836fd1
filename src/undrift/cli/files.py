"""Taking results out of a session, repeating it, and reading a picture's metadata."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from undrift.cli.options import (
    MethodChoice,
    ModelChoice,
    common,
    json_option,
    method_options,
    model_options,
    session_option,
    shell,
)
from undrift.cli.output import emit, say
from undrift.cli.paths import Folder, OutputFile
from undrift.cli.sessions import edit_command, free_folder, open_session, turn_json, turn_line
from undrift.cli.text import line
from undrift.errors import InputError
from undrift.outputs import check_ending

if TYPE_CHECKING:
    from undrift.session.model import Turn
    from undrift.session.provenance import Recorded
    from undrift.session.store import Session

ENDINGS = {
    "png": (".png",),
    "zip": (".zip",),
    "sheet": (".png",),
    "animation": (".webp", ".gif"),
    "commands": (".sh", ".txt"),
    "python": (".py", ".txt"),
}
"""What the name of each kind of file may end in."""

BY_ENDING = {
    ".png": "png",
    ".zip": "zip",
    ".sh": "commands",
    ".py": "python",
    ".webp": "animation",
    ".gif": "animation",
}


@click.command()
@click.argument("turn", default="head")
@click.option("--output", "-o", required=True, type=OutputFile(), help="File to write.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(list(ENDINGS)),
    help="Default: by the file's name (.png, .zip, .webp, .gif, .sh, .py).",
)
@click.option("--captions", is_flag=True, help="Of an animation: number and prompt below each picture.")
@click.option(
    "--seconds", type=float, metavar="S", help="Of an animation: how long each picture is shown. Default: 1."
)
@session_option
@json_option
@common
def export(
    turn: str,
    output: Path,
    kind: str | None,
    captions: bool,
    seconds: float | None,
    session: Path | None,
    as_json: bool,
) -> None:
    """Write TURN, or the session, to a file.

    \b
    png        the picture of TURN with the metadata of every turn that led to it
    zip        the whole session; undrift unpack makes it a session again
    sheet      a contact sheet of the turns that led to TURN
    animation  those turns one after another, .webp (every pixel) or .gif (256 colours)
    commands   undrift commands that make TURN again
    python     a Python script that makes TURN again
    """
    chosen = kind or BY_ENDING.get(output.suffix.lower())
    if chosen is None:
        raise InputError(f"'{output}': say what to write with --format, or end the name in {', '.join(BY_ENDING)}")
    check_ending(output, ENDINGS[chosen])
    opened = open_session(session)
    found = opened.turn(turn)
    if chosen == "animation":
        from undrift.session.animation import write_animation

        shown = 1.0 if seconds is None else seconds
        write_animation(opened, output, opened.path(found), seconds=shown, captions=captions)
    elif captions or seconds is not None:
        raise InputError("--captions and --seconds are for animations: end the name in .webp or .gif")
    else:
        _write(opened, found, output, chosen)
    emit(as_json, {"output": str(output), "format": chosen}, f"wrote {output}")


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@click.option(
    "--output",
    "-o",
    type=Folder(),
    help="Folder of the session. Default: named after the file.",
)
@json_option
@common
def unpack(archive: Path, output: Path | None, as_json: bool) -> None:
    """Open ARCHIVE, a session that export wrote as a zip file, from whomever it came."""
    from undrift.session.unpack import import_zip

    opened = import_zip(archive, output or free_folder(archive.stem))
    text = f"session {opened.folder}: {turn_line(opened.head)}\nedit it with: {edit_command(opened.folder)}"
    emit(as_json, turn_json(opened, opened.head), text)


@click.command()
@click.argument("turn", required=False)
@click.option("--image", type=click.Path(path_type=Path), help="Start from this picture instead.")
@click.option("--prompt", "-p", help="What that picture shows. Default: the recorded prompt.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), metavar="N", help="For all turns. Default: as recorded.")
@click.option(
    "--output",
    "-o",
    type=Folder(),
    help="Folder of the new session. Default: undrift-replay.",
)
@session_option
@model_options
@method_options
@json_option
@common
def replay(
    turn: str | None,
    image: Path | None,
    prompt: str | None,
    seed: int | None,
    output: Path | None,
    session: Path | None,
    chosen_model: ModelChoice,
    chosen_method: MethodChoice,
    as_json: bool,
) -> None:
    """Run a session, or the way to TURN, again as a new session.

    With nothing changed, the same machine, threads and versions give the same bytes. Model, method and parameters
    are those recorded, unless given here.
    """
    from undrift.cli import execution
    from undrift.cli.progress import StopOnInterrupt
    from undrift.cli.recorded_models import Recorded
    from undrift.pictures import read_picture
    from undrift.session.appearing import check_free
    from undrift.session.replay import repeated_turns
    from undrift.session.replay import replay as run_again

    folder = output or free_folder("undrift-replay")
    check_free(folder)
    opened = open_session(session)
    execution.name_models(chosen_method)
    picture = None if image is None else read_picture(image)
    models = Recorded(opened, chosen_model)
    models.check(repeated_turns(opened.tree(), turn))
    backbone = models.first(opened.turn(turn or "head"))
    with StopOnInterrupt() as stop:
        again = run_again(
            opened,
            folder,
            backbone,
            image=picture,
            prompt=prompt,
            seed=seed,
            method=lambda spec: execution.recorded_or_chosen(chosen_method, spec, models.of(spec).tuned),
            model=models.of,
            turn=turn,
            observers=[stop],
            finished=_tell,
        )
    turns = [made.model_dump(mode="json") for made in again.turns()]
    emit(as_json, {"session": str(again.folder), "turns": turns}, f"session {again.folder}: {turn_line(again.head)}")


@click.command()
@click.argument("picture", type=click.Path(path_type=Path))
@json_option
@common
def info(picture: Path, as_json: bool) -> None:
    """Show how PICTURE, a PNG made by undrift, came about."""
    from undrift.pictures import read_metadata
    from undrift.session.provenance import recall

    text = _told(recall(picture))
    emit(as_json, read_metadata(picture), text)


def _write(session: Session, turn: Turn, output: Path, kind: str) -> None:
    from undrift.session import export, script

    if kind == "png":
        export.export_png(session, turn, output)
    elif kind == "zip":
        export.export_zip(session, output)
    elif kind == "sheet":
        export.write_contact_sheet(session, output, session.path(turn))
    elif kind == "commands":
        typed = "\n".join(script.commands(session, turn)) + "\n"
        _write_script(session, turn, output, typed)
    else:
        _write_script(session, turn, output, script.python_script(session, turn))


def _write_script(session: Session, turn: Turn, output: Path, text: str) -> None:
    from undrift.outputs import write_output
    from undrift.session import script

    names = script.models(session, turn)  # reads every latent on the way, one of which may be damaged
    write_output(output, script.contents(text))
    _tell_models(names)


def _tell_models(names: tuple[str, ...]) -> None:
    """Say which models running a script would download or open that nobody at this machine has named."""
    from undrift.backbones.locate import NotNamedError, locate
    from undrift.errors import ModelError

    for name in names:
        try:
            locate(name, named=False)
        except NotNamedError as error:
            say(f"note: running it takes the model {line(error.what)}", err=True)
        except ModelError:
            continue


def _tell(turn: Turn) -> None:
    if not shell().quiet:
        say(f"{turn_line(turn)} ({turn.seconds:.1f} s)", err=True)


def _told(found: Recorded) -> str:
    lines = [f"made by {line(found.software)}"]
    for turn in found.turns:
        lines.append(f"{turn.number}  {line(turn.prompt)}")
        if spec := turn.spec:
            ran = f"{spec.model} ({spec.weights_hash}) in {spec.dtype} on {spec.device}"
            lines.append(line(f"   {spec.method}, preset {spec.preset}, seed {spec.seed}, {ran}"))
    return "\n".join(lines)
