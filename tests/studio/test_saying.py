"""What is said in the studio's box: shown before the turn, corrected, recorded; with a language model where asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.studio.conftest import Json, edited, shown, started
from tests.support.language_model import Reply, answer, scripted
from tests.support.toy import ToyMethod
from undrift.instructions.chat_model import ChatModel
from undrift.session.store import Session
from undrift.studio.studio import Studio

BLUE = answer(caption="a blue cat", kinds=["colour"], words=["blue"])


def say(client: TestClient, turn: str, text: str, **more: Any) -> Json:
    answered = client.post("/api/sessions/cat/say", json={"turn": turn, "text": text, **more})
    assert answered.status_code == 200, answered.text
    value: Json = answered.json()
    return value


@pytest.fixture
def original(client: TestClient) -> str:
    """The id of the original of a new session: a red cat."""
    first: str = started(client)["head"]
    return first


def test_an_instruction_is_understood_before_anything_is_made(client: TestClient, original: str) -> None:
    heard = say(client, original, "make the cat blue")
    assert heard == {
        "form": "instruction",
        "kinds": ["colour"],
        "note": "",
        "source": "a red cat",
        "target": "a blue cat",
        "words": ["blue"],
        "exchange": None,
    }
    assert len(shown(client)["turns"]) == 1


def test_the_turn_records_what_was_said_and_the_corrected_caption(client: TestClient, original: str) -> None:
    turn = edited(client, original, "a dark blue cat", instruction="make the cat blue", words=["blue"])
    assert (turn["prompt"], turn["spec"]["instruction"]) == ("a dark blue cat", "make the cat blue")


def test_a_caption_is_found_and_either_can_be_forced(client: TestClient, original: str) -> None:
    assert say(client, original, "a blue dog")["form"] == "caption"
    forced = say(client, original, "make the cat blue", form="caption")
    assert (forced["form"], forced["target"]) == ("caption", "make the cat blue")
    assert "cannot tell what" in say(client, original, "a blue dog", form="instruction")["problem"]


def test_what_is_not_understood_says_why(client: TestClient, original: str) -> None:
    heard = say(client, original, "make the horse blue")
    assert "the caption has no 'the horse'" in heard["problem"]
    assert heard["why"] == {"key": "no_such_thing", "values": {"said": "the horse", "named": ["the red cat"]}}


def test_an_editor_by_instructions_is_told_what_nobody_understood(
    client: TestClient, original: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyMethod, "follows_instructions", True)
    assert "problem" in say(client, original, "make the horse blue", method="no_edit")
    assert "problem" in say(client, original, "make the horse blue", method="no such")
    heard = say(client, original, "make the horse blue", method="toy")
    assert (heard["form"], heard["kinds"], heard["target"], heard["words"]) == ("instruction", [], "a red cat", None)
    assert "the caption has no 'the horse'" in heard["note"]
    assert heard["why"]["key"] == "no_such_thing"
    assert say(client, original, "make the cat blue", method="toy")["target"] == "a blue cat"
    turn = edited(client, original, heard["target"], instruction="make the horse blue")
    assert (turn["prompt"], turn["spec"]["instruction"]) == ("a red cat", "make the horse blue")


def test_steps_and_strengths_are_told_as_such(client: TestClient, original: str) -> None:
    assert "nothing to undo" in say(client, original, "undo that")["problem"]
    first = edited(client, original)
    second = edited(client, first["id"], "a green cat")
    assert say(client, second["id"], "undo the last two changes")["undo"] == 2
    more = say(client, first["id"], "a bit more")
    assert (more["dial"], more["again"]["parent"], more["again"]["seed"]) == (-0.5, original, 1)


def test_the_language_model_is_asked_only_when_the_page_says_so(
    client: TestClient, studio: Studio, original: str
) -> None:
    refused = client.post("/api/sessions/cat/say", json={"turn": original, "text": "x", "ask_model": True})
    assert (refused.status_code, "start it with --llm" in refused.json()["error"]) == (400, True)
    with scripted(BLUE) as server:
        studio.language = ChatModel(server.url, "m")
        assert "problem" in say(client, original, "like the sea, please")
        assert server.requests == []
        heard = say(client, original, "like the sea, please", ask_model=True)
    assert heard["target"] == "a blue cat"
    with scripted(Reply(refusal="no")) as server:
        studio.language = ChatModel(server.url, "m")
        unheard = say(client, original, "like the sea, please", ask_model=True)
    assert "it refuses; read without it" in unheard["note"]
    assert "it refuses" not in unheard["problem"]
    turn = edited(client, original, "a blue cat", instruction="like the sea, please", exchange=heard["exchange"])
    assert turn["spec"]["exchange"]["answer"] == BLUE
    assert Session.open(studio.folders.root / "cat").head.id == turn["id"]


def test_a_page_cannot_make_an_exchange_up(client: TestClient, original: str) -> None:
    form = {"parent": original, "prompt": "a blue cat", "method": {"name": "toy"}, "exchange": "0" * 24}
    refused = client.post("/api/sessions/cat/edit", json=form)
    assert (refused.status_code, "ask it again" in refused.json()["error"]) == (404, True)
    made_up = {**form, "exchange": {"model": "m", "messages": [], "answer": "made up"}}
    assert client.post("/api/sessions/cat/edit", json=made_up).status_code == 422


@pytest.mark.parametrize("text", ["", "x" * 4001, "\ud800", 7, None])
def test_hostile_texts(client: TestClient, original: str, text: Any, tmp_path: Path) -> None:
    body = {"turn": original, "text": text}
    if text == "\ud800":
        content = b'{"turn": "' + original.encode() + b'", "text": "\\ud800"}'
        answered = client.post("/api/sessions/cat/say", content=content)
    else:
        answered = client.post("/api/sessions/cat/say", json=body)
    assert answered.status_code in (200, 422), answered.text
    if answered.status_code == 200:
        assert "problem" in answered.json()
