"""What dead processes left half-made is cleared away, what live ones make never."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from undrift.files import write_atomically
from undrift.session.appearing import appearing
from undrift.temporary import File, Folder

ROOT = Path(__file__).parents[1]

MAKE = """
import sys, time
from pathlib import Path
from undrift.files import replacing
from undrift.session.appearing import appearing
with appearing(Path(sys.argv[1]) / "s"), replacing(Path(sys.argv[1]) / "out.png") as file:
    file.write(b"half")
    file.flush()
    print("at work", flush=True)
    time.sleep(60)
"""


def maker(folder: Path) -> subprocess.Popen[str]:
    """A process that makes a session and a file in ``folder``, and does not finish."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", MAKE, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    return process


def unfinished(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.endswith(".tmp")}


def make_both(folder: Path, name: str) -> None:
    with appearing(folder / name):
        write_atomically(folder / "out.png", b"whole")


def test_of_live_and_dead_processes(tmp_path: Path) -> None:
    process = maker(tmp_path)
    try:
        began = unfinished(tmp_path)
        assert len(began) == 2
        make_both(tmp_path, "first")
        assert unfinished(tmp_path) == began, "somebody is at work on them"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert unfinished(tmp_path) == began
    make_both(tmp_path, "second")
    assert unfinished(tmp_path) == set()
    assert (tmp_path / "out.png").read_bytes() == b"whole"


def test_files_of_others_stay(tmp_path: Path) -> None:
    for name in (".undrift-cat.123.tmp", "out.png.tmp", "other.png.0.tmp", ".undrift-0123456789abcdef.tmp.txt"):
        (tmp_path / name).write_text("mine")
    make_both(tmp_path, "s")
    assert len(list(tmp_path.iterdir())) == 6


def test_a_forked_process_does_not_hold_what_its_parent_holds(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        Folder(tmp_path)
        grandchild = os.fork()
        if grandchild == 0:
            signal.pause()
        (tmp_path / "pid").write_text(str(grandchild))
        os._exit(0)
    os.waitpid(child, 0)
    try:
        Folder(tmp_path).remove()
        assert unfinished(tmp_path) == set()
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_two_at_once_write_beside_each_other(tmp_path: Path) -> None:
    files = [File(tmp_path), File(tmp_path)]
    assert len(unfinished(tmp_path)) == 2
    for file in files:
        file.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [1, 230, 255])
def test_names_of_every_length(tmp_path: Path, length: int) -> None:
    write_atomically(tmp_path / ("x" * length), b"whole")
    assert [len(path.name) for path in tmp_path.iterdir()] == [length]
