"""Calls of an agent's tools while they run: how far they are, their end before their time, and one after another."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client
from mcp_types import CallToolResult

from tests.support.asynchronous import run_async
from tests.support.programs import environment
from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.errors import Cancelled
from undrift.methods import registry
from undrift.pictures import png_bytes
from undrift.services.mcp import watch
from undrift.services.mcp.desk import Desk
from undrift.services.mcp.server import create_server
from undrift.services.mcp.watch import Watch
from undrift.session.ahead import Meanwhile
from undrift.session.store import Session

PATIENCE = 60.0
"""Seconds after which a test that waits has failed; nothing is measured by it."""


class Gate:
    """A model's network that stops at its first evaluation until it is opened."""

    def __init__(self, backbone: ToyBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        network = backbone.network

        def waiting(*arguments: Any) -> Any:
            self.reached.set()
            assert self.opened.wait(PATIENCE)
            return network(*arguments)

        monkeypatch.setattr(backbone, "network", waiting)

    async def is_reached(self) -> None:
        assert await anyio.to_thread.run_sync(self.reached.wait, PATIENCE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server's folder with a session of two turns, made with the toy's method."""
    known = {**registry.all_methods(), "toy": ToyMethod}
    monkeypatch.setattr(registry, "all_methods", lambda: known)
    (tmp_path / "cat.png").write_bytes(png_bytes(toy_picture(40, 32)))
    desk = Desk(ToyBackbone(), tmp_path)
    desk.open("cat.png", "a cat", "cat")
    for caption in ("a dog", "a cow"):
        desk.edit("cat", caption, "head", "caption", 1, "toy", None, 1)
    return tmp_path


def agent(desk: Desk, use: Callable[[Client], Awaitable[None]]) -> None:
    """Have an agent use a server in this process."""

    async def run() -> None:
        async with Client(create_server(desk)) as client:
            await use(client)

    run_async(run)


def said(result: CallToolResult) -> str:
    return str(result.content[0].model_dump()["text"])


def test_an_edit_says_how_far_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "QUIET_SECONDS", 0.0)
    told: list[tuple[float, float | None, str | None]] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async def use(client: Client) -> None:
        asked = {"session": "cat", "text": "a bird", "read_as": "caption", "candidates": 2}
        assert not (await client.call_tool("edit", asked, progress_callback=heard)).is_error

    agent(Desk(ToyBackbone(), folder), use)
    assert told == [(done, 8, f"sampling, step {(done - 1) % 4 + 1} of 4") for done in range(1, 9)]


def test_an_edit_that_is_cancelled_ends_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ToyBackbone()
    gate = Gate(model, monkeypatch)
    asked = {"session": "cat", "text": "a bird", "read_as": "caption"}

    async def use(client: Client) -> None:
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as first:

                async def stop() -> None:
                    await gate.is_reached()
                    first.cancel()
                    gate.opened.set()

                group.start_soon(stop)
                await client.call_tool("edit", asked)
        assert Session.open(folder / "cat").unfinished() == ()
        assert not (await client.call_tool("edit", asked)).is_error

    agent(Desk(model, folder), use)
    session = Session.open(folder / "cat")
    assert [turn.prompt for turn in session.turns()] == ["a cat", "a dog", "a cow", "a bird"]


def test_who_waits_for_the_model_can_be_cancelled_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy, wanted = Meanwhile(), threading.Event()

    def check() -> None:
        wanted.set()
        raise Cancelled("nobody waits")

    with busy.working():
        told: list[BaseException] = []

        def second() -> None:
            try:
                with busy.working(check):
                    pass
            except Cancelled as error:
                told.append(error)

        thread = threading.Thread(target=second)
        thread.start()
        thread.join(PATIENCE)
        assert (len(told), wanted.is_set()) == (1, True)
    with busy.working():  # it was given back
        pass


@pytest.mark.parametrize(
    ("tool", "asked", "number"),
    [("undo", {}, 2), ("go", {"turn": "head"}, 3), ("branch", {"name": "other"}, 3)],
)
def test_what_moves_the_head_waits_for_the_edit_before_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tool: str, asked: dict[str, Any], number: int
) -> None:
    """Else the turn that is made then would stand where the head no longer is, and "head" would mean another one."""
    model = ToyBackbone()
    gate = Gate(model, monkeypatch)
    answers: dict[str, str] = {}

    async def use(client: Client) -> None:
        async def call(name: str, arguments: dict[str, Any]) -> None:
            answers[name] = said(await client.call_tool(name, {"session": "cat", **arguments}))

        async with anyio.create_task_group() as group:
            group.start_soon(call, "edit", {"text": "a bird", "read_as": "caption"})
            await gate.is_reached()
            group.start_soon(call, tool, asked)
            await client.call_tool("history", {"session": "cat"})
            gate.opened.set()

    agent(Desk(model, folder), use)
    assert '"number": 3' in answers["edit"]
    assert f'"number": {number}' in answers[tool]
    assert Session.open(folder / "cat").head.number == number


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (3, "cannot undo 3 turns: 2 lead to the head"),
        (1000, "cannot undo 1000 turns"),
        (-1, "nothing to redo: no turn was made from the head"),
    ],
)
def test_too_many_steps_back_are_none(folder: Path, steps: int, message: str) -> None:
    async def use(client: Client) -> None:
        refused = await client.call_tool("undo", {"session": "cat", "steps": steps})
        assert refused.is_error
        assert message in said(refused)

    agent(Desk(ToyBackbone(), folder), use)
    assert Session.open(folder / "cat").head.number == 2


def test_several_steps_back_and_forward(folder: Path) -> None:
    session = Session.open(folder / "cat")
    assert session.undo(2).number == 0
    with pytest.raises(Exception, match="cannot redo 3 turns: 2 were made"):
        session.redo(3)
    assert session.head.number == 0
    assert session.redo(2).number == 2
    assert session.tree().branch == "main"


def test_nobody_in_particular_wants_everything() -> None:
    quiet = Watch()
    quiet.check()
    quiet.tell(1, 2, "sampling")


@pytest.mark.slow
def test_ctrl_c_ends_the_server_though_its_client_stays(tmp_path: Path) -> None:
    """And leaves nothing of an edit that was under way."""
    (tmp_path / "cat.png").write_bytes(png_bytes(toy_picture(64, 64)))
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    asked: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": client},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "open", "arguments": {"picture": "cat.png"}}},
    ]
    command = [sys.executable, "-m", "undrift.cli.main", "mcp", str(tmp_path)]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment(), text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        for message in asked:
            server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            server.stdin.flush()
            if "id" in message:
                assert f'"id":{message["id"]}' in server.stdout.readline().replace(" ", "")
        edit = {"session": "cat", "text": "a dog", "read_as": "caption", "candidates": 9}
        call = {"id": 3, "method": "tools/call", "params": {"name": "edit", "arguments": edit}}
        server.stdin.write(json.dumps({"jsonrpc": "2.0", **call}) + "\n")
        server.stdin.flush()
        session = Session(tmp_path / "cat")
        deadline = time.monotonic() + PATIENCE
        while not session.unfinished() and time.monotonic() < deadline:
            time.sleep(0.01)
        server.send_signal(signal.SIGINT)
        assert server.wait(PATIENCE) == 130
    assert session.unfinished() == ()
