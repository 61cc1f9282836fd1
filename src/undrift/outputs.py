"""Files that a user names with ``-o``: written where the name leads, as what their ending says, or not at all.

A link is followed and stays a link. A regular file is replaced in one step and keeps its permissions. Whatever is
neither, a pipe, a terminal or ``/dev/stdout``, is written into and stays what it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from undrift.errors import InputError, SessionError
from undrift.files import reason, replacing

PICTURE_ENDINGS = (".png",)
STDOUT = 1

_LINKS = 40
"""Links after which the operating system gives up too."""


@contextlib.contextmanager
def output_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write that is whole at ``path`` at the end of the ``with`` block.

    Raises:
        SessionError: it cannot be written; an earlier file is still there.
    """
    number, target = _descriptor(path), Path(os.path.realpath(path))
    try:
        if number is not None:
            with _inherited(number) as file:
                yield file
        elif _written_into(target):
            with target.open("wb") as file:
                yield file
        else:
            _check_permission(target)
            with replacing(target) as file:
                yield file
    except OSError as error:
        raise SessionError(f"cannot write '{path}': {reason(error)}") from error


def write_output(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path``, see ``output_file``."""
    with output_file(path) as file:
        file.write(data)


def check_output(path: str | Path) -> None:
    """Find out before the work whether ``output_file`` can write ``path``; nothing is opened or created.

    Raises:
        SessionError: empty, a folder, in a folder that is not there or not writable, a name that is too long.
    """
    try:
        if os.path.basename(path).strip() in ("", ".", ".."):
            raise IsADirectoryError(0, "expected the name of a file")
        if _descriptor(path) is None:
            _check_target(Path(path))
    except OSError as error:
        raise SessionError(f"cannot write '{path}': {reason(error)}") from None
    except ValueError as error:  # a NUL character
        raise SessionError(f"cannot write {str(path)!a}: {error}") from None


def check_ending(path: str | Path, endings: Sequence[str]) -> None:
    """Refuse a name that promises another kind of file; one without an ending promises nothing.

    Raises:
        InputError: it ends in something that is not one of ``endings``.
    """
    ending = Path(path).suffix.lower()
    if ending and ending not in endings:
        wanted = " or ".join(endings)
        raise InputError(
            f"'{path}' would not be a {ending} file: end the name in {wanted}, and convert it afterwards"
        )


def is_stdout(path: str | Path) -> bool:
    """Whether what is written to ``path`` goes where results are printed."""
    return _descriptor(path) == STDOUT


def _check_target(path: Path) -> None:
    # The end of the links may not exist yet, its folder has to.
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(path.stat().st_mode):
            raise IsADirectoryError(0, "it is a folder")
    target = Path(os.path.realpath(path))
    if _written_into(target):
        return
    if not target.parent.is_dir():
        raise FileNotFoundError(0, "no such folder")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise PermissionError(0, "the folder is not writable")
    with contextlib.suppress(FileNotFoundError):
        target.lstat()  # says if the name is too long
    _check_permission(target)


def _check_permission(target: Path) -> None:
    """Replacing asks the folder alone; a file that was made read-only is to stay as it is."""
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(0, "the file is read-only")


def _written_into(target: Path) -> bool:
    """Whether the end of a name is something that must not be replaced by a file.

    Raises:
        OSError: a disk, on which a picture would destroy everything.
    """
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISBLK(mode):
        raise OSError(0, "it is a disk")
    return not stat.S_ISREG(mode)


@contextlib.contextmanager
def _inherited(number: int) -> Iterator[BinaryIO]:
    """A file that this process was started with, behind what was printed to it so far.

    Opening its name once more would begin at its start, over what is there.
    """
    sys.stdout.flush()
    with os.fdopen(os.dup(number), "wb") as file:
        yield file


def _descriptor(path: str | Path) -> int | None:
    """The number of the open file that ``/dev/stdout``, ``/dev/fd/3`` or a link to these stands for.

    The links are followed one by one, since the last one leads to the open file itself, whatever that is.
    """
    step = os.path.abspath(path)
    for _ in range(_LINKS):
        step = os.path.join(os.path.realpath(os.path.dirname(step)), os.path.basename(step))
        if found := re.fullmatch(rf"(?:/proc/{os.getpid()}|/dev)/fd/(\d+)", step):
            return int(found[1])
        if not os.path.islink(step):
            return None
        step = os.path.normpath(os.path.join(os.path.dirname(step), os.readlink(step)))
    return None
