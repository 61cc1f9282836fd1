"""Whatever a session or an archive says, nothing is opened, listed or changed but itself and the program."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.session.engine import EditPlan, restore, run_turn, start_session
from undrift.session.export import export_zip
from undrift.session.store import Session

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DEVICES = ("/dev/null", "/dev/urandom", "/proc/self/", "/proc/sys/kernel/random/boot_id")

Spoil = Callable[[Path, Path], object]
"""What is done to a session in a folder, and the folder beside it that must not be looked at."""


def link(name: str, target: str = "secret.txt") -> Spoil:
    """Put a link out of the session in the place of ``name``, a file or a folder; ``*`` stands for every file."""

    def spoil(session: Path, victim: Path) -> None:
        for path in sorted(session.glob(name)) if "*" in name else [session / name]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            path.symlink_to(victim / target)

    return spoil


def records(old: str, new: str) -> Spoil:
    """Replace text in all records."""

    def spoil(session: Path, victim: Path) -> None:
        with closing(sqlite3.connect(session / "session.sqlite", isolation_level=None)) as db:
            db.execute("DROP TRIGGER turns_fixed")
            db.execute("UPDATE turns SET record = replace(record, ?, ?)", (old, new.replace("VICTIM", str(victim))))

    return spoil


def pending(key: str) -> Spoil:
    def spoil(session: Path, victim: Path) -> None:
        with closing(sqlite3.connect(session / "session.sqlite", isolation_level=None)) as db:
            (head,) = db.execute("SELECT turn FROM head").fetchone()
            row = (key, head, head, "lost", None, os.uname().nodename, 2**22 + 1, "dead", "2020-01-01T00:00:00+00:00")
            db.execute("INSERT INTO pending VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    return spoil


SPOILED: dict[str, Spoil] = {
    "whole": lambda session, victim: None,
    "pictures": link("pictures/*"),
    "latents": link("latents/*"),
    "masks": link("masks/*"),
    "regions": link("regions/*"),
    "pictures-folder": link("pictures", ""),
    "latents-folder": link("latents", ""),
    "working": link("working", ""),
    "database": link("session.sqlite", "session.sqlite"),
    "journal": link("session.sqlite-journal"),
    "placement": link("placement.json"),
    "pending": pending("../victim/*"),
    "unfinished": pending("0123456789ab"),
    "unfinished-elsewhere": lambda s, v: [pending("0123456789ab")(s, v), link("working", "")(s, v)],
    "named-elsewhere": records('"pictures/', '"../victim/'),
    "named-absolutely": records('"latents/', '"VICTIM/'),
    "region-elsewhere": records('"regions/', '"../../victim/'),
    "model-folder": records('"model":"toy"', '"model":"VICTIM"'),
    "model-share": records('"model":"toy"', '"model":"//elsewhere.example/share"'),
    "model-hub": records('"model":"toy"', '"model":"stranger/model"'),
    "method": records('"method":"toy"', '"method":"../victim/secret"'),
    "device": records('"device":"cpu"', '"device":"cuda:256"'),
}


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, str]]]:
    """What a process that reads all of ``SPOILED``, as folders and as archives, asks of the system."""
    folder = tmp_path_factory.mktemp("hostile")
    victim = folder / "victim"
    victim.mkdir()
    (folder / "here").mkdir()
    brush = Image.new("L", toy_picture().size)
    brush.paste(255, (0, 0, 9, 9))
    brush.save(folder / "here" / "brush.png")
    session = start_session(folder / "original", toy_picture(), "a cat", ToyBackbone())
    for seed in (1, 2):
        run_turn(session, ToyBackbone(), ToyMethod(), EditPlan(f"a dog {seed}", seed=seed, region=brush))
    restore(session, ToyBackbone(), brush)
    shutil.copy(session.folder / "session.sqlite", victim)
    for name in ("secret.txt", "model_index.json", "0123456789ab.png"):
        (victim / name).write_text("{}")
    for name, spoil in SPOILED.items():
        spoiled = folder / f"s-{name}"
        shutil.copytree(session.folder, spoiled)
        spoil(spoiled, victim)
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            for path in sorted(spoiled.rglob("*")):
                if path.is_file():
                    archive.write(path, f"s/{path.relative_to(spoiled)}")
            archive.writestr("s/../../victim/evil.png", b"evil")
    before = {path.name: path.read_bytes() for path in victim.iterdir()}
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "XDG_STATE_HOME": str(folder / "here" / "state"),
        "HF_HOME": str(folder / "here" / "hub"),
    }
    command = [sys.executable, "-m", "tests.session.hostile_reader", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert {path.name: path.read_bytes() for path in victim.iterdir()} == before
    events = [tuple(event) for event in json.loads(done.stdout.splitlines()[-1])]
    return folder, events


def is_expected(folder: Path, path: str) -> bool:
    inside = [folder / "here", *folder.glob("s-*"), *folder.glob("*.zip")]
    program = [ROOT / "src", ROOT / "tests", Path(sys.prefix), Path(sys.base_prefix)]
    own = [str(place.resolve()) for place in (*inside, *program)]
    return path == ":memory:" or path.startswith(DEVICES) or any(f"{path}/".startswith(f"{place}/") for place in own)


def test_no_file_is_touched_but_those_of_the_session(heard: tuple[Path, list[tuple[str, str]]]) -> None:
    folder, events = heard
    files = [(event, path) for event, path in events if event not in ("exit",) and not event.startswith("socket")]
    outside = [event for event in files if not is_expected(folder, event[1])]
    assert not outside, outside
    named = {path for event, path in events if event == "open"}
    assert any(path.startswith(str(folder / "s-whole" / "latents")) for path in named), "the hook hears of files"
    assert any(path.startswith(str(folder / "here" / "whole-unpacked")) for path in named)


def test_no_command_ends_unexpectedly_or_asks_the_network(heard: tuple[Path, list[tuple[str, str]]]) -> None:
    _, events = heard
    assert [event for event in events if event[0] in ("exit", "socket.connect", "socket.getaddrinfo")] == []


def test_the_archive_of_the_whole_session_is_the_session(heard: tuple[Path, list[tuple[str, str]]]) -> None:
    folder, _ = heard
    assert len(Session.open(folder / "here" / "whole-unpacked").turns()) >= 4
    export_zip(Session.open(folder / "s-whole"), folder / "again.zip")
