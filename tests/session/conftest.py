"""A toy session to start from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.memory import memory_folder
from tests.support.toy import ToyBackbone, toy_picture
from undrift.session.engine import start_session
from undrift.session.store import Session


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory where possible: a turn waits for the disk a dozen times, and these tests make hundreds."""
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        yield Path(folder)


@pytest.fixture
def backbone() -> ToyBackbone:
    return ToyBackbone()


@pytest.fixture
def session(tmp_path: Path, backbone: ToyBackbone) -> Session:
    return start_session(tmp_path / "session", toy_picture(), "a cat", backbone)
