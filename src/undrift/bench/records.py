"""What a run leaves on disk, and how it is read: the one place that knows the layout of a run folder.

RUN/manifest.json                      what to do: suite, methods, model, seed, versions
RUN/turns/LABEL/CASE/records.jsonl     one line per finished (or failed) turn of the case, in order
RUN/turns/LABEL/CASE/1.png, 2.png ...  the pictures
RUN/turns/LABEL/CASE/1.safetensors     the latents, from which a stopped run goes on
RUN/turns/LABEL/CASE/scores.jsonl      one line per turn: metric name -> number or null
RUN/sets.json                          numbers of whole sets: label -> turn -> {values: metric name -> number or null,
                                       mark: of the pictures that they are the numbers of}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from undrift.bench.suites.base import SuiteSpec
from undrift.errors import InputError
from undrift.files import write_atomically
from undrift.from_json import from_json
from undrift.wording import problem

MANIFEST, TURNS, RECORDS, SCORES, SETS = "manifest.json", "turns", "records.jsonl", "scores.jsonl", "sets.json"

_EARLIER = re.compile(
    r"source-(psnr|colour-shift|shift|perceptual-\w+)-(outside|whole)"
    r"|(fid|kid)-\w+-source|(drift-rate|unasked-changes)-since-source"
)
"""Metrics against turn 0 as versions up to 0.1 named them, when they called the original ``source``."""


class MethodSpec(BaseModel):
    """An editor with nothing left open.

    Attributes:
        label: names it in tables and folders; unique in the run.
        method: name in the methods' registry, or for pictures made elsewhere what the manifest of their folder says.
        preset: the preset's name, "custom" if changed.
        params: the resolved parameters; empty for pictures made elsewhere.
        oracle: whether it is told each turn's true mask, see ``undrift.bench.runner.oracle``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    method: str
    preset: str
    params: dict[str, Any]
    oracle: bool = False


class Manifest(BaseModel):
    """What a run does; written once, before the work starts.

    Attributes:
        schema_version: of this layout.
        suite: which cases.
        methods: which editors.
        model, weights_hash, dtype, quantize, loras, options: what ran, see ``ModelIdentity``; a run is never
            continued with other weights, or with the same held otherwise.
        seed: added to every case's own.
        handover: ``latent``, or ``image`` to encode each turn's picture again.
        batch: pictures that go through the network together.
        versions: of the packages that decide a result.
        created: UTC, ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    suite: SuiteSpec
    methods: tuple[MethodSpec, ...]
    model: str
    weights_hash: str
    dtype: str
    quantize: str = "none"
    loras: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    seed: int = 0
    handover: str = "latent"
    batch: int = 8
    versions: dict[str, str]
    created: str


class TurnRecord(BaseModel):
    """One turn of one case by one method.

    Attributes:
        label, case, turn: which; turn from 1.
        edit_type: of the task.
        source_prompt, target_prompt: of the task.
        seed: of the turn.
        image: name of the picture beside the record; None if the turn failed.
        image_hash, latent_hash: sha256 of the files.
        evaluations, sample_evaluations: NFE and rows evaluated, as the method spends them on the picture.
        shared: network evaluations that were not computed again because an earlier method had just made them.
        seconds: wall time of the turn, the batch's divided by its pictures.
        peak_memory: bytes at most in use on the device (GPU) or by the process (CPU).
        batch: pictures in the batch.
        device: what computed it.
        error: one line if it failed; the turns after it are not made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    case: str
    turn: int
    edit_type: str
    source_prompt: str
    target_prompt: str
    seed: int
    image: str | None = None
    image_hash: str | None = None
    latent_hash: str | None = None
    evaluations: int = 0
    sample_evaluations: int = 0
    shared: int = 0
    seconds: float = 0.0
    peak_memory: int | None = None
    batch: int = 1
    device: str = ""
    error: str | None = None


Line = TypeVar("Line", bound=BaseModel)
Scores = dict[str, float | None]
Named = TypeVar("Named")


def by_current_name(values: dict[str, Named]) -> dict[str, Named]:
    """What stands under the names of metrics, under the names that they have now."""
    return {name.replace("source", "original") if _EARLIER.fullmatch(name) else name: v for name, v in values.items()}


class TurnScores(BaseModel):
    """The numbers of one turn.

    Attributes:
        turn: which.
        values: by metric name; None where the metric does not apply.
        errors: why a metric failed, by metric name.
        image_hash: of the picture they are the numbers of; another picture has other numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    turn: int
    values: Annotated[Scores, AfterValidator(by_current_name)]
    errors: Annotated[dict[str, str], AfterValidator(by_current_name)] = {}
    image_hash: str | None = None


@dataclass(frozen=True)
class RunFolder:
    """A run on disk."""

    path: Path

    def manifest(self) -> Manifest:
        """The manifest.

        Raises:
            InputError: no run folder, or a manifest of another kind.
        """
        file = self.path / MANIFEST
        try:
            return Manifest.model_validate_json(file.read_bytes())
        except OSError:
            raise InputError(
                f"'{self.path}' is no run folder: it has no {MANIFEST}; make one: undrift bench run"
            ) from None
        except ValidationError as error:
            raise InputError(f"'{file}' is no manifest of a run: {problem(error)}") from None

    def start(self, manifest: Manifest) -> None:
        """Create the folder with its manifest."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / MANIFEST, manifest.model_dump_json(indent=1).encode() + b"\n")

    def folder(self, label: str, case: str) -> Path:
        """Where the turns of one case by one method lie."""
        return self.path / TURNS / label / case

    def records(self, label: str, case: str) -> list[TurnRecord]:
        """The finished and failed turns of a case, in order; a damaged end is dropped, so that it is made again."""
        return list(_lines(self.folder(label, case) / RECORDS, TurnRecord))

    def scores(self, label: str, case: str) -> dict[int, TurnScores]:
        """The scores of a case by turn."""
        return {line.turn: line for line in _lines(self.folder(label, case) / SCORES, TurnScores)}

    def write_records(self, label: str, case: str, records: Sequence[TurnRecord]) -> None:
        """Replace the records of a case."""
        _write_lines(self.folder(label, case) / RECORDS, records)

    def write_scores(self, label: str, case: str, scores: Sequence[TurnScores]) -> None:
        """Replace the scores of a case."""
        _write_lines(self.folder(label, case) / SCORES, scores)

    def sets(self) -> dict[str, dict[int, Scores]]:
        """Numbers of whole sets: label -> turn -> metric name -> number."""
        return {
            label: {int(turn): by_current_name(entry["values"]) for turn, entry in turns.items()}
            for label, turns in self._sets().items()
        }

    def set_mark(self, label: str, turn: int) -> str | None:
        """What ``write_set`` was told of the pictures behind the numbers of a set."""
        entry = self._sets().get(label, {}).get(str(turn))
        return None if entry is None else str(entry["mark"])

    def write_set(self, label: str, turn: int, values: Scores, mark: str) -> None:
        """Replace the numbers of one set; ``mark`` tells its pictures from others."""
        sets = self._sets()
        sets.setdefault(label, {})[str(turn)] = {"values": values, "mark": mark}
        write_atomically(self.path / SETS, json.dumps(sets, indent=1).encode() + b"\n")

    def _sets(self) -> dict[str, dict[str, Any]]:
        try:
            data: dict[str, dict[str, Any]] = from_json((self.path / SETS).read_bytes())
        except (OSError, ValueError):
            return {}
        return data


def _lines(file: Path, model: type[Line]) -> Iterator[Line]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            yield model.model_validate_json(line)
        except ValidationError:
            return


def _write_lines(file: Path, lines: Sequence[BaseModel]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, "".join(line.model_dump_json() + "\n" for line in lines).encode())
