"""PIE-Bench in its original folder, and what it shares with PIE-Bench++: cases of one turn or of several."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from PIL import Image

from undrift.bench.case import Case, Mask, Task
from undrift.bench.data import prompts as turns
from undrift.bench.data.pie import TYPES, PieEntry, decode_mask, has_words, read_entries
from undrift.bench.data.prompts import MultiTurn, Round
from undrift.bench.suites.base import Suite
from undrift.errors import InputError

MULTI_TURN = "multi-turn"


class PieCase(Case):
    """A picture of PIE-Bench with the turns to make of it; nobody knows the right pictures."""

    def __init__(self, entry: PieEntry, tasks: Sequence[Task], masks: Mapping[int, Sequence[int]], seed: int) -> None:
        self.id, self.tasks, self.seed = entry.id, tuple(tasks), seed
        self._entry, self._masks = entry, masks

    def original(self) -> Image.Image:
        return self._entry.picture()

    def mask(self, turn: int) -> Mask | None:
        return decode_mask(self._masks[turn]) if turn in self._masks else None


def single_turn(entry: PieEntry, seed: int) -> PieCase:
    """The edit that the benchmark itself asks for, with its mask."""
    task = Task(entry.source_prompt, entry.target_prompt, TYPES[entry.type], entry.instruction, entry.words)
    return PieCase(entry, [task], {1: entry.runs}, seed)


def multi_turn(entry: PieEntry, prompts: MultiTurn, seed: int) -> PieCase:
    """The turns of a prompts file. A turn's mask is the file's; else round 1 has the benchmark's own mask if it asks
    for the benchmark's own edit, and the others have none.
    """
    masks = {number: turn.mask for number, turn in enumerate(prompts.rounds, 1) if turn.mask}
    if same_caption(prompts.rounds[0].target_prompt, entry.target_prompt):
        masks.setdefault(1, entry.runs)
    return PieCase(entry, [_task(turn) for turn in prompts.rounds], masks, seed)


def same_caption(one: str, other: str) -> bool:
    """Whether two captions differ in nothing but case, spaces and a last full stop."""
    left, right = (" ".join(text.casefold().split()).rstrip(".") for text in (one, other))
    return left == right


class PieSuite(Suite):
    """What the two layouts share."""

    variants: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "default": "one turn, the benchmark's own edit",
            MULTI_TURN: f"the turns in {turns.FOLDER}/<id>/<id>.yaml, in the data's folder or beside it",
        }
    )

    @abstractmethod
    def entries(self) -> list[PieEntry]:
        """Every picture with its edit, in the order of their ids."""

    def cases(self) -> Sequence[Case]:
        entries = self.entries()
        if self.spec.variant == MULTI_TURN:
            return list(self._multi_turn(entries))
        return [single_turn(entry, seed) for seed, entry in enumerate(entries)]

    def _multi_turn(self, entries: Sequence[PieEntry]) -> Iterator[Case]:
        folder = prompts_folder(self.data)
        found = turns.read_folder(folder)
        strangers = sorted(set(found) - {entry.id for entry in entries})
        if strangers:
            raise InputError(f"'{folder / strangers[0]}' belongs to no picture of '{self.data}'; remove the folder")
        for seed, entry in enumerate(entries):
            if entry.id in found:
                yield multi_turn(entry, found[entry.id], seed)


def prompts_folder(data: Path) -> Path:
    """Where the multi-turn prompts of a data folder lie.

    Raises:
        InputError: there are none.
    """
    for folder in (data / turns.FOLDER, data.parent / turns.FOLDER):
        if folder.is_dir():
            return folder
    raise InputError(
        f"no folder {turns.FOLDER} in '{data}' or beside it; write the prompts: undrift bench make-turns {data}"
    )


class PieBench(PieSuite):
    """The folder that the authors' zip unpacks to."""

    name: ClassVar[str] = "pie-bench"
    title: ClassVar[str] = "PIE-Bench (arXiv 2310.01506)"

    def entries(self) -> list[PieEntry]:
        return read_entries(self.data)


def _task(turn: Round) -> Task:
    blended = (turn.blended_word or "").split()[1:2]
    words = tuple(word for word in blended if has_words(turn.target_prompt, word))
    return Task(turn.source_prompt, turn.target_prompt, TYPES[turn.type], turn.instruction, words or None)
