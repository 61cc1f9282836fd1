"""Checks of multi-turn prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from undrift.bench.data.pie import PieEntry
from undrift.bench.data.prompts import MultiTurn, broken_rules, cut_prompts, prompt_files, read_file
from undrift.bench.doctor.finding import Finding, check_blend, check_mask
from undrift.bench.suites.pie_bench import same_caption
from undrift.errors import InputError

_QUOTE = "put the prompt between quotes, or a line break before the comment"
_WRITE = "write it again with undrift bench make-turns, or correct it"


def examine(folder: Path, entries: Mapping[str, PieEntry] | None = None) -> tuple[str, Iterator[Finding]]:
    """What was looked at, and all that is wrong, also against the pictures if they are known."""
    files = prompt_files(folder)
    return f"prompts of {len(files)} pictures", _findings(folder, files, entries)


def _findings(folder: Path, files: list[Path], entries: Mapping[str, PieEntry] | None) -> Iterator[Finding]:
    read: dict[Path, MultiTurn] = {}
    for file in files:
        where = str(file.relative_to(folder))
        try:
            read[file] = read_file(file)
        except InputError as error:
            yield Finding(where, str(error).removeprefix(f"'{file}'").lstrip(": "), _WRITE)
            continue
        yield from _of_file(where, file, read[file])
        if entries is not None:
            yield from _against_picture(where, read[file], entries.get(file.parent.name))
    yield from _of_lengths(folder, read)
    yield from _without_file(folder, files)


def _of_file(where: str, file: Path, prompts: MultiTurn) -> Iterator[Finding]:
    if file.stem != file.parent.name:
        yield Finding(where, "the file is not named like its folder, whose name counts", f"name it {prompts.id}.yaml")
    yield from (Finding(where, said, _WRITE) for said in broken_rules(prompts))
    for line, field, lost in cut_prompts(file):
        yield Finding(f"{where}, line {line}", f"{field} ends before '{lost}', a comment to YAML", _QUOTE)
    for number, turn in enumerate(prompts.rounds, 1):
        at = f"{where}, round {number}"
        yield from check_blend(at, (turn.blended_word or "").split(), turn.source_prompt, turn.target_prompt)
        if turn.mask is not None:
            yield from check_mask(at, turn.mask)


def _against_picture(where: str, prompts: MultiTurn, entry: PieEntry | None) -> Iterator[Finding]:
    if entry is None:
        yield Finding(where, f"there is no picture {prompts.id}", "remove the folder")
        return
    if not same_caption(prompts.original_prompt, entry.source_prompt):
        yield Finding(where, f"original_prompt is not that of the picture: {entry.source_prompt}", "correct it")
    if prompts.image_path and Path(prompts.image_path).stem != entry.id:
        problem = f"image_path is that of another picture: {prompts.image_path}"
        yield Finding(where, problem, "correct it; the folder's name counts")


def _of_lengths(folder: Path, read: Mapping[Path, MultiTurn]) -> Iterator[Finding]:
    usual = Counter(len(prompts.rounds) for prompts in read.values()).most_common(1)
    for file, prompts in read.items():
        if len(prompts.rounds) != usual[0][0]:
            problem = f"{len(prompts.rounds)} rounds, most others have {usual[0][0]}"
            yield Finding(str(file.relative_to(folder)), problem, _WRITE)


def _without_file(folder: Path, files: list[Path]) -> Iterator[Finding]:
    full = {file.parent for file in files}
    for inside in sorted(folder.iterdir()):
        if inside.is_dir() and inside not in full:
            yield Finding(inside.name, f"no {inside.name}.yaml in it", "remove the folder, or write the prompts")
