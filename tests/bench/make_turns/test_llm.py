from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench.make_turns.server import Reply, serving
from tests.bench.make_turns.support import entry, made
from undrift.bench.data.pie import read_entries
from undrift.bench.data.prompts import read_folder
from undrift.bench.make_turns.contract import complaints
from undrift.bench.make_turns.llm import ModelWriter
from undrift.bench.make_turns.templates import TemplateWriter
from undrift.errors import InputError
from undrift.instructions.chat_model import NOBODY_WAITS, ChatModel


def answer_for(asked: dict[str, Any], count: int = 4) -> str:
    """What a good model would say: the templates' own turns for the caption in the question."""
    question = asked["messages"][1]["content"]
    caption = question.split("Caption after it: ")[1].splitlines()[0]
    kind = int(question.split("(type ")[1].split(",")[0])
    kept = tuple(json.loads(question.split("in every caption: ")[1].splitlines()[0]))
    picture = replace(entry(kind), target_prompt=caption, marked=kept, blended=())
    turns, _ = TemplateWriter().propose(picture, count)
    said = [
        {"type": str(t.type), "instruction": t.instruction, "caption": t.caption, "phrase": t.phrase} for t in turns
    ]
    return json.dumps({"turns": said})


def quick(url: str, timeout: float = 5.0, key: str | None = None, retries: int = 4) -> ChatModel:
    """A client that hardly waits."""
    return ChatModel(url, "tiny", key, timeout, replace(NOBODY_WAITS, retries=retries, pause=0.0))


def in_turn(*replies: Reply | Callable[[dict[str, Any]], Reply]) -> Callable[[dict[str, Any]], Reply]:
    """Each reply once, then good answers."""
    left = list(replies)

    def answer(asked: dict[str, Any]) -> Reply:
        reply = left.pop(0) if left else Reply(answer_for(asked))
        return reply if isinstance(reply, Reply) else reply(asked)

    return answer


def test_a_good_model(data: Path) -> None:
    with serving(in_turn()) as model:
        chat = quick(model.url, key="secret")
        assert len(made(data, ModelWriter(chat, seed=7))["written"]) == 5
        assert len(model.requests) == 5
        assert made(data, ModelWriter(chat, seed=7)).keys() == {"there"}
        assert len(model.requests) == 5
    asked = model.requests[0]
    assert (asked["path"], asked["model"], asked["seed"]) == ("/v1/chat/completions", "tiny", 7)
    assert model.headers[0]["authorization"] == "Bearer secret"
    first = read_entries(data)[0]
    assert f"Caption after it: {first.target_prompt}\n" in asked["messages"][1]["content"]
    generator = read_folder(data / "MTC_prompts")[first.id].generator
    assert generator is not None
    assert (generator.kind, generator.model, generator.seed, generator.tries) == ("llm", "tiny", 7, 1)
    assert len(generator.prompt_sha) == 64


BAD = [
    ("not JSON alone", lambda asked: f"Sure! Here you are:\n{answer_for(asked)}"),
    ("not JSON alone", lambda asked: "[" * 100_000),
    ("3 turns, expected 4", lambda asked: answer_for(asked, 3)),
    ("turns: field required", lambda asked: "{}"),
    (
        "input should be less than or equal to 9",
        lambda asked: answer_for(asked).replace('"type": "9"', '"type": "12"'),
    ),
    ("type 0, expected 1 to 9", lambda asked: answer_for(asked).replace('"type": "9"', '"type": "0"')),
    (
        "the caption lost",
        lambda asked: json.dumps(
            {"turns": [{**turn, "caption": turn["phrase"]} for turn in json.loads(answer_for(asked))["turns"]]}
        ),
    ),
]


@pytest.mark.parametrize(("said", "bad"), BAD)
def test_a_bad_answer_is_told_and_asked_again(data: Path, said: str, bad: Callable[[dict[str, Any]], str]) -> None:
    with serving(in_turn(lambda asked: Reply(bad(asked)))) as model:
        writer = ModelWriter(quick(model.url))
        proposals, tries = writer.propose(read_entries(data)[0], 4)
    assert tries == 2
    assert complaints(read_entries(data)[0], proposals, 4) == []
    again = model.requests[1]
    assert [message["role"] for message in again["messages"]] == ["system", "user", "assistant", "user"]
    assert said in again["messages"][3]["content"]
    assert again["seed"] == model.requests[0]["seed"] + 1


def test_a_fence_around_the_json_is_taken_off(data: Path) -> None:
    with serving(lambda asked: Reply(f"```json\n{answer_for(asked)}\n```")) as model:
        assert ModelWriter(quick(model.url)).propose(read_entries(data)[0], 4)[1] == 1


def test_after_three_bad_answers_the_picture_is_dropped_and_logged(data: Path) -> None:
    with serving(in_turn(*[Reply("no")] * 3)) as model:
        found = made(data, ModelWriter(quick(model.url)))
        assert {state: len(ids) for state, ids in found.items()} == {"dropped": 1, "written": 4}
        (line,) = (data / "MTC_prompts" / "dropped.jsonl").read_text().splitlines()
        assert json.loads(line) == {
            "id": found["dropped"][0],
            "why": "no good answer in 3 tries: the answer is not JSON alone",
        }
        assert made(data, ModelWriter(quick(model.url))) == {"written": found["dropped"], "there": found["written"]}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=429),
        Reply(status=500),
        Reply(status=503),
        Reply(status=408),
        Reply(raw=b"<html>busy</html>"),
        Reply(raw=b'{"choices": []}'),
        Reply(raw=b'{"choices": [{"message": {"content": null}}]}'),
        Reply(raw=b"\xff\xfe"),
        Reply(raw=b"[" * 100_000),
    ],
    ids=["429", "500", "503", "408", "html", "no choices", "no text", "no utf-8", "nested"],
)
def test_passing_failures_are_waited_for(data: Path, reply: Reply) -> None:
    with serving(in_turn(reply, reply, reply)) as model:
        assert ModelWriter(quick(model.url)).propose(read_entries(data)[0], 4)[1] == 1
        assert len(model.requests) == 4


def test_a_hanging_server_is_left(data: Path) -> None:
    with serving(in_turn(Reply(hangs=True))) as model:
        assert ModelWriter(quick(model.url, timeout=0.2)).propose(read_entries(data)[0], 4)[1] == 1
        assert len(model.requests) == 2


def test_a_server_that_is_gone_stops_the_work(data: Path) -> None:
    with serving(in_turn()) as model:
        url = model.url
    with pytest.raises(
        InputError, match=r"stopped, 3 pictures in a row got no answer: .* it cannot be reached .*run it again"
    ):
        made(data, ModelWriter(quick(url, retries=1)))
    assert len((data / "MTC_prompts" / "dropped.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_final(data: Path, status: int) -> None:
    with serving(in_turn(Reply(status=status, raw=b"no such\n model"))) as model:
        with pytest.raises(
            InputError,
            match=rf"'tiny': its server answers {status} .*no such model.*: check --llm, --llm-model and the key",
        ):
            made(data, ModelWriter(quick(model.url)))
        assert len(model.requests) == 1
