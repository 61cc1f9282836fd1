"""Reads hostile sessions and archives with every command, and reports each file that Python is asked for meanwhile.

Run as a program: ``python -m tests.session.hostile_reader FOLDER``, where FOLDER holds sessions ``s-*``, archives
``*.zip`` and a folder ``here`` to stand in. The last line is JSON: [event, absolute path or other argument] each.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.support.toy import ToyBackbone, ToyMethod
from undrift.backbones import load
from undrift.cli import execution
from undrift.cli.main import cli
from undrift.methods import registry

PATHS = {
    "open": (0,),
    "os.listdir": (0,),
    "os.scandir": (0,),
    "os.chmod": (0,),
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.truncate": (0,),
    "os.utime": (0,),
    "os.rename": (0, 1),
    "os.link": (0, 1),
    "os.symlink": (0, 1),
    "shutil.rmtree": (0,),
    "sqlite3.connect": (0,),
}
"""Audit events about files, and which of their arguments are paths."""

OTHERS = {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"}
"""What reading a session never does."""

OF_A_MODEL = (("edit", "a cow", "--caption"), ("replay",), ("export", "-o", "x.py"))
COMMANDS = (
    ("log",),
    ("show", "1"),
    ("show", "1", "--json"),
    ("compare",),
    ("undo",),
    ("redo",),
    ("checkout", "1"),
    ("branch", "b"),
    ("keep", "1"),
    ("export", "-o", "x.png"),
    ("export", "-o", "x.zip"),
    ("export", "-o", "x.webp"),
    ("export", "-o", "sheet.png", "--format", "sheet"),
    ("export", "-o", "x.sh"),
    ("rebase",),
    ("restore", "--brush", "brush.png"),
    *OF_A_MODEL,
)

OF_LINKS = {"os.mkdir", "os.remove", "os.rmdir", "os.rename", "os.link", "os.symlink", "shutil.rmtree"}
"""Events whose last part is never followed if it is a link."""

heard: set[tuple[str, str]] = set()


def hear(event: str, arguments: tuple[Any, ...]) -> None:
    """Python's audit hook."""
    for place in PATHS.get(event, ()):
        path = arguments[place]
        if isinstance(path, str | bytes | os.PathLike):
            text = os.fsdecode(path).removeprefix("file://").partition("?")[0]
            heard.add((event, text if text == ":memory:" else _followed(event, text)))
    if event in OTHERS:
        heard.add((event, ascii(arguments)[:200]))


def _followed(event: str, path: str) -> str:
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name) if event in OF_LINKS else os.path.realpath(path)


def run(*arguments: str) -> None:
    """One command, as at a terminal; a traceback is an event, too."""
    try:
        cli.main([*arguments], prog_name="undrift")
    except SystemExit as end:
        if end.code not in (0, 2):
            heard.add(("exit", f"{end.code} {arguments}"))


def main(folder: Path) -> None:
    """Every command on every session, with the models that they name and with one that fits."""
    os.chdir(folder / "here")
    known = {**registry.all_methods(), "toy": ToyMethod}
    registry.all_methods = lambda: known  # type: ignore[assignment]
    archives, sessions = sorted(folder.glob("*.zip")), sorted(folder.glob("s-*"))
    sys.addaudithook(hear)
    for archive in archives:
        run("unpack", str(archive), "-o", f"{archive.stem}-unpacked")
    unpacked = sorted(Path().glob("*-unpacked"))
    for loading in (load, lambda name, **options: ToyBackbone()):
        execution.load = loading  # type: ignore[assignment, attr-defined]
        for session in (*sessions, *unpacked):
            for command in COMMANDS if session in sessions else OF_A_MODEL:
                run(*command, "-s", str(session))
    print("\n" + json.dumps(sorted(heard)))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
