"""The services as what they are: processes of their own that other programs start, ask and end."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from PIL import Image

from tests.support.programs import SLOW, environment
from undrift.littleworld import demo
from undrift.pictures import png_bytes, read_picture
from undrift.session.store import Session

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="sends signals")]

KEY = "a key that is long enough"
MODEL = ("-m", "undrift.cli.main")
TOY = ("-c", SLOW)


@contextmanager
def served(folder: Path, program: tuple[str, ...]) -> Iterator[tuple[subprocess.Popen[str], openai.OpenAI]]:
    """``undrift serve --api`` over ``folder``, and the official client of it."""
    command = [sys.executable, *program, "serve", "--api", "--sessions", str(folder), "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(UNDRIFT_KEY=KEY)
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("images API: http://127.0.0.1:"), process.stderr.read() if process.stderr else ""
        with openai.OpenAI(base_url=line.split()[-1], api_key=KEY, max_retries=0, timeout=240) as client:
            yield process, client
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], how: signal.Signals) -> str:
    """What the process said on its stderr while it was ended."""
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 130, -how), (process.returncode, errors)
    return errors


def picture_of(data: Any) -> bytes:
    return base64.b64decode(data.b64_json)


def outside_of(box: tuple[int, int, int, int], picture: bytes) -> np.ndarray[Any, Any]:
    pixels = np.array(read_picture(picture))
    pixels[box[1] : box[3], box[0] : box[2]] = 0
    return pixels


def test_the_official_client_edits_over_three_turns_and_ctrl_c_ends_the_server(tmp_path: Path) -> None:
    """With the embedded model: a turn, one within a mask and in a stream, and candidates."""
    original = png_bytes(demo.picture())
    with served(tmp_path, MODEL) as (process, client):
        assert [each.id for each in client.models.list()] == ["littleworld"]
        with pytest.raises(openai.AuthenticationError, match="wrong or missing key"):
            client.with_options(api_key="wrong").models.list()
        first = client.images.edit(
            image=original, prompt="make the robot green", extra_body={"caption": demo.prompt(), "preset": "fast"}
        )
        session = first.session  # type: ignore[attr-defined]
        assert first.data is not None
        made = picture_of(first.data[0])
        box = (64, 32, 224, 240)
        mask = Image.new("RGBA", demo.picture().size, (0, 0, 0, 255))
        mask.paste((0, 0, 0, 0), box)
        file = io.BytesIO()
        mask.save(file, "PNG")
        with client.images.edit(
            image=made,
            mask=file.getvalue(),
            prompt="make the robot blue",
            stream=True,
            partial_images=2,
            extra_body={"session": session, "preset": "fast"},
        ) as stream:
            events = list(stream)
        assert [event.type for event in events[:-1]] == ["image_edit.partial_image"] * (len(events) - 1)
        assert events[-1].type == "image_edit.completed"
        assert 1 <= len(events) <= 3
        masked = picture_of(events[-1])
        assert masked != made
        assert np.array_equal(outside_of(box, masked), outside_of(box, made))
        chosen = client.images.edit(
            image=masked, prompt="make the robot red", n=2, extra_body={"session": session, "preset": "fast"}
        )
        assert chosen.data is not None
        assert len(chosen.data) == 2
        assert "Traceback" not in ended(process, signal.SIGINT)
    tree = Session.open(tmp_path / session).tree()
    said = [turn.spec.instruction for turn in tree.path(tree.head)[1:] if turn.spec]
    assert said == ["make the robot green", "make the robot blue", "make the robot red"]
    assert len(tree.turns) == 5


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_ended_in_the_middle_of_a_turn_leaves_a_whole_session(
    tmp_path: Path, how: signal.Signals
) -> None:
    told: list[Exception] = []
    with served(tmp_path, TOY) as (process, client):

        def ask() -> None:
            try:
                client.images.edit(
                    image=png_bytes(demo.picture()),
                    prompt="a dog",
                    n=9,
                    extra_body={"method": "toy", "caption": "a cat"},
                )
            except openai.APIError as error:
                told.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        while not (folders := list(tmp_path.iterdir())) and asking.is_alive():
            time.sleep(0.05)
        assert "Traceback" not in ended(process, how)
        asking.join(30)
        assert not asking.is_alive()
    assert len(told) == 1
    session = Session.open(folders[0])
    assert session.unfinished() == ()
    assert session.original.prompt == "a cat"


def test_bytes_that_are_no_request_end_no_server(tmp_path: Path) -> None:
    form = {"content-type": "multipart/form-data; boundary=x", "authorization": f"Bearer {KEY}"}
    with served(tmp_path, TOY) as (process, client):
        url = f"{str(client.base_url).rstrip('/')}/images/edits"
        for body in (b"", b"\0" * 100_000, b"--x\r\n" * 1000, b'{"prompt": NaN}'):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(url, body, form), timeout=60)
            assert refused.value.code in (400, 415)
            assert set(json.load(refused.value)["error"]) == {"message", "type", "param", "code"}
        assert client.models.list().data[0].id == "toy"
        assert "Traceback" not in ended(process, signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_where_others_can_reach_it_a_server_wants_a_key(tmp_path: Path) -> None:
    command = [sys.executable, *TOY, "serve", "--api", "--sessions", str(tmp_path), "--host", "0.0.0.0"]
    run = subprocess.run(command, env=environment(UNDRIFT_KEY=""), capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "--key or $UNDRIFT_KEY" in run.stderr


def test_lines_that_are_no_message_end_no_tools(tmp_path: Path) -> None:
    """What an agent's client may send by mistake, between two requests that are answered."""
    command = [sys.executable, *TOY, "mcp", str(tmp_path)]
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    call = {"name": "edit", "arguments": {"session": ["cat"], "text": {"a": 1}, "seed": "NaN"}}
    messages = [
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        "no json",
        "{",
        "[]",
        '{"jsonrpc": "2.0", "id": NaN, "method": 7}',
        '{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": 5}',
        json.dumps({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": call}),
        json.dumps(
            {
                "jsonrpc": "2.0",
                "id": 4,
                "method": "tools/call",
                "params": {"name": "look", "arguments": {"session": "x" * 10**6}},
            }
        ),
        json.dumps({"jsonrpc": "2.0", "id": 5, "method": "tools/list"}),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join(messages) + "\n")
        process.stdin.flush()
        answers: dict[Any, Any] = {}
        while 5 not in answers:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            told = json.loads(line)
            answers[told.get("id")] = told
        process.stdin.close()
        assert process.wait(30) == 0
        errors = process.stderr.read() if process.stderr else ""
    assert {tool["name"] for tool in answers[5]["result"]["tools"]} >= {"open", "edit", "look"}
    for number in (3, 4):
        assert answers[number]["result"]["isError"]
        assert len(answers[number]["result"]["content"][0]["text"]) < 2000
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed without a chance to tidy up: what was finished is not made again, and what was begun is."""
    demo.picture().resize((40, 32)).save(tmp_path / "cat.png")
    rows = [f"{name},cat.png,a cat,a dog,a bird,a fish\n" for name in "abc"]
    (tmp_path / "t.csv").write_text("id,picture,prompt,turn1,turn2,turn3\n" + "".join(rows), "utf-8")
    command = [sys.executable, *TOY, "batch", "t.csv", "--method", "toy", "--json"]
    first = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "t" / "pictures" / "a.png").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    first.kill()
    first.wait()
    before = {name: _turns(tmp_path / "t" / "sessions" / name) for name in "abc"}
    assert len(before["a"]) == 4
    assert len(before["c"]) < 4
    run = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    for name in "abc":
        after = _turns(tmp_path / "t" / "sessions" / name)
        assert len(after) == 4
        assert after[: len(before[name])] == before[name]
        assert (tmp_path / "t" / "pictures" / f"{name}.png").is_file()
        assert Session.open(tmp_path / "t" / "sessions" / name).unfinished() == ()
    assert (tmp_path / "t" / "report.html").read_text("utf-8").count("finished") >= 3


def _turns(folder: Path) -> list[str]:
    return [turn.id for turn in Session.open(folder).turns()] if folder.is_dir() else []
