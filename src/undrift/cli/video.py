"""``undrift video``: the frames of a clip edited alike, what stands still taken over bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
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
    shell,
)
from undrift.cli.output import emit
from undrift.cli.paths import Folder, OutputFile
from undrift.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
"""Of the pictures that are looked for in a folder of frames."""


@click.command()
@click.argument("frames", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FRAMES...")
@click.option("--prompt", "-p", required=True, help="What every frame shows.")
@click.option("--edit", "-e", required=True, help="What it is to show.")
@click.option("--output", "-o", required=True, type=Folder(), help="New folder for the edited frames, 0001.png on.")
@click.option("--animation", type=OutputFile(), help="Also as an animation, FILE.webp (lossless) or FILE.gif.")
@click.option("--fps", type=click.FloatRange(0.1, 50), default=12.0, show_default=True, help="Frames a second of it.")
@click.option(
    "--pull",
    type=click.FloatRange(0, 1),
    default=0.7,
    show_default=True,
    help="Weight of the anchors, the edited frame before and the edited first one, where nothing moves.",
)
@click.option("--single", is_flag=True, help="Edit every frame by itself, for comparison.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, metavar="N", help="Of every frame."
)
@model_options
@method_options
@json_option
@common
def video(
    frames: tuple[Path, ...],
    prompt: str,
    edit: str,
    output: Path,
    animation: Path | None,
    fps: float,
    pull: float,
    single: bool,
    seed: int,
    chosen_model: ModelChoice,
    chosen_method: MethodChoice,
    as_json: bool,
) -> None:
    """Edit a clip frame by frame.

    FRAMES are its pictures in order, or one folder of them, taken in the order of their names' numbers. What stands
    still is the edited frame before bit for bit, what the first frame showed again is the edited first one, and the
    rest is made anew, pulled towards both. A film is taken apart with: ffmpeg -i FILM frames/%04d.png

    \b
    undrift video frames/ -p "a cat on a sofa" -e "a cat with a red hat on a sofa" -o edited
    """
    from functools import partial

    from undrift.cli import execution
    from undrift.cli.progress import edit_frames
    from undrift.pictures import read_picture
    from undrift.session.animation import kind_of
    from undrift.session.clips import ClipPlan, edited_clip, single_frames

    if animation is not None:
        kind_of(animation)
    execution.name_models(chosen_method)
    chosen = execution.choose_method(chosen_method)
    paths = frame_files(frames)
    pictures = [read_picture(path) for path in paths]
    plan = ClipPlan(prompt, edit, seed, pull)
    backbone = execution.load_model(chosen_model)
    execution.advise(backbone, pictures[0], [prompt, edit])
    method = chosen.fitted(backbone.tuned)
    method.check(backbone)
    editing = partial(single_frames if single else edited_clip, backbone, method, pictures, plan)
    execution.remembers(backbone)
    made = edit_frames(editing, len(pictures), shell().quiet)
    _write(output, [frame.picture for frame in made], animation, fps)
    told = [
        {
            "frame": str(output / _name(number)),
            "made": round(frame.made, 4),
            "evaluations": frame.evaluations,
            "remembered": frame.remembered,
        }
        for number, frame in enumerate(made, 1)
    ]
    share, spent = sum(frame.made for frame in made) / len(made), sum(frame.evaluations for frame in made)
    ahead = f", {known} of them ahead" if (known := sum(frame.remembered for frame in made)) else ""
    said = f"{output}: {len(made)} frames, {100 * share:.0f} % of their pixels made, {spent} evaluations{ahead}"
    emit(as_json, {"output": str(output), "method": method.name, "seed": seed, "frames": told}, said)


def frame_files(given: Sequence[Path]) -> list[Path]:
    """The files of a clip: those given, or those in the one folder given, by the numbers in their names.

    Raises:
        InputError: a folder among files, or one without pictures.
    """
    folders = [path for path in given if path.is_dir()]
    if not folders:
        return list(given)
    if len(given) > 1:
        raise InputError(f"'{folders[0]}' is a folder: give one folder of frames, or the frames themselves")
    found = [path for path in folders[0].iterdir() if path.suffix.lower() in ENDINGS]
    if not found:
        raise InputError(f"no frames in '{folders[0]}', expected pictures such as 0001.png")
    return sorted(found, key=_by_number)


def _by_number(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sorts ``frame2`` before ``frame10``."""
    import re

    parts = re.findall(r"\d+|\D+", path.name)
    return tuple((0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts)


def _name(number: int) -> str:
    return f"{number:04}.png"


def _write(output: Path, pictures: Sequence[Image.Image], animation: Path | None, fps: float) -> None:
    """The folder as a whole, or none of it; then the animation."""
    from undrift.files import new_folder
    from undrift.outputs import write_output
    from undrift.pictures import png_bytes
    from undrift.session.animation import animated, kind_of

    with new_folder(output) as folder:
        for number, picture in enumerate(pictures, 1):
            (folder / _name(number)).write_bytes(png_bytes(picture))
    if animation is not None:
        write_output(animation, animated(pictures, kind_of(animation), 1.0 / fps))
