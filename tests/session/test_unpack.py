"""Session zips from strangers: what export wrote opens again, all else is refused and leaves nothing behind."""

from __future__ import annotations

import io
import json
import sqlite3
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.toy import ToyBackbone, ToyMethod, ToyParams, toy_picture
from undrift.errors import SessionError
from undrift.files import sha256
from undrift.pictures import png_bytes
from undrift.session import database
from undrift.session.engine import EditPlan, restore, run_turn
from undrift.session.export import export_zip
from undrift.session.store import Session
from undrift.session.unpack import import_zip

Files = dict[str, bytes]
Record = dict[str, Any]


@pytest.fixture
def files(session: Session, backbone: ToyBackbone, tmp_path: Path) -> Files:
    """What a zip of a session with an edit in a region, a restore and a branch holds, by path."""
    half = Image.new("L", (40, 32), 255)
    half.paste(0, (0, 0, 20, 32))
    everywhere = ToyMethod(ToyParams(masked=False))
    run_turn(session, backbone, everywhere, EditPlan("a dog", seed=1, region=half))
    run_turn(session, backbone, ToyMethod(), EditPlan("a cow", seed=2))
    restore(session, backbone, half)
    session.branch("side", "1")
    export_zip(session, tmp_path / "good.zip")
    with zipfile.ZipFile(tmp_path / "good.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: Files) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def with_database(files: Files, tmp_path: Path, change: Callable[[sqlite3.Connection], object]) -> Files:
    """The files with another database: ``change`` may do anything to it, the triggers are gone."""
    path = tmp_path / "changed.sqlite"
    path.write_bytes(files["session/session.sqlite"])
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("DROP TRIGGER turns_stay; DROP TRIGGER turns_fixed")
    change(db)
    db.close()
    return {**files, "session/session.sqlite": path.read_bytes()}


def with_record(files: Files, tmp_path: Path, number: int, change: Callable[[Record], object]) -> Files:
    """The files with another record of the turn ``number``."""

    def rewrite(db: sqlite3.Connection) -> None:
        query = "SELECT id, record FROM turns WHERE json_extract(record, '$.number') = ?"
        key, text = db.execute(query, (number,)).fetchone()
        record = json.loads(text)
        change(record)
        db.execute("UPDATE turns SET record = ? WHERE id = ?", (json.dumps(record), key))

    return with_database(files, tmp_path, rewrite)


def refused(data: bytes | Path, folder: Path, message: str, **options: Any) -> None:
    before = {path.name for path in folder.parent.iterdir()}
    with pytest.raises(SessionError, match=message):
        import_zip(data, folder, **options)
    assert {path.name for path in folder.parent.iterdir()} == before, "nothing half-written"


def test_an_exported_session_opens_again(session: Session, files: Files, tmp_path: Path) -> None:
    for source in (zipped(files), tmp_path / "good.zip"):
        folder = tmp_path / f"again-{type(source).__name__}"
        again = import_zip(source, folder)
        assert again.tree() == session.tree()
        assert Session.open(folder).tree() == session.tree()
        for turn in session.turns():
            assert all(again.contents(turn, name) == session.contents(turn, name) for name in turn.files)
    continued = run_turn(again, ToyBackbone(), ToyMethod(), EditPlan("a bird", seed=1))
    assert continued.parent == session.head.id
    assert again.tree().branch == "side"


def test_other_files_and_paths_outside_are_never_unpacked(files: Files, tmp_path: Path) -> None:
    evil = {
        "../../evil.txt": b"x",
        "/tmp/evil.txt": b"x",
        "session/pictures/../../evil.png": b"x",
        "session/run.sh": b"x",
    }
    folder = tmp_path / "deep" / "er" / "again"
    folder.parent.mkdir(parents=True)
    import_zip(zipped(files | evil), folder)
    assert not list(tmp_path.rglob("*evil*"))
    assert not (folder / "run.sh").exists()
    folders = {"pictures", "latents", "masks", "regions", "references"}
    assert {path.name for path in folder.iterdir()} == {"session.sqlite", *folders}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the zip file is not a zip file that can be read"),
        (b"PK\x03\x04 cut off", "is not a zip file that can be read"),
        (zipped({"readme.txt": b"hello"}), "is not an exported session: it has no session.sqlite"),
        (
            zipped({"s/session.sqlite": b"no database"}),
            "holds no session .*: its session.sqlite is damaged",
        ),
        (zipped({"s/session.sqlite": b""}), "its session.sqlite is"),
        (zipped({"a/session.sqlite": b"", "b/session.sqlite": b""}), "is not an exported session"),
    ],
)
def test_what_is_no_session(data: bytes, message: str, tmp_path: Path) -> None:
    refused(data, tmp_path / "again", message)


def test_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.zip", tmp_path / "again", "no file at '.*none.zip'")


def test_a_folder_in_use(files: Files, tmp_path: Path) -> None:
    refused(zipped(files), tmp_path / "session", "already exists: choose another name")


def test_a_bomb_is_refused_by_what_it_says_it_unpacks_to(files: Files, tmp_path: Path) -> None:
    name = next(name for name in files if name.startswith("session/pictures/"))
    data = zipped(files | {name: bytes(30_000_000)})
    assert len(data) < 200_000
    refused(data, tmp_path / "again", "unpacks to 29 MB, at most 10 MB are opened", max_bytes=10 * 2**20)


def test_a_picture_of_too_many_pixels(files: Files, tmp_path: Path) -> None:
    huge = png_bytes(Image.new("1", (9000, 9000)))
    name = next(name for name in files if name.startswith("session/pictures/"))
    key = Path(name).stem

    def lie(db: sqlite3.Connection) -> None:
        change = "json_set(record, '$.image_hash', ?, '$.width', 9000, '$.height', 9000)"
        db.execute(f"UPDATE turns SET record = {change} WHERE id = ?", (sha256(huge), key))

    refused(
        zipped(with_database(files | {name: huge}, tmp_path, lie)), tmp_path / "again", "has more than 64 megapixels"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(image="../../../etc/passwd"), "names a file that is not its own"),
        (lambda r: r.update(latent="/etc/passwd"), "names a file that is not its own"),
        (lambda r: r.update(mask="pictures/" + r["id"] + ".png"), "names a file that is not its own"),
        (lambda r: r.update(id="../evil"), "id: expected 12 hexadecimal digits"),
        (lambda r: r.update(number=7), "does not follow from a turn before it"),
        (lambda r: r.update(parent=None), "does not follow from the turn that its row says"),
        (lambda r: r.update(kind="original"), "is called original and was made otherwise"),
        (lambda r: r.update(width=4), "is not of the size that its turn says"),
        (lambda r: r.update(image_hash="0" * 64), "was changed since its turn was made"),
        (lambda r: r.update(latent_hash=None), "has a file without its SHA-256"),
        (
            lambda r: r.update(prompt=7),
            "a turn that undrift did not write: prompt: input should be a valid string",
        ),
        (lambda r: r.clear(), "a turn that undrift did not write"),
    ],
)
def test_made_up_turns(files: Files, tmp_path: Path, change: Callable[[Record], object], message: str) -> None:
    refused(zipped(with_record(files, tmp_path, 1, change)), tmp_path / "again", message)


def test_made_up_restore(files: Files, tmp_path: Path) -> None:
    changed = with_record(files, tmp_path, 3, lambda r: r["restore"].update(anchor="0" * 12))
    refused(zipped(changed), tmp_path / "again", "puts back a turn that is not there")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM turns", "it has no turns"),
        ("UPDATE head SET turn = 'elsewhere'", "its head or a branch names a turn that is not there"),
        ("UPDATE head SET branch = 'none'", "its head or a branch names a turn that is not there"),
        ("DELETE FROM head", "it has no head"),
        ("INSERT INTO branches SELECT '../up', turn FROM head", "branch name '../up': expected a letter"),
        ("UPDATE trail SET child = parent", "its way back to the head does not follow the turns"),
        ("PRAGMA user_version = 99", "of another program or of a newer undrift"),
        ("PRAGMA application_id = 1", "of another program or of a newer undrift"),
        ("DROP TABLE trail", "its session.sqlite has other tables than undrift makes"),
    ],
)
def test_made_up_databases(files: Files, tmp_path: Path, statement: str, message: str) -> None:
    changed = with_database(files, tmp_path, lambda db: db.execute(statement))
    refused(zipped(changed), tmp_path / "again", message)


def test_a_database_that_never_ends(files: Files, tmp_path: Path) -> None:
    endless = (
        "DROP VIEW log; ALTER TABLE turns RENAME TO old; CREATE VIEW turns AS "
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT i AS ordinal, 'x' AS id, NULL AS parent, '{}' AS record FROM n WHERE i < 0"
    )
    changed = with_database(files, tmp_path, lambda db: db.executescript(endless))
    refused(zipped(changed), tmp_path / "again", "its session.sqlite has other tables than undrift makes")


@pytest.mark.parametrize("folder", ["pictures", "latents", "masks", "regions"])
def test_missing_and_damaged_files(files: Files, tmp_path: Path, folder: str) -> None:
    name = sorted(name for name in files if f"/{folder}/" in name)[0]
    without = {key: data for key, data in files.items() if key != name}
    refused(zipped(without), tmp_path / "again", f"'{folder}/.*' is missing")
    refused(zipped(files | {name: files[name][:-40]}), tmp_path / "again", "holds no session|damaged|is not the file")


def test_turns_of_an_unpacked_session_are_its_own(files: Files, tmp_path: Path) -> None:
    again = import_zip(zipped(files), tmp_path / "again")
    with pytest.raises(SessionError, match="append-only"), database.transaction(again.folder, write=True) as db:
        db.execute("DELETE FROM turns")
    assert again.picture(again.original).tobytes() == toy_picture().tobytes()


def test_an_encrypted_file_is_said_to_be(files: Files, tmp_path: Path) -> None:
    data = bytearray(zipped(files))
    directory = data.find(b"PK\1\2")
    data[directory + 8] |= 1
    with pytest.raises(SessionError, match=r"holds no session that can be opened: 'session.sqlite' is encrypted"):
        import_zip(bytes(data), tmp_path / "again")
