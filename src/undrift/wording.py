"""How messages put things: in one line of bounded length, sizes in bytes, values, what a validation refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

LONGEST = 1200
"""Of a message, in characters: what was given may be a whole file."""

_RUN = re.compile(r"[^\s/\\]{260,}")
"""More characters without a space or a slash than the name of any file has: nobody reads them."""

_UNITS = ("bytes", "KB", "MB", "GB", "TB")
_MOST_DIGITS = 40


def one_line(text: str) -> str:
    """``text`` in one line, with what is too long to be read cut out of the middle."""
    line = _RUN.sub(lambda found: f"{found[0][:40]}[... {len(found[0])} characters]{found[0][-10:]}", text)
    line = " ".join(readable(line).split()).encode("utf-8", "backslashreplace").decode()
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} [...] {line[-LONGEST // 4 :]}"


def readable(text: str) -> str:
    """``text`` with the names of files in it as they read: bytes that the locale lacks as UTF-8, others as ``\\xNN``.

    Python has such bytes as lone surrogates (PEP 383).
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # other lone surrogates
        return text


def size(count: float) -> str:
    """``count`` bytes as a reader takes them in, such as ``4 KB`` or ``1.5 GB``; a KB has 1024 bytes."""
    value, unit = float(count), 0
    while value >= 1023.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    number = f"{value:.1f}".removesuffix(".0") if value < 9.95 else f"{value:.0f}"
    return f"{number} {'byte' if (number, unit) == ('1', 0) else _UNITS[unit]}"


def value(given: object) -> str:
    """What was given as Python writes it; of an integer that nobody reads, how long it is."""
    if isinstance(given, int) and abs(given) >= 10**_MOST_DIGITS:
        # Python refuses to write integers of more than some thousand digits.
        return f"an integer of about {round(given.bit_length() * 0.30103)} digits"
    try:
        return repr(given)
    except ValueError:
        return f"a {type(given).__name__}"


def problem(error: ValidationError) -> str:
    """The first thing that is wrong with a record, such as ``turns.0.seed: input should be a valid integer``."""
    return problems(error)[0]


def problems(error: ValidationError) -> list[str]:
    """Everything that is wrong with a record, a line each; where it is, if it is somewhere, and what."""
    return [_problem(detail["loc"], detail["msg"]) for detail in error.errors(include_input=False, include_url=False)]


def _problem(where: tuple[int | str, ...], message: str) -> str:
    return ": ".join(filter(None, (".".join(map(str, where)), said(message))))


def said(message: str) -> str:
    """A validation's message as it goes on behind a colon."""
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
