"""PIE-Bench's own files: ``mapping_file.json``, ``annotation_images/``, run-length masks, prompts with brackets.

The layout is that of the data set's authors (Ju et al., PnP Inversion, arXiv 2310.01506). Nothing of it is shipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
from PIL import Image
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from undrift.bench.case import Mask
from undrift.errors import InputError, PictureError
from undrift.files import open_regular
from undrift.from_json import from_json
from undrift.pictures import read_picture
from undrift.wording import problem

MAPPING, PICTURES = "mapping_file.json", "annotation_images"
SIZE = 512
"""Width and height of every picture and mask."""

TYPES: Mapping[int, str] = MappingProxyType(
    {
        0: "random",
        1: "change object",
        2: "add object",
        3: "delete object",
        4: "change attribute content",
        5: "change attribute pose",
        6: "change attribute color",
        7: "change attribute material",
        8: "change background",
        9: "change style",
    }
)
"""Edit types by number."""

COUNTS: Mapping[int, int] = MappingProxyType({0: 140, 1: 80, 2: 80, 3: 80, 4: 40, 5: 40, 6: 40, 7: 40, 8: 80, 9: 80})
"""Pictures of each type: 700 together."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
CaseId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")]
"""It names folders."""
RunLengths = Annotated[tuple[int, ...], AfterValidator(lambda runs: _in_pairs(runs))]
TypeId = Annotated[int, Field(ge=min(TYPES), le=max(TYPES))]


class MappingEntry(BaseModel):
    """One record of ``mapping_file.json``; see ``PieEntry`` for what it comes to."""

    model_config = ConfigDict(frozen=True)

    image_path: Text
    original_prompt: Text
    editing_prompt: Text
    editing_instruction: str = ""
    editing_type_id: TypeId
    blended_word: str = ""
    mask: RunLengths


@dataclass(frozen=True)
class PieEntry:
    """A picture with one edit.

    Attributes:
        id: twelve digits; the first is the type, then 1 artificial or 2 natural, then 1 animal, 2 human, 3 indoor or
            4 outdoor (zeros for type 0).
        type: key of `TYPES`.
        image_path: where the picture lies in the original folder.
        source_prompt, target_prompt: without brackets.
        marked: what brackets marked in the target prompt: the part that differs.
        instruction: the edit as an instruction.
        blended: the word of the source and the word of the target prompt that the edit turns on; empty where unknown.
        runs: the mask, see `decode_mask`.
        picture: reads the picture.
    """

    id: str
    type: int
    image_path: str
    source_prompt: str
    target_prompt: str
    marked: tuple[str, ...]
    instruction: str | None
    blended: tuple[str, ...]
    runs: tuple[int, ...]
    picture: Callable[[], Image.Image]

    @property
    def words(self) -> tuple[str, ...] | None:
        """The blended word of the target, if the target prompt has it."""
        found = tuple(word for word in self.blended[1::2] if has_words(self.target_prompt, word))
        return found or None


def type_folder(number: int) -> str:
    """The folder of a type, such as "4_change_attribute_content_40"."""
    return f"{number}_{TYPES[number].replace(' ', '_')}_{COUNTS[number]}"


def decode_mask(runs: Sequence[int]) -> Mask:
    """A mask from start, length, start, length, ... in row-major order, (512, 512).

    As the official reader does it: runs are cut off at the end of the picture, and the outermost rows and columns
    belong to every mask ("annotation errors at the boundary").
    """
    flat = np.zeros(SIZE * SIZE, dtype=np.bool_)
    for start, length in zip(runs[::2], runs[1::2], strict=True):
        flat[start : start + length] = True
    mask = flat.reshape(SIZE, SIZE)
    mask[[0, -1], :] = True
    mask[:, [0, -1]] = True
    return mask


def encode_mask(mask: Mask) -> list[int]:
    """Start, length, start, length, ... of the True runs of a (512, 512) mask in row-major order."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.ravel().astype(np.int8), [0]))))
    starts, stops = edges[::2], edges[1::2]
    return [int(number) for pair in zip(starts, stops - starts, strict=True) for number in pair]


def strip_brackets(prompt: str) -> str:
    """The prompt without its bracket characters; what stands in them stays."""
    return prompt.replace("[", "").replace("]", "").strip()


def marked_parts(prompt: str) -> tuple[str, ...]:
    """What stands in brackets, in order."""
    return tuple(part.strip() for part in re.findall(r"\[([^\[\]]*)\]", prompt) if part.strip())


def has_words(prompt: str, words: str) -> bool:
    """Whether ``words`` stand in ``prompt`` as whole words, in a row and in any case."""
    wanted = r"\W+".join(map(re.escape, re.findall(r"\w+", words)))
    return bool(wanted) and re.search(rf"\b{wanted}\b", prompt, re.IGNORECASE) is not None


def read_mapping(folder: Path) -> dict[str, Any]:
    """The records of ``mapping_file.json`` by id, unchecked, in the file's order.

    Raises:
        InputError: the file is missing or no JSON object.
    """
    file = folder / MAPPING
    try:
        with open_regular(file) as opened:
            data = from_json(opened.read())
    except OSError:
        raise InputError(
            f"'{folder}' is no PIE-Bench folder: it has no {MAPPING}; name the folder that the zip unpacks to"
        ) from None
    except ValueError as error:
        raise InputError(f"'{file}' is no JSON: {error}; unpack the zip again") from None
    if not isinstance(data, dict):
        raise InputError(f"'{file}' holds a {type(data).__name__}, expected an object of records by id")
    return data


def read_entries(folder: Path) -> list[PieEntry]:
    """The pictures of an original folder with their edits, in the order of their ids.

    Raises:
        InputError: no such folder, or a record is not what it should be.
    """
    return [_entry(folder, name, record) for name, record in sorted(read_mapping(folder).items())]


def checked_picture(path: Path) -> Image.Image:
    """A picture of the benchmark's size.

    Raises:
        PictureError: missing, damaged or of another size.
    """
    picture = read_picture(path)
    if picture.size != (SIZE, SIZE):
        raise PictureError(wrong_size(f"'{path}'", picture))
    return picture


def wrong_size(name: str, picture: Image.Image) -> str:
    """Says that a picture is not of the benchmark's size."""
    given, expected = f"{picture.width}x{picture.height}", f"{SIZE}x{SIZE}"
    return f"{name} has {given} pixels, PIE-Bench pictures have {expected}: use the originals"


def _entry(folder: Path, name: str, record: object) -> PieEntry:
    try:
        TypeAdapter(CaseId).validate_python(name)
        read = MappingEntry.model_validate(record)
    except ValidationError as error:
        said = problem(error)
        raise InputError(
            f"'{folder / MAPPING}', {name}: {said}; all problems: undrift bench doctor {folder}"
        ) from None
    return PieEntry(
        id=name,
        type=read.editing_type_id,
        image_path=read.image_path,
        source_prompt=strip_brackets(read.original_prompt),
        target_prompt=strip_brackets(read.editing_prompt),
        marked=marked_parts(read.editing_prompt),
        instruction=read.editing_instruction.strip() or None,
        blended=tuple(read.blended_word.split()),
        runs=read.mask,
        picture=partial(checked_picture, folder / PICTURES / read.image_path),
    )


def _in_pairs(runs: tuple[int, ...]) -> tuple[int, ...]:
    if any(number < 0 for number in runs):
        raise ValueError(f"{min(runs)} is negative, expected pairs of start and length")
    if len(runs) % 2:
        raise ValueError(f"{len(runs)} numbers, expected pairs of start and length")
    return runs
