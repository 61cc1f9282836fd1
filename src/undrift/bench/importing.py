"""Pictures that another system made, as a run that can be scored and reported like any other.

FOLDER/pictures.json says what they are:

{"suite": {"name": "littleworld", "variant": "quick"},   which cases; a "data" path is relative to FOLDER
 "label": "rival", "method": "Rival 1.0", "model": "...", "params": {...},
 "pictures": "{case}/{turn}.png",                        where the picture of a case and turn lies; * and ** match
 "strip": false}                                         true: each file is a strip whose right-most square counts
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from PIL import Image
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

import undrift
from undrift.bench.case import Case
from undrift.bench.data.pie import Text
from undrift.bench.records import Manifest, MethodSpec, RunFolder, TurnRecord
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite
from undrift.errors import InputError, PictureError
from undrift.files import sha256, write_atomically
from undrift.pictures import png_bytes, read_picture
from undrift.wording import problem

DESCRIPTION = "pictures.json"
ELSEWHERE = "elsewhere"


class Pictures(BaseModel):
    """What ``pictures.json`` says.

    Attributes:
        suite: the cases that the pictures answer.
        label: names them in tables and folders.
        method, model, params: what made them, as far as known; printed, never interpreted.
        pictures: the file of a picture below the folder, with {case} and {turn} (also {turn:02}), * and **.
        strip: files are strips of squares, as PnP Inversion's evaluator wants them; the right-most one counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: SuiteSpec
    label: Annotated[str, StringConstraints(pattern=r"^\w[\w.-]*$")]
    method: Text = ELSEWHERE
    model: Text = ELSEWHERE
    params: dict[str, Any] = {}
    pictures: Annotated[str, AfterValidator(lambda text: _pattern(text))] = "{case}/{turn}.png"
    strip: bool = False


@dataclass(frozen=True)
class Problem:
    """A picture that cannot be taken, and why in a line."""

    case: str
    turn: int
    why: str


@dataclass(frozen=True)
class Imported:
    """What became of a folder.

    Attributes:
        taken: pictures that are in the run.
        left_out: good pictures that are not, because an earlier one of their case is bad.
        problems: the bad ones.
    """

    taken: int
    left_out: int
    problems: tuple[Problem, ...]


def read_description(folder: Path) -> Pictures:
    """What ``pictures.json`` in a folder says; its data path made absolute.

    Raises:
        InputError: it is missing, or says something that cannot be used.
    """
    file = folder / DESCRIPTION
    try:
        found = Pictures.model_validate_json(file.read_bytes())
    except OSError:
        raise InputError(
            f"'{folder}' has no {DESCRIPTION}, which says what the pictures are: see docs/data.md"
        ) from None
    except ValidationError as error:
        raise InputError(f"'{file}': {problem(error)}; see docs/data.md") from None
    if found.suite.data is None:
        return found
    data = (folder / found.suite.data).resolve()
    return found.model_copy(update={"suite": found.suite.model_copy(update={"data": data})})


def import_pictures(folder: Path, run: Path) -> Imported:
    """Make the run folder ``run`` of the pictures in ``folder``; it is there complete or not at all.

    A picture that is missing, damaged or of another size than its case's original is an error of its turn in the run;
    the turns after it are left out, as in any run, because nobody knows what they would have started from. All such
    pictures are returned. Nothing is resized.

    Raises:
        InputError: no description, no such suite, or ``run`` exists.
        SessionError: a file cannot be written.
    """
    said = read_description(folder)
    cases = _opened(folder, said)
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise InputError(f"'{run}' exists already; name another folder with --output")
    partial = run.with_name(f"{run.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    target = RunFolder(partial)
    target.start(_manifest(said))
    imported = [_import_case(folder, said, case, target) for case in cases]
    partial.replace(run)
    return Imported(
        taken=sum(each.taken for each in imported),
        left_out=sum(each.left_out for each in imported),
        problems=tuple(problem for each in imported for problem in each.problems),
    )


def find_problems(folder: Path) -> tuple[Pictures, list[Problem]]:
    """What ``pictures.json`` says, and every picture that could not be imported.

    Raises:
        InputError: no description, or no such suite.
    """
    said = read_description(folder)
    found = [read for case in _opened(folder, said) for read in _pictures(folder, said, case)]
    return said, [read for read in found if isinstance(read, Problem)]


def right_square(strip: Image.Image) -> Image.Image:
    """The right-most square of a strip.

    Raises:
        PictureError: it is higher than wide.
    """
    width, height = strip.size
    if width < height:
        raise PictureError(f"the strip has {width}x{height} pixels, expected squares side by side")
    return strip.crop((width - height, 0, width, height))


def _import_case(folder: Path, said: Pictures, case: Case, target: RunFolder) -> Imported:
    read = list(_pictures(folder, said, case))
    problems = tuple(picture for picture in read if isinstance(picture, Problem))
    taken = read.index(problems[0]) if problems else len(read)
    place = target.folder(said.label, case.id)
    place.mkdir(parents=True)
    target.write_records(
        said.label,
        case.id,
        [_record(said.label, case, turn, got, place) for turn, got in enumerate(read[: taken + 1], 1)],
    )
    return Imported(taken, len(read) - taken - len(problems), problems)


def _record(label: str, case: Case, turn: int, got: Image.Image | Problem, place: Path) -> TurnRecord:
    task = case.tasks[turn - 1]
    common = TurnRecord(
        label=label,
        case=case.id,
        turn=turn,
        edit_type=task.edit_type,
        source_prompt=task.source_prompt,
        target_prompt=task.target_prompt,
        seed=case.seed_of(turn),
    )
    if isinstance(got, Problem):
        return common.model_copy(update={"error": got.why})
    data = png_bytes(got)
    write_atomically(place / f"{turn}.png", data)
    return common.model_copy(update={"image": f"{turn}.png", "image_hash": sha256(data)})


def _pictures(folder: Path, said: Pictures, case: Case) -> Iterator[Image.Image | Problem]:
    """Each turn's picture, or why there is none."""
    try:
        size: tuple[int, int] | str = case.original().size
    except PictureError as error:
        size = f"the original cannot be read: {error}"
    for turn in range(1, case.turns + 1):
        try:
            yield _picture(folder, said, case.id, turn, size)
        except PictureError as error:
            yield Problem(case.id, turn, str(error))


def _picture(folder: Path, said: Pictures, case: str, turn: int, size: tuple[int, int] | str) -> Image.Image:
    if isinstance(size, str):
        raise PictureError(size)
    file = _file(folder, said.pictures.format(case=case, turn=turn))
    picture = right_square(read_picture(file)) if said.strip else read_picture(file)
    if picture.size != size:
        given, wanted = ("x".join(map(str, pair)) for pair in (picture.size, size))
        raise PictureError(f"'{file}' has {given} pixels, the original has {wanted}: save it unresized")
    return picture


def _file(folder: Path, name: str) -> Path:
    if "*" not in name:
        return folder / name
    found: Sequence[Path] = sorted(folder.glob(name))
    if len(found) != 1:
        raise PictureError(f"{len(found)} files are named {name} in '{folder}', expected one")
    return found[0]


def _pattern(text: str) -> str:
    """The pattern, if it names another file below the folder for each case."""
    try:
        names = {text.format(case=case, turn=1) for case in ("a", "b")}
    except (KeyError, IndexError, ValueError, AttributeError):
        names = set()
    if len(names) < 2 or text.startswith("/") or ".." in Path(text).parts:
        raise ValueError(f"'{text}' names no file of each case and turn, expected one such as {{case}}/{{turn}}.png")
    return text


def _opened(folder: Path, said: Pictures) -> Sequence[Case]:
    """The cases, if the pattern tells their turns apart."""
    cases = open_suite(said.suite)
    names = {said.pictures.format(case="a", turn=turn) for turn in (1, 2)}
    if len(names) == 1 and max(case.turns for case in cases) > 1:
        raise InputError(
            f"'{folder / DESCRIPTION}': pictures has no {{turn}}, but the suite has several turns a case"
        )
    return cases


def _manifest(said: Pictures) -> Manifest:
    return Manifest(
        suite=said.suite,
        methods=(MethodSpec(label=said.label, method=said.method, preset="imported", params=said.params),),
        model=said.model,
        weights_hash="",
        dtype="",
        versions={"undrift": undrift.__version__},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
