"""No name leads out of the folder of the sessions."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.studio.conftest import picture_file, started
from tests.support.sessions import start
from undrift.studio import notes
from undrift.studio.housekeeping import REMOVED
from undrift.studio.http_errors import Refused
from undrift.studio.session_folders import NEW_NAME, SessionFolders
from undrift.studio.studio import Studio

HOSTILE = [
    "",
    ".",
    "..",
    "../outside",
    "..\\outside",
    "/etc",
    "//host/share",
    "C:\\x",
    "a/../../outside",
    "a\0b",
    "a\nb",
    " cat",
    "cat ",
    "cat.",
    ".hidden",
    "-rf",
    "con",
    "NUL.txt",
    "\uff0e\uff0e\uff0foutside",
    "\u2025/outside",
    "c\u0061\u0301t",
    "ca\u202etac",
    "caf\u00e9",
    "x" * 65,
    "%2e%2e%2foutside",
    "\ud800",
]


@pytest.fixture
def folders(tmp_path: Path) -> SessionFolders:
    """A folder of sessions beside one that is none of its own."""
    start(tmp_path / "outside")
    (tmp_path / "sessions").mkdir()
    return SessionFolders(tmp_path / "sessions")


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_are_refused_for_new_sessions(folders: SessionFolders, name: str) -> None:
    with pytest.raises(Refused, match=r"^session name .*: expected 1 to 64 letters, digits") as refused:
        folders.new(name)
    assert refused.value.status == 400


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_open_nothing(folders: SessionFolders, name: str) -> None:
    with pytest.raises(Refused, match=r"^no session ") as refused:
        folders.session(name)
    assert refused.value.status == 404


@given(st.text(max_size=20) | st.from_regex(NEW_NAME, fullmatch=True))
def test_whatever_is_accepted_lies_directly_in_the_folder(name: str) -> None:
    root = Path("/nowhere/sessions")
    try:
        folder = SessionFolders(root).new(name)
    except Refused:
        return
    assert folder.resolve().parent == root
    assert folder.name == name
    assert name.isascii()


@given(st.text(max_size=80))
def test_a_free_name_is_always_accepted(wanted: str) -> None:
    folders = SessionFolders(Path("/nowhere/sessions"))
    folders.new(folders.free_name(wanted))


def test_symbolic_links_are_not_followed(folders: SessionFolders, tmp_path: Path) -> None:
    (folders.root / "link").symlink_to(tmp_path / "outside")
    half = folders.root / "half"
    half.mkdir()
    (half / "session.sqlite").symlink_to(tmp_path / "outside" / "session.sqlite")
    assert folders.names() == []
    for name in ("link", "half"):
        with pytest.raises(Refused, match="no session"):
            folders.session(name)
    with pytest.raises(Refused, match="'link' exists already"):
        folders.new("link")


def test_sessions_are_listed_newest_first_and_taken_names_counted_up(folders: SessionFolders) -> None:
    for age, name in enumerate(("new", "old")):
        start(folders.root / name)
        os.utime(folders.root / name / "session.sqlite", (1e9 - age, 1e9 - age))
    (folders.root / "no session").mkdir()
    assert folders.names() == ["new", "old"]
    assert folders.free_name("old") == "old-2"


def test_a_session_replaced_by_another_is_read_anew(folders: SessionFolders, tmp_path: Path) -> None:
    start(folders.root / "cat")
    before = folders.session("cat")
    assert folders.session("cat") is before
    (folders.root / "cat").rename(tmp_path / "gone")
    with pytest.raises(Refused):
        folders.session("cat")
    start(folders.root / "cat")
    assert folders.session("cat") is not before


def test_a_name_in_an_address_cannot_leave_the_folder(client: TestClient, studio: Studio) -> None:
    start(studio.folders.root.parent / "outside")
    for name in ("..%2foutside", "%2e%2e", "..%5coutside", "%00", "cat%2f..%2f..%2foutside", "%ef%bc%8e%ef%bc%8e"):
        assert client.get(f"/api/sessions/{name}").status_code == 404


def test_a_new_session_with_a_hostile_name_is_not_made(client: TestClient, studio: Studio) -> None:
    upload = client.post("/api/uploads", content=picture_file()).json()["id"]
    for name in ("../x", "/tmp/x", "a/b", ".."):
        answer = client.post("/api/sessions", json={"upload": upload, "prompt": "a cat", "name": name})
        assert answer.status_code == 400
        assert "expected 1 to 64 letters" in answer.json()["error"]
    assert list(studio.folders.root.parent.iterdir()) == [studio.folders.root]
    assert list(studio.folders.root.iterdir()) == []


def test_a_session_that_points_out_of_its_folder_shows_nothing(client: TestClient, studio: Studio) -> None:
    source = started(client)["turns"][0]
    folder = studio.folders.root / "cat"
    (studio.folders.root / "secret.png").write_bytes((folder / f"pictures/{source['id']}.png").read_bytes())
    with closing(sqlite3.connect(folder / "session.sqlite")) as db, db:
        db.execute("DROP TRIGGER turns_fixed")
        db.execute("UPDATE turns SET record = json_set(record, '$.image', '../secret.png')")
    (studio.folders.root / "cat").rename(studio.folders.root / "made up")
    for what in ("picture", "thumbnail"):
        answer = client.get(f"/api/sessions/made up/turns/{source['id']}/{what}")
        assert answer.status_code == 400
        assert "is damaged: turn" in answer.json()["error"]
        assert "names a file that is not its own" in answer.json()["error"]


def test_a_damaged_session_is_listed_as_damaged_and_harms_no_other(client: TestClient, studio: Studio) -> None:
    started(client, "good")
    bad = start(studio.folders.root / "bad")
    with closing(sqlite3.connect(bad.folder / "session.sqlite", isolation_level=None)) as db:
        db.execute("DROP TRIGGER turns_fixed")
        db.execute("UPDATE turns SET record = replace(record, '\"seconds\":0.0', '\"seconds\":1e999')")
    answer = client.get("/api/sessions")
    assert answer.status_code == 200
    cards = {card["name"]: card for card in answer.json()["sessions"]}
    assert cards["good"]["turns"] == 0
    assert "is damaged: turn" in cards["bad"]["error"]
    assert "seconds: input should be a finite number" in cards["bad"]["error"]
    opened = client.get("/api/sessions/bad")
    assert (opened.status_code, "is damaged" in opened.json()["error"]) == (400, True)


def test_the_folder_of_removed_sessions_is_no_link(client: TestClient, studio: Studio, tmp_path: Path) -> None:
    """A folder of sessions may come from anybody: its links lead nothing out of it, and nothing into it."""
    started(client)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(studio.folders.root / "cat", elsewhere / "secret")
    (studio.folders.root / REMOVED).symlink_to(elsewhere, target_is_directory=True)
    refused = client.post("/api/sessions/cat/remove")
    assert (refused.status_code, "expected a folder" in refused.json()["error"]) == (400, True)
    assert client.post("/api/removed/secret/bring-back").status_code == 404
    assert sorted(path.name for path in elsewhere.iterdir()) == ["secret"]
    assert studio.folders.names() == ["cat"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_notes_that_are_a_pipe_hold_nothing_up(client: TestClient, studio: Studio) -> None:
    os.mkfifo(studio.folders.root / notes.FILE)
    started(client)
    assert client.get("/api/sessions/cat").status_code == 200
