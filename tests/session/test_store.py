"""The tree of turns on disk: meaning of every movement, durability, concurrency and errors."""

from __future__ import annotations

import logging
import os
import platform
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.sessions import append, append_all, outcome, start
from undrift.errors import InputError, SessionError
from undrift.session import database
from undrift.session.model import Turn
from undrift.session.store import Session

ROOT = Path(__file__).parents[2]


@pytest.fixture
def empty(tmp_path: Path) -> Session:
    return start(tmp_path / "s")


def numbers(session: Session) -> list[int]:
    return [turn.number for turn in session.turns()]


def assert_sound(session: Session) -> None:
    """Every turn's files are there with the recorded contents, and there are no others but SQLite's journal."""
    named = {database.FILE}
    for turn in session.turns():
        assert {turn.image, turn.latent, turn.mask} <= set(turn.files)
        for name in turn.files:
            assert session.checked(turn, name)
            named.add(name)
    present = {str(p.relative_to(session.folder)) for p in session.folder.rglob("*") if p.is_file()}
    assert present - {f"{database.FILE}-journal"} == named


def test_a_new_session_is_its_source(empty: Session) -> None:
    assert empty.head == empty.original == Session.open(empty.folder).turn("original")
    assert (empty.original.number, empty.original.kind, empty.original.parent) == (0, "original", None)
    assert empty.tree().branches == {"main": empty.original.id}
    assert_sound(empty)


def test_undo_redo_and_a_fork(empty: Session) -> None:
    first, second = append(empty, 1), append(empty, 2)
    assert empty.undo() == first
    assert empty.redo() == second
    empty.undo()
    fork = append(empty, 3)
    assert fork.parent == first.id
    assert empty.undo() == first
    assert empty.redo() == fork
    assert numbers(empty) == [0, 1, 2, 2]
    empty.checkout(second.id)
    empty.checkout("original")
    assert [empty.redo(), empty.redo()] == [first, second]


def test_nothing_to_undo_or_redo(empty: Session) -> None:
    with pytest.raises(InputError, match="nothing to undo: the head is the original"):
        empty.undo()
    with pytest.raises(InputError, match="nothing to redo"):
        empty.redo()


def test_branches_follow_the_head_while_checked_out(empty: Session) -> None:
    first, second = append(empty, 1), append(empty, 2)
    assert empty.branch("hat", "1") == first
    on_hat = append(empty, 3)
    assert empty.tree().branches == {"main": second.id, "hat": on_hat.id}
    assert empty.checkout("main") == second
    empty.undo()
    assert empty.tree().branch == "main"
    assert empty.turn("main") == second
    empty.checkout(first.id)
    assert empty.tree().branch is None
    append(empty, 4)
    assert empty.tree().branches == {"main": second.id, "hat": on_hat.id}


@pytest.mark.parametrize("name", ["", "3", "head", "original", "a b", "-x", "x" * 65, "ä\n"])
def test_impossible_branch_names(empty: Session, name: str) -> None:
    with pytest.raises(InputError, match="branch name"):
        empty.branch(name)


def test_a_branch_is_started_once(empty: Session) -> None:
    with pytest.raises(InputError, match="branch 'main' exists already"):
        empty.branch("main")


def test_references(empty: Session) -> None:
    turns = [empty.original, *(append(empty, i) for i in range(1, 5))]
    empty.checkout(turns[1].id)
    side = append(empty, 9)
    assert [empty.turn(name) for name in ("head", "original", "main")] == [side, turns[0], turns[4]]
    assert empty.turn(side.id) == empty.turn(side.id[:6]) == empty.turn(2) == side
    assert empty.turn("4") == turns[4], "on no line of the head, but the only one of that number"
    empty.checkout("main")
    assert empty.turn("2") == turns[2], "the number counts along the head's line"
    with pytest.raises(InputError, match=rf"no turn 'zebra' in this session; turns: 0 \({turns[0].id}\), .*main"):
        empty.turn("zebra")
    with pytest.raises(InputError, match="no turn '7'"):
        empty.turn(7)


def test_an_ambiguous_number_lists_the_candidates(empty: Session) -> None:
    append(empty, 1)
    a = append(empty, 2)
    empty.undo()
    b = append(empty, 3)
    empty.checkout("original")
    c = append(empty, 4)
    with pytest.raises(InputError, match=rf"'2' means several turns: 2 \({a.id}\), 2 \({b.id}\); give an id"):
        empty.turn("2")
    assert empty.path(c) == (empty.original, c)


def test_the_drawn_tree(empty: Session) -> None:
    first = append(empty, 1)
    second = append(empty, 2)
    empty.undo()
    third = append(empty, 3)
    expected = [
        f"o 0  {empty.original.id}  source",
        f"o 1  {first.id}  turn 1",
        f"| o 2  {second.id}  turn 2",
        f"* 2  {third.id}  turn 3  [main]",
    ]
    assert empty.tree().text().splitlines() == expected


def test_ids_are_reproducible_and_repeats_get_their_own(tmp_path: Path) -> None:
    ids = []
    for name in ("a", "b"):
        session = start(tmp_path / name)
        first = append(session, 1)
        session.undo()
        again = append(session, 1)
        assert first.id != again.id
        ids.append((session.original.id, first.id, again.id))
    assert ids[0] == ids[1]


def test_turns_cannot_be_changed_or_deleted(empty: Session) -> None:
    with closing(sqlite3.connect(empty.folder / database.FILE)) as db, db:
        for statement in ("DELETE FROM turns", "UPDATE turns SET record = '{}'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(statement)


def test_the_head_stays_where_somebody_moved_it(empty: Session) -> None:
    first = append(empty, 1)
    pending = empty.begin(first, "slow")
    empty.checkout("original")
    slow = empty.finish(pending, outcome(2))
    assert empty.head == empty.original
    assert slow.parent == first.id
    assert empty.turn("main") == first


def test_a_copied_folder_is_a_session(empty: Session, tmp_path: Path) -> None:
    append(empty, 1)
    shutil.copytree(empty.folder, tmp_path / "copy")
    assert Session.open(tmp_path / "copy").turns() == empty.turns()


def test_a_changed_or_missing_file_is_noticed(empty: Session) -> None:
    turn = append(empty, 1)
    (empty.folder / str(turn.latent)).write_bytes(b"other")
    with pytest.raises(SessionError, match="was changed since its turn was made"):
        empty.latent(turn)
    (empty.folder / turn.image).unlink()
    with pytest.raises(SessionError, match=r"cannot read '.*png' of the session: no such file"):
        empty.picture(turn)


def test_create_refuses_a_used_folder(empty: Session, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="already exists: choose another name"):
        start(empty.folder)
    (tmp_path / "file").write_text("x")
    with pytest.raises(SessionError, match="already exists"):
        start(tmp_path / "file")
    with pytest.raises(SessionError, match=r"cannot create the session '.*': not a directory"):
        start(tmp_path / "file" / "below")
    (tmp_path / "hollow").mkdir()
    assert start(tmp_path / "hollow").head.number == 0
    assert not list(tmp_path.glob(".*"))


def test_open_errors(empty: Session, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"no session at '.*missing': start one with 'undrift new IMAGE"):
        Session.open(tmp_path / "missing")
    with pytest.raises(SessionError, match=r"is not an undrift session: it has no session\.sqlite"):
        Session.open(tmp_path)
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / database.FILE).write_bytes(b"not a database, " * 64)
    with pytest.raises(SessionError, match="is damaged or not an undrift session"):
        Session.open(tmp_path / "fake")
    (tmp_path / "fake" / database.FILE).write_bytes(b"")
    with pytest.raises(SessionError, match="is not the database of an undrift session"):
        Session.open(tmp_path / "fake")
    with closing(sqlite3.connect(empty.folder / database.FILE)) as db, db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(SessionError, match="has format 99, this undrift knows 1: upgrade undrift"):
        Session.open(empty.folder)


def test_an_older_format_is_brought_up_to_date(empty: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, ("CREATE TABLE extra (x)",)))
    Session.open(empty.folder)
    Session.open(empty.folder)
    with closing(sqlite3.connect(empty.folder / database.FILE)) as db, db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
        assert db.execute("SELECT count(*) FROM extra").fetchone() == (0,)


@pytest.mark.parametrize("code", ["ENOSPC", "EROFS"])
def test_a_disk_that_refuses_files(empty: Session, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    import errno

    kept = append(empty, 1)

    def fail(*args: object) -> None:
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", fail)
        pending = empty.begin(kept, "lost")
        with pytest.raises(SessionError, match=r"cannot write '.*\.png': (no space left|read-only)"):
            empty.finish(pending, outcome(2))
        empty.abandon(pending)
    assert empty.head == kept
    assert not empty.unfinished()
    assert_sound(empty)
    append(empty, 3)


def _append_to(session: Session, finished: list[Turn]) -> None:
    for value in range(1, 100):
        pending = session.begin(session.head, f"turn {value}")
        try:
            finished.append(session.finish(pending, outcome(value)))
        except SessionError:
            session.abandon(pending)
            raise


def test_a_real_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        session = start(disk / "s")
        finished = [session.original]
        with pytest.raises(SessionError, match=r"no space left on device|database or disk is full") as caught:
            _append_to(session, finished)
        assert "\n" not in str(caught.value)
        assert len(finished) > 3
        assert Session.open(disk / "s").turns() == tuple(finished)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        frozen = Session.open(disk / "s")
        assert frozen.turns() == tuple(finished)
        assert frozen.picture(finished[-1]).size == (4, 4)
        with pytest.raises(SessionError, match=r"cannot be written: the folder or its .* is read-only"):
            frozen.undo()
        subprocess.run(["mount", "-o", "remount,rw,size=4m", disk], check=True)
        append(Session.open(disk / "s"), 200)
        assert_sound(Session.open(disk / "s"))
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_file_size_limit(empty: Session) -> None:
    """RLIMIT_FSIZE stops writing like a full disk does, and needs no privileges."""
    kept = append(empty, 1)
    pending = empty.begin(kept, "lost")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        with pytest.raises(SessionError, match=r"cannot write '.*': file too large"):
            empty.finish(pending, outcome(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    empty.abandon(pending)
    assert empty.head == kept
    assert_sound(Session.open(empty.folder))


def appender(folder: Path, first: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.sessions", str(folder), str(first), str(count)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


@pytest.mark.slow
def test_kill_at_any_moment_loses_no_finished_turn(tmp_path: Path) -> None:
    """Twenty processes append in turn, each killed at a random moment of its first, second or third turn."""
    folder = start(tmp_path / "s").folder
    chance = random.Random(5)
    reported: list[str] = []
    interrupted = 0
    for round_ in range(20):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            _append_until_killed(folder, round_ * 10_000, write)
        os.close(write)
        with os.fdopen(read) as pipe:
            began = time.perf_counter()
            reported += [pipe.readline() for _ in range(1 + round_ % 3)]
            time.sleep(chance.random() * (time.perf_counter() - began))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            reported += pipe.readlines()
        interrupted += len(Session(folder).unfinished())
        session = Session.open(folder)
        assert not session.unfinished()
        assert_sound(session)
    turns = {turn.id: turn for turn in session.turns()}
    finished = [line.split() for line in reported if line.endswith(".\n")]
    assert len(finished) >= 39
    assert interrupted >= 5, "too few kills hit a turn: the test proves nothing"
    for key, image_hash, latent_hash, _ in finished:
        assert (turns[key].image_hash, turns[key].latent_hash) == (image_hash, latent_hash)
    assert append(session, 1).parent == session.turns()[-2].id


def _append_until_killed(folder: Path, first: int, report: int) -> None:
    try:
        os.dup2(report, 1)
        sys.stdout = os.fdopen(1, "w")
        append_all(folder, first, 10**6)
    finally:
        os._exit(1)


def test_files_of_a_killed_process_are_cleared_with_a_word(empty: Session, caplog: pytest.LogCaptureFixture) -> None:
    child = os.fork()
    if child == 0:
        try:
            pending = empty.begin(empty.head, "a hat")
            (empty.folder / "pictures" / f"{pending.id}.png").write_bytes(b"whole")
            (empty.folder / "latents" / f"{pending.id}.safetensors.123.tmp").write_bytes(b"half")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert len(empty.unfinished()) == 1
    with caplog.at_level(logging.WARNING):
        session = Session.open(empty.folder)
    assert "a turn was interrupted and is not in the session: 'a hat'" in caplog.text
    assert not session.unfinished()
    assert_sound(session)


def test_work_in_progress_is_left_alone(empty: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    pending = empty.begin(empty.head, "slow")
    other = Session.open(empty.folder)
    assert other.unfinished() == (pending,)
    assert empty.finish(pending, outcome(1)).id == pending.id
    elsewhere = empty.begin(empty.head, "on another machine")
    monkeypatch.setattr(platform, "node", lambda: "another")
    assert Session.open(empty.folder).unfinished() == (elsewhere,)
    empty.abandon(elsewhere)


def test_a_turn_discarded_meanwhile_is_an_error(empty: Session) -> None:
    pending = empty.begin(empty.head, "x")
    empty.abandon(pending)
    with pytest.raises(SessionError, match="was discarded by another process"):
        empty.finish(pending, outcome(1))
    assert numbers(empty) == [0]


@pytest.mark.slow
def test_two_processes_append_at_once(empty: Session) -> None:
    writers = [appender(empty.folder, first, 10) for first in (1000, 2000)]
    lines = [line for writer in writers for line in writer.communicate(timeout=120)[0].splitlines()]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(lines) == 20
    session = Session.open(empty.folder)
    assert {line.split()[0] for line in lines} == {turn.id for turn in session.turns()[1:]}
    assert_sound(session)
    assert all(session.turn(str(t.parent)).number == t.number - 1 for t in session.turns()[1:])
