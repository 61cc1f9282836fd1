"""The page's catalogues, for the login page, which works without scripts; ``languages.js`` does the same elsewhere.

A catalogue is by the English text, in which numbers in braces stand for what is put in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

_FOLDER = files("undrift.studio").joinpath("static", "languages")
ENGLISH = "en"
OFFERED = (ENGLISH, "de", "fr")
_HOLE = re.compile(r"\\\{(\d)\\\}")
_WANTED = re.compile(r"\s*([A-Za-z]{1,8})[^,;]*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*")


def preferred(accepted: str) -> str:
    """Of the languages that are offered, the one that an ``Accept-Language`` header wants most; English if none."""
    wanted = [found for part in accepted.split(",")[:20] if (found := _WANTED.fullmatch(part))]
    liked = sorted(wanted, key=lambda found: -float(found[2] or 1))
    return next((found[1].lower() for found in liked if found[1].lower() in OFFERED), ENGLISH)


def said(text: str, language: str) -> str:
    """``text`` in ``language``; as it is where the catalogue has neither it nor a text with holes that it fills."""
    words = _catalogue(language)
    if text in words:
        return words[text]
    for key in words:
        if "{" in key and (found := _pattern(key).fullmatch(text)):
            return re.sub(r"\{(\d)\}", lambda hole: found[f"hole{hole[1]}"], words[key])
    return text


@lru_cache(maxsize=len(OFFERED))
def _catalogue(language: str) -> Mapping[str, str]:
    if language == ENGLISH:
        return {}
    words: dict[str, str] = json.loads(_FOLDER.joinpath(f"{language}.json").read_text("utf-8"))
    return words


@lru_cache(maxsize=2048)
def _pattern(key: str) -> re.Pattern[str]:
    return re.compile(_HOLE.sub(r"(?P<hole\1>.+?)", re.escape(key)), re.DOTALL)
