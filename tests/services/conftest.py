"""A studio with a toy model, for services to be tried on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from starlette.testclient import TestClient

from tests.services.images import KEY
from tests.support.toy import ToyBackbone, ToyMethod
from undrift.methods import registry
from undrift.services.images_api.app import create_api
from undrift.studio import server
from undrift.studio.studio import Studio


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """A studio over an empty folder; the method of a turn that names none is the toy's."""
    known = {**registry.all_methods(), "toy": ToyMethod}
    monkeypatch.setattr(registry, "all_methods", lambda: known)
    monkeypatch.setattr(registry, "DEFAULT", "toy")
    folder = tmp_path / "sessions"
    folder.mkdir()
    return Studio(ToyBackbone(), folder)


@pytest.fixture
def client(studio: Studio) -> Iterator[openai.OpenAI]:
    """The official client, on a real server that wants a key."""
    listening = server.listen("127.0.0.1", 0)
    serving = server.server_of(studio, "127.0.0.1", KEY, create_api)
    thread = threading.Thread(target=serving.run, args=([listening],), daemon=True)
    thread.start()
    url = server.address(listening, "127.0.0.1")
    with openai.OpenAI(base_url=f"{url}v1", api_key=KEY, max_retries=0) as opened:
        yield opened
    serving.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def plain(studio: Studio) -> Iterator[TestClient]:
    """A program of one's own, without a key."""
    with TestClient(create_api(studio), base_url="http://127.0.0.1:7860", raise_server_exceptions=False) as opened:
        yield opened
