"""The turns of one case by one method, as they stand on disk."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from undrift.backbones.base import Backbone, Latent
from undrift.bench.case import Case
from undrift.bench.records import RunFolder, TurnRecord
from undrift.errors import SessionError
from undrift.files import reason, sha256, write_atomically
from undrift.pictures import png_bytes, read_picture
from undrift.session import latents


@dataclass(frozen=True)
class Made:
    """A turn that was just made; ``record`` is complete but for the files' names and hashes."""

    picture: Image.Image
    latent: Latent
    record: TurnRecord


class Ledger:
    """What is there of the turns of ``case`` by the method ``label``.

    Only a turn whose files are what its record says counts as there: what was damaged is made again.

    Attributes:
        case: whose turns.
        label: the method's.
        broken: the case failed in an earlier start of the run: it is tried again, on its own.
    """

    def __init__(self, run: RunFolder, label: str, case: Case) -> None:
        self._run, self.label, self.case = run, label, case
        self.folder = run.folder(label, case.id)
        _sweep(self.folder)
        known = run.records(label, case.id)
        self.broken = any(record.error is not None for record in known)
        self._records = {record.turn: record for record in known if self._is_there(record)}
        self._failed = False

    @property
    def failed(self) -> bool:
        """Whether the case failed since this ledger was opened: no turn of it is made any more."""
        return self._failed

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self._failed or len(self._records) == self.case.turns

    def has(self, turn: int) -> bool:
        """Whether the turn is made and undamaged."""
        return turn in self._records

    def picture(self, turn: int) -> Image.Image:
        """The picture of a finished turn."""
        return read_picture(self._file(turn, "png"))

    def latent(self, turn: int, backbone: Backbone) -> Latent:
        """The latent of a finished turn."""
        return latents.from_bytes(self._file(turn, "safetensors").read_bytes(), backbone).latent

    def keep(self, made: Made, backbone: Backbone) -> TurnRecord:
        """Write a turn: its files first, then its line.

        Raises:
            SessionError: the folder cannot be written.
        """
        turn, image = made.record.turn, png_bytes(made.picture)
        latent = latents.to_bytes(made.latent, backbone)
        _make_folder(self.folder)
        write_atomically(self._file(turn, "png"), image)
        write_atomically(self._file(turn, "safetensors"), latent)
        files = {"image": f"{turn}.png", "image_hash": sha256(image), "latent_hash": sha256(latent)}
        return self._write(made.record.model_copy(update=files))

    def fail(self, record: TurnRecord) -> TurnRecord:
        """Write why a turn could not be made; nothing after it stays.

        Raises:
            SessionError: the folder cannot be written.
        """
        self._failed = True
        self._records = {turn: kept for turn, kept in self._records.items() if turn < record.turn}
        _make_folder(self.folder)
        return self._write(record)

    def _write(self, record: TurnRecord) -> TurnRecord:
        self._records[record.turn] = record
        self._run.write_records(self.label, self.case.id, [self._records[turn] for turn in sorted(self._records)])
        return record

    def _file(self, turn: int, suffix: str) -> Path:
        return self.folder / f"{turn}.{suffix}"

    def _is_there(self, record: TurnRecord) -> bool:
        if record.error is not None:
            return False
        files = ((record.image_hash, "png"), (record.latent_hash, "safetensors"))
        try:
            return all(sha256(self._file(record.turn, suffix).read_bytes()) == hash_ for hash_, suffix in files)
        except OSError:
            return False


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SessionError(f"cannot write '{folder}': {reason(error)}") from error


def _sweep(folder: Path) -> None:
    """Remove what a killed process left half-written."""
    for stale in folder.glob("*.tmp"):
        with contextlib.suppress(OSError):
            stale.unlink()
