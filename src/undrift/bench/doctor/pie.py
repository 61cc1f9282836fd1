"""Checks of PIE-Bench in its original folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from undrift.bench.data.pie import (
    COUNTS,
    MAPPING,
    PICTURES,
    TYPES,
    MappingEntry,
    checked_picture,
    read_mapping,
    strip_brackets,
    type_folder,
)
from undrift.bench.doctor.finding import GET_ALL, Finding, check_blend, check_brackets, check_mask, check_type
from undrift.errors import PictureError
from undrift.wording import problems

_SORTS = {"1": "artificial", "2": "natural"}
_SUBJECTS = {"1": "animal", "2": "human", "3": "indoor", "4": "outdoor"}


def examine(folder: Path, whole: bool) -> tuple[str, Iterator[Finding]]:
    """What was looked at, and all that is wrong; ``whole`` also misses pictures that are not there.

    Raises:
        InputError: there is no mapping file that could be read.
    """
    mapping = read_mapping(folder)
    return f"{len(mapping)} pictures", _findings(folder, mapping, whole)


def check_counts(names: Sequence[str]) -> Iterator[Finding]:
    """All 700 ids, told by their digits: type, artificial or natural, and what the picture shows."""
    have = Counter(name[:1] for name in names)
    for kind, count in COUNTS.items():
        if not have[str(kind)]:
            yield Finding(type_folder(kind), f"none of its {count} pictures is there", GET_ALL)
        elif kind == 0:
            yield from _missing_of_random(names, count)
        else:
            yield from _missing_of_groups(names, kind, count)


def _missing_of_random(names: Sequence[str], count: int) -> Iterator[Finding]:
    for number in range(count):
        if f"{number:012}" not in names:
            yield Finding(f"{number:012}", "missing", GET_ALL)


def _missing_of_groups(names: Sequence[str], kind: int, count: int) -> Iterator[Finding]:
    groups = Counter(name[1:3] for name in names if name[0] == str(kind))
    expected = count // (len(_SORTS) * len(_SUBJECTS))
    for group in [sort + subject for sort in _SORTS for subject in _SUBJECTS]:
        if groups[group] != expected:
            called = f"{_SORTS[group[0]]}, {_SUBJECTS[group[1]]} (ids {kind}{group}...)"
            yield Finding(type_folder(kind), f"{groups[group]} of {expected} pictures that are {called}", GET_ALL)


def _findings(folder: Path, mapping: dict[str, Any], whole: bool) -> Iterator[Finding]:
    listed: set[Path] = set()
    for name, record in sorted(mapping.items()):
        try:
            entry = MappingEntry.model_validate(record)
        except ValidationError as error:
            yield from (Finding(name, said, f"correct the record in {MAPPING}") for said in problems(error))
            continue
        file = folder / PICTURES / entry.image_path
        listed.add(file)
        yield from _of_entry(name, entry)
        yield from _of_picture(name, file)
    yield from _unlisted(folder, listed)
    if whole:
        yield from check_counts(list(mapping))


def _of_entry(name: str, entry: MappingEntry) -> Iterator[Finding]:
    yield from check_type(name, name, entry.editing_type_id)
    expected = type_folder(entry.editing_type_id)
    if Path(entry.image_path).parts[0] != expected:
        problem = (
            f"type {entry.editing_type_id} ({TYPES[entry.editing_type_id]}), but image_path is {entry.image_path}"
        )
        yield Finding(name, problem, f"correct the type, or move the picture to {expected}")
    for field in ("original_prompt", "editing_prompt"):
        yield from check_brackets(name, field, getattr(entry, field))
    source, target = strip_brackets(entry.original_prompt), strip_brackets(entry.editing_prompt)
    if source == target:
        yield Finding(name, f"both prompts are the same: {source}", "correct editing_prompt")
    yield from check_blend(name, entry.blended_word.split(), source, target)
    yield from check_mask(name, entry.mask)


def _of_picture(name: str, file: Path) -> Iterator[Finding]:
    try:
        checked_picture(file)
    except PictureError as error:
        yield Finding(name, str(error).partition(": use")[0], "unpack the original zip again")


def _unlisted(folder: Path, listed: set[Path]) -> Iterator[Finding]:
    for file in sorted((folder / PICTURES).rglob("*.*")):
        if file.is_file() and file not in listed:
            yield Finding(
                str(file.relative_to(folder)), f"no record in {MAPPING} names it", "remove it, or add a record"
            )
