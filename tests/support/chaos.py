"""Processes that work on a session and are killed at random moments: what a finished turn promised must hold.

``make chaos`` prints how many finished turns were lost, which has to be none.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from tests.support.memory import memory_folder
from tests.support.toy import ToyBackbone, ToyMethod, ToyParams, toy_picture
from undrift.errors import InputError, SessionError
from undrift.session.engine import EditPlan, import_picture, restore, run_turn, start_session
from undrift.session.export import export_zip
from undrift.session.model import Turn
from undrift.session.store import Session
from undrift.session.unpack import import_zip

LONGEST = 0.3
"""Seconds of its own processor time that a process lives at most after it has begun.

A clock would kill it before its first turn where others keep the machine busy, and nothing would be tried.
"""

SOONEST = 1e-4
"""A timer of 0 seconds never ends."""

TURNS = 150
"""Of a session, until the next one is begun."""

Promise = tuple[str, str, str | None]


@dataclass
class Count:
    """What happened."""

    kills: int = 0
    within: int = 0
    finished: int = 0
    lost: int = 0
    left: int = 0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.within} of them within a turn; {self.finished} turns were finished, "
            f"{self.lost} of them lost; {self.left} files of dead processes were left"
        )


def chaos(folder: Path, kills: int, seed: int = 0, told: Callable[[Count], None] = lambda count: None) -> Count:
    """Kill ``kills`` processes at work in ``folder``, one after another, and look at what is left after each."""
    torch.set_num_threads(1)  # a forked process has no other threads to wait for
    chance, count = random.Random(seed), Count()
    session, promised = _begun(folder, 0), dict[str, Promise]()
    for number in range(kills):
        new = _killed(session.folder, SOONEST + chance.random() * LONGEST, chance.getrandbits(32))
        count.within += bool(Session(session.folder).unfinished())
        opened = Session.open(session.folder)
        promised.update(new)
        count.kills, count.finished = number + 1, count.finished + len(new)
        count.lost += _lost(opened, new)
        count.left += len(opened.unfinished()) + len(_leftovers(opened))
        told(count)
        if len(opened.turns()) > TURNS or number + 1 == kills:
            count.lost += _lost(opened, promised)
            session, promised = _begun(folder, number + 1), {}
    count.left += len([path for path in folder.iterdir() if path.name.endswith(".tmp")])
    return count


def _begun(folder: Path, number: int) -> Session:
    return start_session(folder / f"session-{number}", toy_picture(), "a cat", ToyBackbone())


def _killed(folder: Path, life: float, seed: int) -> dict[str, Promise]:
    """The turns that a process finished in the ``life`` it had."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _work(folder, seed, write, life)
    os.close(write)
    with os.fdopen(read) as reports:
        told = [line.split() for line in reports if line.endswith(" .\n")]
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it ended by itself: it says why"
    return {key: (key, image, None if latent == "-" else latent) for key, image, latent, _ in told}


def _work(folder: Path, seed: int, write: int, life: float) -> None:
    """Run turns, move the head, export and unpack until killed; every finished turn is reported."""
    chance, backbone = random.Random(seed), ToyBackbone()
    try:
        session = Session.open(folder)
        # Nothing handles this signal: the system ends the process where it is, as by SIGKILL.
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, life)
        while True:
            with suppress(InputError):
                turn = _step(session, backbone, chance)
                if turn is not None:
                    os.write(write, f"{turn.id} {turn.image_hash} {turn.latent_hash or '-'} .\n".encode())
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(1)


def _step(session: Session, backbone: ToyBackbone, chance: random.Random) -> Turn | None:
    seed, turns = chance.getrandbits(31), session.turns()
    kind = chance.choice(("edit", "edit", "edit", "restore", "import", "undo", "redo", "checkout", "branch", "zip"))
    if kind == "edit":
        method = ToyMethod(ToyParams(steps=1, masked=chance.random() < 0.5))
        return run_turn(session, backbone, method, EditPlan(f"turn {seed}", seed=seed))
    if kind == "restore":
        brush = Image.new("L", toy_picture().size, 0)
        brush.paste(255, (0, 0, 1 + seed % 30, 20))
        return restore(session, backbone, brush)
    if kind == "import":
        return import_picture(session, toy_picture().rotate(seed % 90), f"picture {seed}", backbone)
    if kind == "zip":
        archive = session.folder.with_name(f"{seed}.zip")
        export_zip(session, archive)
        import_zip(archive, archive.with_suffix(""))
    elif kind == "checkout":
        session.checkout(chance.choice(turns).id)
    elif kind == "branch":
        session.branch(f"branch-{seed}")
    else:
        getattr(session, kind)()
    return None


def _lost(session: Session, promised: dict[str, Promise]) -> int:
    turns = session.tree().turns
    return sum(key not in turns or not _holds(session, turns[key], promise) for key, promise in promised.items())


def _holds(session: Session, turn: Turn, promise: Promise) -> bool:
    try:
        for name in turn.files:
            session.checked(turn, name)
    except SessionError:
        return False
    return (turn.id, turn.image_hash, turn.latent_hash) == promise


def _leftovers(session: Session) -> set[str]:
    """Files of the session that no turn names, but for the database and its journal."""
    named = {name for turn in session.turns() for name in turn.files}
    present = {str(path.relative_to(session.folder)) for path in session.folder.rglob("*") if path.is_file()}
    return {name for name in present - named if not name.startswith("session.sqlite")}


def _tell(count: Count) -> None:
    if count.kills % 50 == 0:
        print(count, flush=True)


def main() -> None:
    """Run chaos and fail if a turn is lost."""
    parser = argparse.ArgumentParser(description="Kill processes at work on a session, and count what is lost.")
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        count = chaos(Path(folder), chosen.kills, chosen.seed, _tell)
    print(count)
    if count.finished < count.kills:
        print("fewer turns were finished than processes killed: that says little")
    sys.exit(bool(count.lost or count.left or count.finished < count.kills))


if __name__ == "__main__":
    main()
