"""``undrift serve``: commands that find the model in another process's memory end as if they had loaded it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.toy import toy_picture
from undrift.session.store import Session

ROOT = Path(__file__).parents[2]
TOY = """
import os, time
from dataclasses import replace
from tests.support.toy import ToyBackbone, ToyMethod
from undrift.cli import execution
from undrift.cli.main import main
from undrift.methods import registry

class Slow(ToyBackbone):
    def __init__(self):
        super().__init__()
        self.identity = replace(self.identity, name="littleworld")

    def network(self, *arguments):
        if os.environ.get("TOY_SECONDS"):
            open(os.environ["TOY_LOADS"] + ".working", "w").close()
            time.sleep(float(os.environ["TOY_SECONDS"]))
        return super().network(*arguments)

def load(name, **options):
    with open(os.environ["TOY_LOADS"], "a") as file:
        print(os.getpid(), file=file)
    return Slow()

known = {"toy": ToyMethod, "flowedit": registry.all_methods()["flowedit"]}
registry.all_methods = lambda: known
execution.load = load
main()
"""
"""``undrift`` with the toy model, which takes down by whom it was loaded."""

PLAIN = "from undrift.cli.main import main; main()"
"""``undrift`` as it is, for commands that the toy's server runs: it loads no torch itself."""

Undrift = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="local sockets pass no streams on here"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all commands run in, with a picture."""
    folder = tmp_path_factory.mktemp("warm")
    toy_picture().save(folder / "cat.png")
    return folder


@pytest.fixture(scope="module")
def environment(home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
        "OMP_NUM_THREADS": "1",
        "UNDRIFT_SOCKET": str(home / "run" / "s"),
        "TOY_LOADS": str(home / "loads"),
    }


@pytest.fixture
def undrift(home: Path, environment: dict[str, str]) -> Undrift:
    """Runs a command in the test's folder, with variables of its own; ``cold`` without the server."""

    def run(*arguments: str, cold: bool = False, **more: str) -> subprocess.CompletedProcess[str]:
        variables = {**environment, **({"UNDRIFT_SOCKET": ""} if cold else {}), **more}
        command = [sys.executable, "-c", TOY if cold or more else PLAIN, *arguments]
        return subprocess.run(command, cwd=home, env=variables, input="", capture_output=True, text=True, timeout=100)

    return run


@pytest.fixture(scope="module")
def server(home: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", TOY, "serve"]
    with subprocess.Popen(command, cwd=home.parent, env=environment, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert "stays in memory on cpu" in started.stdout.readline()
        yield started
        assert started.poll() is None, "no command ended it"
        started.send_signal(signal.SIGINT)
        assert started.wait(20) == 0
        assert not Path(environment["UNDRIFT_SOCKET"]).exists()


@pytest.fixture
def loads(home: Path) -> Callable[[], int]:
    """How often a model was loaded since the test began."""
    file = home / "loads"

    def count() -> int:
        return len(file.read_text().splitlines()) if file.exists() else 0

    before = count()
    return lambda: count() - before


def test_between_two_commands_half_of_the_next_turn_is_computed(home: Path, undrift: Undrift, server: Any) -> None:
    assert undrift("new", "cat.png", "-p", "a cat", "-s", "ahead").returncode == 0
    for number in range(10):  # a server that is given no time between two commands has nothing ready
        done = undrift("edit", "--caption", f"dog {number}", "--method", "flowedit", "-s", "ahead", "--json")
        turn = json.loads(done.stdout)
        if turn.get("remembered"):
            break
    assert (turn["evaluations"], turn.get("remembered")) == (48, 24)
    again = undrift("replay", "-s", "ahead", "-o", "again", cold=True)
    assert again.returncode == 0, again.stderr
    assert turns(home / "again") == turns(home / "ahead"), "nobody can tell from the pictures"


def test_after_a_step_back_the_next_turn_is_prepared_from_there(home: Path, undrift: Undrift, server: Any) -> None:
    assert undrift("new", "cat.png", "-p", "a cat", "-s", "moved").returncode == 0
    assert undrift("edit", "--caption", "a dog", "--method", "flowedit", "-s", "moved").returncode == 0
    remembered = []
    for back in (("undo",), ("edit", "undo that")):
        for number in range(10):  # as above
            assert undrift("edit", "--caption", f"cow {number}", "-s", "moved").returncode == 0
            moved = undrift(*back, "-s", "moved")
            assert moved.returncode == 0, moved.stderr
            done = undrift("edit", "--caption", "a bird", "-s", "moved", "--json")
            assert done.returncode == 0, done.stderr
            made = json.loads(done.stdout)
            if made.get("remembered"):
                break
        remembered.append(made.get("remembered"))
    assert remembered == [24, 24]


def turns(folder: Path) -> list[tuple[str, str, str]]:
    return [(turn.id, turn.image_hash, turn.prompt) for turn in Session.open(folder).tree().turns.values()]


def test_commands_load_nothing_and_give_the_same(
    home: Path, undrift: Undrift, server: Any, loads: Callable[[], int]
) -> None:
    def made(name: str, **options: Any) -> list[subprocess.CompletedProcess[str]]:
        new = undrift("new", "cat.png", "-p", "a cat", "-s", name, **options)
        edit = undrift(
            "edit", "--caption", "a dog", "--method", "toy", "--seed", "1", "-s", name, "--json", **options
        )
        return [new, edit]

    warm = made("warm")
    assert loads() == 0
    cold = made("cold", cold=True)
    assert loads() == 2
    assert [done.returncode for done in (*warm, *cold)] == [0, 0, 0, 0], [done.stderr for done in warm]
    assert turns(home / "warm") == turns(home / "cold")
    first, second = (json.loads(done[1].stdout) for done in (warm, cold))
    assert first["spec"] == second["spec"]
    assert (warm[0].stdout.replace("warm", "cold"), warm[1].stderr.split("(")[0]) == (
        cold[0].stdout,
        cold[1].stderr.split("(")[0],
    )


def test_streams_folder_and_variables_are_the_callers(
    home: Path, environment: dict[str, str], undrift: Undrift, server: Any, loads: Callable[[], int]
) -> None:
    assert undrift("new", "cat.png", "-p", "a cat", "-s", "elsewhere").returncode == 0
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, "edit", "--caption", "a cow", "--method", "toy", "-o", "/dev/stdout"],
        cwd=home,
        env={**environment, "UNDRIFT_SESSION": "elsewhere"},
        capture_output=True,
        timeout=100,
    )
    assert done.stdout.startswith(b"\x89PNG")
    assert done.returncode == 0
    assert loads() == 0


def test_failures_have_their_line_and_code(home: Path, undrift: Undrift, server: Any) -> None:
    warm, cold = (undrift("edit", "--caption", "a dog", "-s", "nowhere", cold=cold) for cold in (False, True))
    assert (warm.returncode, warm.stdout, warm.stderr) == (cold.returncode, cold.stdout, cold.stderr)
    assert warm.returncode == 2
    assert warm.stderr.count("\n") == 1


def test_ctrl_c_stops_the_turn_and_the_server_goes_on(
    home: Path, environment: dict[str, str], undrift: Undrift, server: subprocess.Popen[str], loads: Callable[[], int]
) -> None:
    assert undrift("new", "cat.png", "-p", "a cat", "-s", "s").returncode == 0
    arguments = ("edit", "--caption", "a dog", "--method", "toy", "-s", "s")
    command = [sys.executable, "-c", PLAIN, *arguments]
    slow = {**environment, "TOY_SECONDS": "1"}
    with subprocess.Popen(command, cwd=home, env=slow, stderr=subprocess.PIPE, text=True) as working:
        wait_for((home / "loads.working").exists)
        working.send_signal(signal.SIGINT)
        _, told = working.communicate(timeout=60)
    assert working.returncode == 130
    assert "stopped: 0 of 1 turns are done" in told
    assert undrift(*arguments).returncode == 0
    assert len(turns(home / "s")) == 2
    assert loads() == 0


def wait_for(there: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_another_number_of_threads_is_computed_elsewhere(
    home: Path, undrift: Undrift, server: Any, loads: Callable[[], int]
) -> None:
    done = undrift("new", "cat.png", "-p", "a cat", "-s", "threads", OMP_NUM_THREADS="2")
    assert done.returncode == 0
    assert "note: undrift serve is not used: it was started with another $OMP_NUM_THREADS" in done.stderr
    assert loads() == 1


def test_two_servers_do_not_share_a_socket(undrift: Undrift, server: Any) -> None:
    second = undrift("serve", TOY_SECONDS="0")
    assert second.returncode == 2
    assert "undrift serve runs already" in second.stderr


def test_a_socket_left_behind_is_no_server(home: Path, undrift: Undrift, loads: Callable[[], int]) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(home / "left"))
    done = undrift("new", "cat.png", "-p", "a cat", "-s", "left-behind", UNDRIFT_SOCKET=str(home / "left"))
    assert (done.returncode, done.stderr) == (0, "")
    assert loads() == 1


def test_a_path_too_long_for_a_socket_is_said(undrift: Undrift) -> None:
    done = undrift("new", "cat.png", "-p", "a cat", UNDRIFT_SOCKET="/tmp/" + "x" * 120)
    assert done.returncode == 2
    assert done.stderr == "error: $UNDRIFT_SOCKET is longer than the 100 bytes that a socket's path may have\n"
