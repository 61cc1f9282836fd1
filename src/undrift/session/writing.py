"""What is written to a session: a turn's files, and its database's rows within a transaction of the caller's.

``reading`` reads it.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from undrift.files import sha256
from undrift.session import inside
from undrift.session.model import RestoreSpec, Turn, TurnKind, TurnSpec
from undrift.session.outcome import Outcome, Spec, file_name
from undrift.session.tree import Tree


def now() -> str:
    """The time as sessions write it, UTC to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def files(
    folder: Path, outcome: Outcome, key: str, kind: TurnKind, prompt: str, parent: Turn | None, spec: Spec | None
) -> Turn:
    """Write the files of an outcome into a session's folder.

    Returns:
        The record of the turn that they are, which is not in the database yet.
    """
    return Turn(
        id=key,
        number=parent.number + 1 if parent else 0,
        parent=parent.id if parent else None,
        kind=kind,
        prompt=prompt,
        spec=spec if isinstance(spec, TurnSpec) else None,
        restore=spec if isinstance(spec, RestoreSpec) else None,
        encoded_by=outcome.encoded_by,
        image=_write(folder, "image", key, outcome.image),
        latent=_written(folder, "latent", key, outcome.latent),
        mask=_written(folder, "mask", key, outcome.mask),
        region_file=_written(folder, "region", key, outcome.region),
        references_file=_written(folder, "references", key, outcome.references),
        image_hash=sha256(outcome.image),
        latent_hash=_hashed(outcome.latent),
        mask_hash=_hashed(outcome.mask),
        width=outcome.width,
        height=outcome.height,
        token_side=outcome.token_side,
        evaluations=outcome.evaluations,
        sample_evaluations=outcome.sample_evaluations,
        remembered=outcome.remembered,
        seconds=outcome.seconds,
        drift_original=outcome.drift_original,
        drift_previous=outcome.drift_previous,
        created=now(),
    )


def insert(db: sqlite3.Connection, turn: Turn) -> None:
    """Append ``turn``."""
    row = (turn.id, turn.parent, turn.model_dump_json())
    db.execute("INSERT INTO turns (id, parent, record) VALUES (?, ?, ?)", row)


def fill(db: sqlite3.Connection, tree: Tree) -> None:
    """Put ``tree`` into an empty database."""
    for turn in tree.turns.values():
        insert(db, turn)
    db.executemany("INSERT INTO branches VALUES (?, ?)", tree.branches.items())
    db.executemany("INSERT INTO trail VALUES (?, ?)", tree.trail.items())
    db.execute("INSERT INTO head VALUES (?, ?)", (tree.head_id, tree.branch))


def move_head(db: sqlite3.Connection, turn: Turn, branch: str | None) -> Turn:
    """Put the head on ``turn``, and the way from the original to it on the trail."""
    db.execute("UPDATE head SET turn = ?, branch = ?", (turn.id, branch))
    db.execute(
        "WITH RECURSIVE way (id, parent) AS (SELECT id, parent FROM turns WHERE id = ?"
        " UNION ALL SELECT turns.id, turns.parent FROM turns JOIN way ON turns.id = way.parent)"
        " INSERT OR REPLACE INTO trail SELECT parent, id FROM way WHERE parent IS NOT NULL",
        (turn.id,),
    )
    return turn


def _write(folder: Path, what: str, key: str, data: bytes) -> str:
    name = file_name(what, key)
    inside.write(folder, name, data)
    return name


def _written(folder: Path, what: str, key: str, data: bytes | None) -> str | None:
    return None if data is None else _write(folder, what, key, data)


def _hashed(data: bytes | None) -> str | None:
    return None if data is None else sha256(data)
