"""Tools for agents, used by the official client: a session of five turns, and hostile arguments."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types import CallToolResult, ImageContent, TextContent

from tests.support.asynchronous import run_async
from tests.support.language_model import answer, scripted
from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.instructions.chat_model import ChatModel
from undrift.littleworld import demo
from undrift.methods import registry
from undrift.pictures import png_bytes, read_metadata, read_picture
from undrift.services.mcp.desk import Desk
from undrift.services.mcp.server import create_server
from undrift.session.engine import EditPlan, run_turn
from undrift.session.provenance import recipe
from undrift.session.store import Session

Call = Callable[..., Awaitable[tuple[dict[str, Any], list[bytes]]]]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a server, with a picture in it and a secret beside it."""
    known = {**registry.all_methods(), "toy": ToyMethod}
    monkeypatch.setattr(registry, "all_methods", lambda: known)
    (tmp_path / "secret.png").write_bytes(png_bytes(toy_picture()))
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "cat.png").write_bytes(png_bytes(toy_picture(40, 32)))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    return folder


def read(result: CallToolResult) -> tuple[dict[str, Any], list[bytes]]:
    """What a tool told, and the pictures that it showed."""
    first, *others = result.content
    assert isinstance(first, TextContent)
    assert not result.is_error, first.text
    pictures = [base64.b64decode(each.data) for each in others if isinstance(each, ImageContent)]
    assert len(pictures) == len(others)
    return json.loads(first.text), pictures


def agent(desk: Desk, use: Callable[[Call], Awaitable[None]]) -> None:
    """Have an agent use a server in this process."""

    async def run() -> None:
        async with Client(create_server(desk)) as client:

            async def call(tool: str, **arguments: Any) -> tuple[dict[str, Any], list[bytes]]:
                return read(await client.call_tool(tool, arguments))

            await use(call)

    run_async(run)


def test_an_agent_edits_over_five_turns(desk: Path) -> None:
    async def use(call: Call) -> None:
        there, _ = await call("files")
        assert there == {"sessions": [], "pictures": ["cat.png", "link.png"]}
        begun, (original,) = await call("open", picture="cat.png", caption="a red cat on a sofa", session="cat")
        assert (begun["session"], begun["caption_is"]) == ("cat", "given")
        assert read_picture(original).tobytes() == toy_picture(40, 32).tobytes()
        turns = ["make the cat blue", "put a hat on the cat", "make the hat green", "add a star", "make the star red"]
        captions, edited = [], {}
        for number, text in enumerate(turns, 1):
            made, (picture,) = await call(
                "edit", session="cat", text=text, method="toy" if number == 1 else "", seed=1
            )
            assert (made["number"], made["method"], made["said"]) == (number, "toy", text)
            captions.append(made["caption"])
            _, (seen,) = await call("look", session="cat")
            assert seen == picture
            edited[number] = made["turn"]
        assert captions[-1] == "a blue cat wearing a green hat next to a red star on a sofa"
        moved, _ = await call("undo", session="cat", steps=2)
        assert moved["turn"] == edited[3]
        said_back, _ = await call("edit", session="cat", text="undo that")
        assert said_back["turn"] == edited[2]
        beside, _ = await call("branch", session="cat", name="other")
        assert beside["turn"] == edited[2]
        made, pictures = await call("edit", session="cat", text="make the cat red", candidates=3)
        assert len(set(pictures)) == 3
        kept, _ = await call("go", session="cat", turn=made["candidates"][2]["turn"])
        found, (heat,) = await call("compare", session="cat", first=edited[5], second="head")
        assert found["second"]["turn"] == kept["turn"]
        assert 0 < found["changed"] <= 1
        assert read_picture(heat).size == (40, 32)
        told, _ = await call("history", session="cat")
        assert (told["head"], len(told["turns"])) == (kept["turn"], 9)
        for what in ("changes", "mask"):
            _, (picture,) = await call("look", session="cat", turn=edited[1], what=what)
            assert read_picture(picture).size == (40, 32)
        written, _ = await call("export", session="cat", turn="other", file="best.png")
        assert written["file"] == "best.png"
        again, _ = await call("open", session="cat")
        assert again["turn"] == kept["turn"]

    agent(Desk(ToyBackbone(), desk), use)
    tree = Session.open(desk / "cat").tree()
    recorded = read_metadata(desk / "best.png")["turns"]
    assert [turn["id"] for turn in recorded] == [turn.id for turn in tree.path(tree.head)]


def test_names_that_are_no_text_end_nothing(tmp_path: Path) -> None:
    """Over the wire, where everything is UTF-8; of such a picture nobody could give the name."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xe9sk"))
    folder.mkdir()
    for name in (b"caf\xe9.png", b"two\nlines.png", b"cat.png"):
        (folder / os.fsdecode(name)).write_bytes(b"x")
    server = create_server(Desk(ToyBackbone(), folder))

    told: list[str] = []

    async def use() -> None:
        async with Client(server) as client:
            for tool, asked in (("files", {}), ("history", {"session": "none"})):
                told.append((await client.call_tool(tool, asked)).model_dump_json())

    run_async(use)
    assert json.loads(json.loads(told[0])["content"][0]["text"]) == {"sessions": [], "pictures": ["cat.png"]}
    assert "d\\xe9sk" in json.loads(told[1])["content"][0]["text"]


def test_captions_come_from_metadata_and_say_so(desk: Path) -> None:
    (desk / "known.png").write_bytes(png_bytes(toy_picture(), recipe("a red cat", "original", 0, None)))

    async def use(call: Call) -> None:
        begun, _ = await call("open", picture="known.png")
        assert (begun["caption"], begun["caption_is"]) == ("a red cat", "from the picture's own metadata")
        begun, _ = await call("open", picture="cat.png")
        assert (begun["caption"], begun["caption_is"][:4]) == ("", "none")

    agent(Desk(ToyBackbone(), desk), use)


def test_the_language_model_reads_where_there_is_one(desk: Path) -> None:
    with scripted(answer(caption="a blue cat", kinds=["colour"])) as model:

        async def use(call: Call) -> None:
            await call("open", picture="cat.png", caption="a red cat", session="cat")
            made, _ = await call("edit", session="cat", text="like the sea", method="toy")
            assert made["caption"] == "a blue cat"

        agent(Desk(ToyBackbone(), desk, ChatModel(model.url, "m")), use)


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("open", {"picture": "../secret.png"}, "is not within the folder"),
        ("open", {"picture": "/etc/passwd"}, "is not within the folder"),
        ("open", {"picture": "link.png"}, "is not within the folder"),
        ("open", {"picture": "a\0b"}, "is not within the folder"),
        ("open", {"picture": "nothing.png"}, "no picture at"),
        ("open", {"picture": "cat.png", "session": "../x"}, "session name '../x'"),
        ("open", {"picture": "cat.png", "caption": "x" * 5000}, "caption"),
        ("open", {}, "no session ''"),
        ("edit", {"session": "nothing", "text": "a dog"}, "no session 'nothing'"),
        ("edit", {"session": "cat", "text": ""}, "text"),
        ("edit", {"session": "cat", "text": "make the horse blue"}, "the caption has no 'the horse'"),
        ("edit", {"session": "cat", "text": "a dog", "candidates": 100}, "candidates"),
        ("edit", {"session": "cat", "text": "a dog", "method": "nothing"}, "no method 'nothing'"),
        ("edit", {"session": "cat", "text": "a dog", "turn": "7"}, "no turn '7'"),
        ("look", {"session": "cat", "what": "everything"}, "what"),
        ("look", {"session": "cat", "what": "mask"}, "has no mask"),
        ("undo", {"session": "cat"}, "nothing to undo"),
        ("branch", {"session": "cat", "name": "../x"}, "branch name"),
        ("export", {"session": "cat", "file": "../stolen.png"}, "is not within the folder"),
        ("export", {"session": "cat", "file": "cat.png"}, "exists already"),
        ("export", {"session": "cat", "file": "cat/session.sqlite"}, "would not be a .sqlite file"),
        ("export", {"session": "cat", "file": "cat/own.png"}, "'cat/own.png' would be within a session"),
        ("edit", {"session": "cat", "text": 5}, "edit: text: input should be a valid string"),
        ("edit", {"session": ["cat"], "text": "a dog"}, "edit: session: input should be a valid string"),
        (
            "edit",
            {"session": "cat", "text": "a dog", "candidate": 3},
            "edit takes no 'candidate': it takes session, text",
        ),
        ("files", {"folder": "/"}, "files takes no 'folder': it takes nothing"),
        ("export", {"session": "cat", "file": "x.exe"}, "'x.exe' would not be a .exe file"),
        ("open", {"picture": "x" * 300 + ".png", "caption": "a cat"}, "is not within the folder"),
        ("delete", {"session": "cat"}, "delete"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    desk: Path, tool: str, arguments: dict[str, Any], message: str
) -> None:
    told: list[str] = []

    async def run() -> None:
        async with Client(create_server(Desk(ToyBackbone(), desk))) as client:
            read(await client.call_tool("open", {"picture": "cat.png", "caption": "a red cat", "session": "cat"}))
            try:
                result = await client.call_tool(tool, arguments)
            except Exception as error:  # an unknown tool is an error of the protocol
                told.append(str(error))
                return
            assert result.is_error
            (content,) = result.content
            assert isinstance(content, TextContent)
            told.append(content.text)

    run_async(run)
    assert message in told[0]
    assert "Traceback" not in told[0]
    assert "\n" not in told[0]
    assert sorted(path.name for path in desk.iterdir()) == ["cat", "cat.png", "link.png"]
    assert len(Session.open(desk / "cat").turns()) == 1


def test_half_of_the_next_turn_is_computed_while_the_agent_thinks(desk: Path) -> None:
    ahead, plain = (Desk(ToyBackbone(), desk, looks_ahead=on) for on in (True, False))
    made = []
    for one, name in ((ahead, "ahead"), (plain, "plain")):
        one.open("cat.png", "a cat", name)
        one.edit(name, "a dog", "head", "caption", 1, "flowedit", None, 1)
        one._meanwhile.settle()
        one.edit(name, "a cow", "head", "caption", 1, "", None, None)
        one.undo(name, 1)
        one._meanwhile.settle()
        one.edit(name, "a bird", "head", "caption", 1, "", None, None)
        made.append([turn.remembered for turn in Session.open(desk / name).turns()[1:]])
        one.close()
    assert made == [[None, 24, 24], [None, None, None]]
    assert ahead._backbone.memory is not None
    turn = Session.open(desk / "ahead").head
    again = Session.open(desk / "plain")
    assert turn.spec is not None
    plan = EditPlan("a bird", seed=turn.spec.seed, parent="1")
    same = run_turn(again, ToyBackbone(), registry.get("flowedit"), plan)
    assert same.latent_hash == turn.latent_hash, "bit for bit"


@pytest.mark.slow
def test_over_stdin_and_stdout(tmp_path: Path) -> None:
    """The command itself, with the embedded model, over five turns: nothing but the protocol is on its stdout."""
    demo.picture().save(tmp_path / "cat.png")
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "undrift.cli.main", "mcp", str(tmp_path)],
        env={"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )

    async def run() -> None:
        async with Client(command, read_timeout_seconds=240) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert {"open", "edit", "look", "undo", "branch", "compare", "export"} <= tools

            async def call(tool: str, **arguments: Any) -> tuple[dict[str, Any], list[bytes]]:
                return read(await client.call_tool(tool, {"session": "cat", **arguments}))

            await call("open", picture="cat.png", caption=demo.prompt())
            made, (picture,) = await call("edit", text="make the robot green", seed=1)
            assert made["caption"] == demo.prompt().replace("an orange robot", "a green robot")
            assert read_picture(picture).size == demo.picture().size
            compared, _ = await call("compare", first="original", second="head")
            assert 0 < compared["changed"] < 0.5
            for colour in ("red", "white", "pink"):
                made, (picture,) = await call("edit", text=f"make the robot {colour}", method="no_edit")
            _, (seen,) = await call("look")
            assert seen == picture
            back, _ = await call("undo", steps=2)
            assert back["number"] == 2
            await call("branch", name="other")
            made, _ = await call("edit", text="make the robot blue", method="no_edit")
            assert (made["number"], made["caption"]) == (3, demo.prompt().replace("an orange robot", "a blue robot"))
            written, _ = await call("export", file="best.png")
            assert written["file"] == "best.png"

    run_async(run)
    tree = Session.open(tmp_path / "cat").tree()
    made_of = tree.path(tree.head)
    said = [turn.spec.instruction for turn in made_of if turn.spec]
    assert said == ["make the robot green", "make the robot red", "make the robot blue"]
    assert [turn["id"] for turn in read_metadata(tmp_path / "best.png")["turns"]] == [turn.id for turn in made_of]
    assert len(tree.turns) == 6
