"""Files of weights beside a session's model, ``--transformer`` and ``--lora``: a command goes on with the last one's.

What decides it is the record of the turn that is gone on from, so that an earlier turn, another branch and a replay
have their own. A file that is not here any more, or holds something else, ends the command: the session would go on
with another model, and nobody would know.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from undrift.backbones.adapters import parse_lora
from undrift.backbones.base import ModelIdentity
from undrift.backbones.given import GivenFile, all_found, given_to, loras_of, transformer_of
from undrift.backbones.named import remember_file
from undrift.cli.options import ModelChoice
from undrift.cli.output import say
from undrift.session.model import Loaded, Turn, TurnSpec
from undrift.session.store import Session


def last_record(session: Session, turn: Turn, model: str) -> TurnSpec | Loaded | None:
    """What says how ``model`` was loaded that made ``turn``, or the last turn before it that says how any was."""
    last = turn.spec or turn.encoded_by
    if last is None:  # a restore: the tree need not be read for other turns
        records = (step.spec or step.encoded_by for step in reversed(session.path(turn)))
        last = next((record for record in records if record is not None), None)
    return last if last is not None and last.model == model else None


def with_files_of(record: TurnSpec | Loaded, choice: ModelChoice) -> ModelChoice:
    """The choice with the record's files where it names none.

    Raises:
        ModelError: one of them is not here; the message says what to add.
    """
    given = transformer_of(record)
    transformer = () if given is None or choice.transformer is not None else all_found([given])
    loras = () if choice.loras else all_found(loras_of(record))
    return replace(
        choice,
        transformer=Path(transformer[0]) if transformer else choice.transformer,
        loras=loras or choice.loras,
    )


def remember_files(choice: ModelChoice, identity: ModelIdentity) -> None:
    """Take down where the files are that a model was loaded with."""
    files = choice.files
    transformer = transformer_of(identity)
    if transformer is not None and files["transformer"] is not None:
        remember_file(transformer.digest, files["transformer"])
    for adapter, text in zip(loras_of(identity), files["loras"], strict=False):
        remember_file(adapter.digest, parse_lora(text).path)


def tell_other(record: TurnSpec | Loaded, here: ModelIdentity) -> None:
    """Say once on stderr what is another in the model than in that of the record, which has its name."""
    if here.has_weights(record.weights_hash):
        return
    before, now = given_to(record), given_to(here)
    if before == now:
        say(
            f"note: the turn before was made by other weights of {here.name} ({record.weights_hash}, here"
            f" {here.weights_hash}): its files have changed since",
            err=True,
        )
    elif left := [file for file in before if file not in now]:
        say(f"note: the turn before was made with {_listed(left)}, which this one is not", err=True)


def _listed(files: list[GivenFile]) -> str:
    return ", ".join(file.name if file.scale is None else f"{file.name}:{file.scale}" for file in files)
