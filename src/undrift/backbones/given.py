"""Files of weights that somebody gave beside a model, ``--transformer`` and ``--lora``: in records, and found again.

Records name them by what they hold, ``style.safetensors:0.8@1f2e3d4c5b6a7988``, never by where they are: a session
goes to other machines and comes from them. Where such a file is on this one is known of those that were given here
(``undrift.backbones.named``), and no other is looked for.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from undrift.backbones.named import files_of
from undrift.backbones.weights import weights_digest
from undrift.errors import ModelError

TRANSFORMER = "transformer"
"""What the option is called that records a transformer's file, see ``ModelIdentity.options``."""

DIGEST = re.compile(r"[0-9a-f]{16}")


class Recorded(Protocol):
    """What says which model ran: a turn's spec, what encoded a picture, or a model's identity."""

    @property
    def loras(self) -> tuple[str, ...]:
        """Adapters, a label each."""
        ...

    @property
    def options(self) -> tuple[str, ...]:
        """``name=value`` each."""
        ...


@dataclass(frozen=True)
class GivenFile:
    """A file as records name it.

    Attributes:
        name: without its folder.
        digest: of what it holds, see ``weights_digest``.
        scale: of an adapter, as text; None for a transformer.
    """

    name: str
    digest: str
    scale: str | None = None

    @property
    def label(self) -> str:
        """As records have it: ``name@digest``, an adapter's ``name:scale@digest``."""
        return f"{self._scaled(self.name)}@{self.digest}"

    @property
    def option(self) -> str:
        """What gives it on the command line, with its name in place of its path."""
        return f"--{TRANSFORMER if self.scale is None else 'lora'} {shlex.quote(self._scaled(self.name))}"

    def at(self, path: Path) -> str:
        """What the option takes for the same file at ``path``."""
        return self._scaled(str(path))

    def found(self) -> str:
        """What the option takes for it where it is on this machine.

        Raises:
            MissingFileError: it was not given here before, or is not there any more.
        """
        places = files_of(self.digest)
        for path in places:
            if self._is(path):
                return self.at(path)
        if not places:
            raise MissingFileError(self, "was never given on this machine")
        gone = f"is no longer at {places[0]}" if not places[0].is_file() else f"is another file at {places[0]} now"
        raise MissingFileError(self, gone)

    def located(self) -> str:
        """The same, with its bare name where it is nowhere: for commands that others read."""
        try:
            return self.found()
        except MissingFileError:
            return self._scaled(self.name)

    def _is(self, path: Path) -> bool:
        try:
            return path.is_file() and weights_digest([path]) == self.digest
        except (OSError, ModelError):
            return False

    def _scaled(self, text: str) -> str:
        return text if self.scale is None else f"{text}:{self.scale}"


class MissingFileError(ModelError):
    """A file that a record names and that is not here."""

    def __init__(self, file: GivenFile, lacks: str) -> None:
        super().__init__(f"{file.name}, which {lacks}")
        self.file = file


def scale_text(scale: float) -> str:
    """A scale in few digits that are read back as the same number."""
    short = f"{scale:g}"
    return short if float(short) == scale else repr(scale)


def transformer_of(record: Recorded) -> GivenFile | None:
    """The file that a model had its transformer of; None for its own."""
    values = (option.partition("=")[2] for option in record.options if option.startswith(f"{TRANSFORMER}="))
    return next((GivenFile(name, digest) for name, digest in map(_parts, values) if digest), None)


def loras_of(record: Recorded) -> tuple[GivenFile, ...]:
    """The adapters that a model had, in the order in which they were added; those of pipelines from elsewhere have no
    files."""
    return tuple(_adapters(record.loras))


def given_to(record: Recorded) -> tuple[GivenFile, ...]:
    """All of them."""
    transformer = transformer_of(record)
    return (*(() if transformer is None else (transformer,)), *loras_of(record))


def all_found(files: Sequence[GivenFile]) -> tuple[str, ...]:
    """What an option, given once for each of ``files``, takes for them here.

    Raises:
        ModelError: one of them is not here; the message says what to add.
    """
    try:
        return tuple(file.found() for file in files)
    except MissingFileError as error:
        again = " ".join(file.option for file in files)
        option = again.partition(" ")[0]
        raise ModelError(
            f"the session was made with {error}: add {again} with the path, or {option} none to go on without"
        ) from None


def _adapters(labels: Sequence[str]) -> Iterator[GivenFile]:
    for label in labels:
        head, digest = _parts(label)
        name, _, scale = head.rpartition(":")
        if name and digest:
            yield GivenFile(name, digest, scale)


def _parts(label: str) -> tuple[str, str]:
    """Of ``name@digest``; an empty digest for anything else."""
    name, _, digest = label.rpartition("@")
    return (name, digest) if DIGEST.fullmatch(digest) else (label, "")
