"""Writes the prompts of every picture, one file each, and goes on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from undrift.bench.data import pie, pie_pp
from undrift.bench.data.pie import PieEntry
from undrift.bench.data.prompts import Generator, MultiTurn, Round, broken_rules, read_file, write_file
from undrift.bench.make_turns.contract import Dropped, Proposal
from undrift.errors import InputError
from undrift.instructions.exchange import NoAnswer

DROPPED = "dropped.jsonl"
IN_A_ROW = 3
"""Pictures without any answer after which the server counts as gone."""

State = Literal["written", "there", "dropped"]


class Writer(Protocol):
    """Who proposes turns."""

    def generator(self, tries: int) -> Generator: ...

    def propose(self, entry: PieEntry, count: int) -> tuple[list[Proposal], int]: ...


@dataclass(frozen=True)
class Done:
    """What happened to one picture; ``why`` it was dropped."""

    id: str
    state: State
    why: str = ""


def read_pictures(data: Path) -> Sequence[PieEntry]:
    """The pictures of PIE-Bench or PIE-Bench++.

    Raises:
        InputError: it is neither, or damaged.
    """
    if not data.is_dir():
        raise InputError(f"no folder '{data}', expected PIE-Bench or PIE-Bench++")
    return pie_pp.read_entries(data) if any(pie_pp.type_files(data)) else pie.read_entries(data)


def make_turns(entries: Iterable[PieEntry], folder: Path, writer: Writer, turns: int) -> Iterator[Done]:
    """Write ``turns`` turns for each picture, the benchmark's own edit being the first, and tell of each.

    Pictures that have their file already are left alone. What cannot be made is left out, with a line in
    ``dropped.jsonl``; a later run tries it again.

    Raises:
        InputError: fewer than 2 turns, a file is there that another writer made, or the server refuses or is gone.
        SessionError: a file cannot be written.
    """
    if turns < 2:
        raise InputError(f"{turns} turns are PIE-Bench as it is, choose 2 or more")
    silent = 0
    for entry in entries:
        done, answered = _made(entry, folder, writer, turns)
        silent = 0 if answered else silent + 1
        if done.state == "dropped":
            _log(folder, done)
        yield done
        if silent == IN_A_ROW:
            raise InputError(
                f"stopped, {IN_A_ROW} pictures in a row got no answer: {done.why}; run it again to go on"
            )


def _made(entry: PieEntry, folder: Path, writer: Writer, turns: int) -> tuple[Done, bool]:
    """What became of a picture, and whether anybody answered."""
    file = folder / entry.id / f"{entry.id}.yaml"
    if file.exists():
        _same_writer(file, writer.generator(1), turns)
        return Done(entry.id, "there"), True
    try:
        proposals, tries = writer.propose(entry, turns - 1)
    except Dropped as error:
        return Done(entry.id, "dropped", str(error)), True
    except NoAnswer as error:
        return Done(entry.id, "dropped", str(error)), False
    prompts = _prompts(entry, proposals, writer.generator(tries))
    broken = broken_rules(prompts)
    if broken:
        return Done(entry.id, "dropped", broken[0]), True
    write_file(folder, prompts)
    return Done(entry.id, "written"), True


def _prompts(entry: PieEntry, proposals: Sequence[Proposal], generator: Generator) -> MultiTurn:
    own = Proposal(entry.type, entry.instruction or "", entry.target_prompt, "")
    captions = [entry.source_prompt, entry.target_prompt, *(proposal.caption for proposal in proposals)]
    rounds = [
        Round(
            type=turn.type,
            source_prompt=source,
            target_prompt=turn.caption,
            instruction=turn.instruction or None,
            blended_word=" ".join(entry.blended[:2]) or None if turn is own else None,
        )
        for turn, source in zip([own, *proposals], captions, strict=False)
    ]
    return MultiTurn(
        id=entry.id,
        image_path=entry.image_path,
        original_prompt=entry.source_prompt,
        rounds=tuple(rounds),
        generator=generator,
    )


def _same_writer(file: Path, generator: Generator, turns: int) -> None:
    found = read_file(file)
    same = found.generator is not None and found.generator.model_copy(update={"tries": 1}) == generator
    if not same or len(found.rounds) != turns:
        raise InputError(
            f"'{file}' was made in another way or by hand; name another folder with --output, or remove the file"
        )


def _log(folder: Path, done: Done) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / DROPPED).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"id": done.id, "why": done.why}, ensure_ascii=False) + "\n")
