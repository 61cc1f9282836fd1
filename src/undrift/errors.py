"""Every error a user can cause, one clear line each.

The command line prints ``str(error)``, which is always one line that can be read, and exits with
``error.exit_code``; library users catch ``UndriftError``.
A message says what was given, what was expected and how to fix it.
"""

from __future__ import annotations

from undrift.wording import one_line


class UndriftError(Exception):
    """Base of all errors that are the input's or the environment's, not the program's."""

    exit_code = 2

    def __str__(self) -> str:
        return one_line(super().__str__())


class InputError(UndriftError):
    """A value, prompt, word, turn or name that cannot be used."""


class PictureError(UndriftError):
    """A picture that cannot be read or that is unsafe to decode."""


class ModelError(UndriftError):
    """A model that is missing, gated, broken, of the wrong kind or too large for the machine."""


class OutOfMemory(ModelError):
    """The device has no room for the work at hand; less at a time may fit."""


class SessionError(UndriftError):
    """A session folder that cannot be created, opened, written or found."""


class Cancelled(UndriftError):
    """The user stopped the work; everything finished before is kept."""

    exit_code = 130
