"""How results are printed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click


def emit(as_json: bool, value: Mapping[str, Any], text: str) -> None:
    """Print ``value`` as one JSON object, or ``text``."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str) if as_json else text)
