"""``--llm`` on the command line: read, shown, recorded, replayed without a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Invoke, parsed
from tests.support.language_model import Reply, answer, scripted
from undrift.pictures import read_metadata
from undrift.session.store import Session

TOY = ("--method", "toy", "--seed", "1")
SECRET = "sk-not-for-anybody"
BLUE = answer(caption="a blue dog on a beach", kinds=["colour"], words=["blue"])


@pytest.fixture
def dogs(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """A session with a dog."""
    monkeypatch.setenv("UNDRIFT_LLM_KEY", SECRET)
    assert invoke("new", "cat.png", "-p", "a green dog on a beach").exit_code == 0
    return invoke


def test_a_turn_is_read_by_the_model_and_replayed_without_it(dogs: Invoke) -> None:
    with scripted(BLUE) as server:
        made = dogs("edit", "let it look like the sea", "--llm", server.url, "--llm-model", "m", *TOY)
        url = server.url
    assert made.exit_code == 0, made.stderr
    assert "read as an instruction (colour): a [-green-] {+blue+} dog on a beach" in made.stderr
    session = Session.open(Path("undrift-session"))
    spec = session.head.spec
    assert spec is not None
    assert spec.exchange is not None
    assert (spec.instruction, spec.target_prompt) == ("let it look like the sea", "a blue dog on a beach")
    assert (spec.exchange.model, spec.exchange.answer) == ("m", BLUE)
    assert [role for role, _ in spec.exchange.messages] == ["system", "user"]
    again = dogs("replay", "-o", "again")  # the server has gone
    assert again.exit_code == 0, again.stderr
    copy = Session.open(Path("again")).head
    assert (copy.id, copy.image_hash, copy.spec) == (session.head.id, session.head.image_hash, spec)
    for file in (Path("undrift-session") / session.head.image, Path("undrift-session/session.sqlite")):
        data = file.read_bytes()
        assert SECRET.encode() not in data
        assert url.encode() not in data
    assert (
        read_metadata(Path("undrift-session") / session.head.image)["turns"][0]["spec"]["exchange"]["answer"] == BLUE
    )


def test_the_grammar_reads_where_the_model_does_not(dogs: Invoke) -> None:
    with scripted(Reply(status=503, body=b"")) as server:
        made = dogs("edit", "make the dog blue", "--llm", server.url, "--llm-model", "m", *TOY)
    assert made.exit_code == 0, made.stderr
    assert "note: the language model 'm': its server answers 503" in made.stderr
    spec = Session.open(Path("undrift-session")).head.spec
    assert spec is not None
    assert (spec.instruction, spec.exchange) == ("make the dog blue", None)


def test_run_tells_the_model_of_the_turns_before(invoke: Invoke) -> None:
    more = answer(caption="a blue dog on a beach at night", kinds=["background"], words=["night"])
    with scripted(BLUE, more) as server:
        said = ("--say", "like the sea", "--say", "late", "--llm", server.url, "--llm-model", "m")
        made = parsed(invoke("run", "cat.png", "-p", "a green dog on a beach", *said, *TOY, "--json"))["turns"]
        told = server.asked[1]["turns"]
    assert [turn["spec"]["exchange"]["answer"] for turn in made] == [BLUE, more]
    assert told[1] == {"number": 1, "said": "like the sea", "caption": "a blue dog on a beach"}


def test_a_step_back_makes_no_turn(dogs: Invoke) -> None:
    assert dogs("edit", "make the dog blue", *TOY).exit_code == 0
    with scripted(answer(action="undo", turn=0)) as server:
        moved = parsed(dogs("edit", "nah", "--llm", server.url, "--llm-model", "m", "--json"))
    assert moved["number"] == 0


def test_half_an_address_makes_no_turn(dogs: Invoke) -> None:
    result = dogs("edit", "make the dog blue", "--llm", "http://127.0.0.1:9/v1", *TOY)
    assert (result.exit_code, "belong together" in result.stderr) == (2, True)
    assert len(Session.open(Path("undrift-session")).turns()) == 1
