"""``undrift studio`` as a process: where it listens, what it refuses, and that Ctrl-C ends it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.sessions import start
from undrift.cli.main import cli
from undrift.errors import InputError, SessionError
from undrift.studio import server


def refused(*arguments: str) -> str:
    """The one line that a refused start prints."""
    result = CliRunner().invoke(cli, ["studio", "--no-browser", *arguments], prog_name="undrift")
    assert result.exit_code == 2
    assert result.stdout == ""
    return result.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "studio.lan"])
def test_other_machines_need_a_password(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNDRIFT_PASSWORD", raising=False)
    assert refused("--host", host) == (
        f"error: --host {host} can be reached from other machines: set a password with --password or "
        "$UNDRIFT_PASSWORD\n"
    )


def test_a_short_password_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDRIFT_PASSWORD", "1234")
    assert refused("--host", "0.0.0.0") == "error: the password has 4 characters, expected at least 8\n"


def test_a_taken_port_is_told_before_a_model_is_loaded() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        message = refused("--port", str(port))
    assert message == (
        f"error: cannot listen on 127.0.0.1 port {port}: address already in use; choose another --port\n"
    )


def test_the_usual_port_gives_way_to_a_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(server, "USUAL_PORT", other.getsockname()[1])
        with server.listen("127.0.0.1", None) as found:
            assert found.getsockname()[1] not in (0, server.USUAL_PORT)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(InputError, match=r"^--host nowhere\.invalid: no address of this machine"):
        server.listen("nowhere.invalid", 1)


def test_which_sessions_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from undrift.cli.studio import _where

    (tmp_path / "folder").mkdir()
    start(tmp_path / "folder" / "cat")
    monkeypatch.chdir(tmp_path)
    assert _where(None, None) == (Path(), None)
    root, opened = _where(Path("folder/cat"), None)
    assert (root, opened and opened.folder.name) == (tmp_path / "folder", "cat")
    with pytest.raises(InputError, match=r"^session 'folder/cat' is not in --sessions \.: leave out one of them$"):
        _where(Path("folder/cat"), Path())
    with pytest.raises(InputError, match=r"^--sessions nowhere: no such folder; make it first$"):
        _where(None, Path("nowhere"))
    with pytest.raises(SessionError, match="no session at"):
        _where(Path("nothing"), None)
    monkeypatch.chdir(tmp_path / "folder" / "cat")
    root, opened = _where(None, None)
    assert (root, opened and opened.folder.name) == (tmp_path / "folder", "cat")


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A studio process over ``folder``, and its address."""
    command = [sys.executable, "-m", "undrift.cli.main", "studio", "--sessions", str(folder), "--no-browser"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("studio: http://127.0.0.1:"), process.stderr.read() if process.stderr else ""
        yield process, line.removeprefix("studio: ").strip()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_it_serves_and_ends_with_ctrl_c_while_pages_are_open(tmp_path: Path) -> None:
    with running(tmp_path) as (process, url):
        assert b"undrift studio" in urllib.request.urlopen(url, timeout=20).read()
        events = urllib.request.urlopen(f"{url}api/events", timeout=20)
        assert events.readline().startswith(b"id: ")
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - began < 30
        assert "Traceback" not in errors
        assert process.returncode in (0, 130, -signal.SIGINT)
        events.close()
