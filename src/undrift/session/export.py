"""Taking turns out of a session: pictures that know their history, the whole folder, and a contact sheet."""

from __future__ import annotations

import json
import os
import sqlite3
import zipfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from undrift.files import sha256
from undrift.outputs import PICTURE_ENDINGS, check_ending, output_file, write_output
from undrift.pictures import png_bytes
from undrift.session import database, writing
from undrift.session.model import Turn
from undrift.session.provenance import FORMAT, SOFTWARE, chain
from undrift.session.sheet import contact_sheet
from undrift.session.store import Session
from undrift.session.tree import Tree

MANIFEST = "manifest.json"
ZIP_ENDINGS = (".zip",)
_DATE = (1980, 1, 1, 0, 0, 0)


def export_png(session: Session, turn: Turn, path: str | Path) -> None:
    """Write the picture of ``turn`` with every turn from the original to it in its metadata.

    ``read_metadata(path)["turns"]`` gives them back, the last one is ``turn``.

    Raises:
        InputError: ``path`` ends in something else than .png.
        SessionError: ``path`` cannot be written.
    """
    check_ending(path, PICTURE_ENDINGS)
    write_output(path, png_bytes(session.picture(turn), chain(session.path(turn))))


def export_zip(session: Session, path: str | Path) -> None:
    """Write the session as a zip file; unpacked, it is a session again. Turns that other processes work on stay out.

    ``manifest.json`` lists the SHA-256 of every file.

    Raises:
        InputError: ``path`` ends in something else than .zip.
        SessionError: ``path`` cannot be written, or a file of the session is missing or not what its turn says.
    """
    check_ending(path, ZIP_ENDINGS)
    tree = session.tree()
    copy = _database(tree)
    root = os.fsencode(session.folder.resolve().name).decode("utf-8", "replace")  # names in a zip file are text
    hashes = {database.FILE: sha256(copy)}
    with output_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{root}/{database.FILE}", _DATE), copy)
        for turn in tree.turns.values():
            for name in turn.files:
                data = session.checked(turn, name)
                hashes[name] = sha256(data)
                archive.writestr(zipfile.ZipInfo(f"{root}/{name}", _DATE), data)
        manifest = {"format": FORMAT, "software": SOFTWARE, "sha256": hashes}
        archive.writestr(zipfile.ZipInfo(f"{root}/{MANIFEST}", _DATE), json.dumps(manifest, indent=1))


def write_contact_sheet(session: Session, path: str | Path, turns: Sequence[Turn] | None = None) -> None:
    """Write ``contact_sheet`` as a PNG.

    Raises:
        InputError: ``path`` ends in something else than .png.
        SessionError: ``path`` cannot be written.
    """
    check_ending(path, PICTURE_ENDINGS)
    write_output(path, png_bytes(contact_sheet(session, turns)))


def _database(tree: Tree) -> bytes:
    """A database of its own that holds ``tree`` and nothing that was ever in the session's and is not any more."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
        database.migrate(memory, 0)
        writing.fill(memory, tree)
        return memory.serialize()
