"""What is written to a session's database, within a transaction of the caller's; ``reading`` reads it."""

from __future__ import annotations

import sqlite3

from undrift.session.model import Turn
from undrift.session.tree import Tree


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
