"""What the values of a session's records can be, each declared once: a record may come from anybody.

Numbers are read strictly: ``true`` is no 1, and ``"5"`` no 5. Texts are data, whatever stands in them; records as a
whole are bounded in ``undrift.session.reading``.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field

LONGEST_NAME = 4096
"""Characters of the name of a model, which may be a path, and of whatever else has a name."""

MOST_VALUES = 1000
"""Values in the parameters of a turn, lists and what is nested counted through."""

ID = re.compile(r"[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-f]{64}")


def _id(text: str) -> str:
    if not ID.fullmatch(text):
        raise ValueError("expected 12 hexadecimal digits")
    return text


def _sha256(text: str) -> str:
    if not _HASH.fullmatch(text):
        raise ValueError("it is no SHA-256")
    return text


def _time(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("it is no time in ISO 8601") from None
    return text


def _option(text: str) -> str:
    name, equals, value = text.partition("=")
    if not equals or (name == "text_tokens" and not re.fullmatch("[0-9]{1,6}", value)):
        raise ValueError("expected NAME=VALUE, text_tokens a number")
    return text


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what no method has: numbers that are none, and more than ``MOST_VALUES`` values."""
    left, count = [value], 0
    while left:
        one: Any = left.pop()
        count += 1
        if isinstance(one, float) and not math.isfinite(one):
            raise ValueError("expected finite numbers")
        if isinstance(one, dict | list):
            left.extend(one.values() if isinstance(one, dict) else one)
        if count + len(left) > MOST_VALUES:
            raise ValueError(f"expected at most {MOST_VALUES} values")
    return value


TurnId = Annotated[str, AfterValidator(_id)]
Sha256 = Annotated[str, AfterValidator(_sha256)]
Time = Annotated[str, AfterValidator(_time)]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
"""Of a model and of its weights: any text but an empty one."""

Label = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[ -~]+$")]
"""Of what undrift, its plug-ins and other packages call something: a method, a number format, a version."""

Option = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(_option)]
"""How a model was loaded, see ``ModelIdentity.options``."""

Values = Annotated[dict[str, Any], AfterValidator(_plain)]
Versions = Annotated[dict[Label, Label], Field(max_length=100)]
Fraction = Annotated[float, Field(strict=True, ge=0, le=1)]
Dial = Annotated[float, Field(strict=True, ge=-1, le=1)]
Decibels = Annotated[float, Field(strict=True, ge=0, le=1000)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=1e9)]
Count = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
Length = Annotated[int, Field(strict=True, gt=0, lt=2**31)]
"""In pixels."""

Seed = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
