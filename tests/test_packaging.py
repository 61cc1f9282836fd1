"""The constraints pin what the project needs, to versions that it accepts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import undrift

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
NEEDED = [*PROJECT["dependencies"], *EXTRAS["dev"], *EXTRAS["docs"]]


def pins() -> dict[str, str]:
    """Version by canonical name."""
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


@pytest.mark.parametrize("text", NEEDED)
def test_every_dependency_is_pinned_within_its_range(text: str) -> None:
    needed = Requirement(text)
    assert needed.specifier.contains(pins()[canonicalize_name(needed.name)])


def test_changelog_names_the_version() -> None:
    assert re.search(
        rf"^## {re.escape(undrift.__version__)}\b", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
