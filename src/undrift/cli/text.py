"""Text that a terminal shows and never obeys.

Prompts, names of files and models, and metadata come from anywhere. What a terminal would obey rather than show, such
as an escape sequence that sets the window's title, is written as ``\\u001b``.
"""

from __future__ import annotations

import re

from undrift.wording import readable

_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u2028\u2029"  # other line ends
    "\u202a-\u202e\u2066-\u2069"  # turn the direction of writing, so that text reads as what it is not
    "\ud800-\udfff]"  # no characters
)


def shown(text: str) -> str:
    """``text`` as it can be shown: what is not printable is written as JSON escapes it, a byte as ``\\xNN``."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", readable(text))


def line(text: str) -> str:
    """``shown``, in one line."""
    return shown(text).replace("\t", r"\t").replace("\n", r"\n")
