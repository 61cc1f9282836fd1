"""Every error a user can cause, one clear line each.

The command line prints ``str(error)`` and exits with ``error.exit_code``; library users catch ``UndriftError``.
A message says what was given, what was expected and how to fix it.
"""

from __future__ import annotations


class UndriftError(Exception):
    """Base of all errors that are the input's or the environment's, not the program's."""

    exit_code = 2


class InputError(UndriftError):
    """A value, prompt, word, turn or name that cannot be used."""


class PictureError(UndriftError):
    """A picture that cannot be read or that is unsafe to decode."""


class ModelError(UndriftError):
    """A model that is missing, gated, broken, of the wrong kind or too large for the machine."""


class SessionError(UndriftError):
    """A session folder that cannot be created, opened, written or found."""


class Cancelled(UndriftError):
    """The user stopped the work; everything finished before is kept."""

    exit_code = 130
