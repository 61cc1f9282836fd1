"""Many pictures from one table: made, gone on with, refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.cli.conftest import Invoke, parsed
from tests.support.language_model import answer, scripted
from tests.support.toy import ToyMethod, toy_picture
from undrift.pictures import read_metadata
from undrift.services.batch.table import read_table
from undrift.session.store import Session

TOY = ("--method", "toy")
TABLE = """\
id,picture,prompt,turn1,turn2,seed,params
cats,cat.png,a red cat,make the cat blue,a blue cat wearing a hat,,
,dogs/dog.png,a dog,add a hat,,7,"{""steps"": 3}"
"""


@pytest.fixture
def table(folder: Path) -> Path:
    """Two rows of three turns."""
    (folder / "dogs").mkdir()
    toy_picture(32, 24).save(folder / "dogs" / "dog.png")
    path = folder / "wishes.csv"
    path.write_text(TABLE, "utf-8")
    return path


def results(folder: str = "wishes") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "results.jsonl").read_text("utf-8").splitlines()]


def session(name: str) -> Session:
    return Session.open(Path("wishes/sessions") / name)


def test_every_row_becomes_a_session_a_picture_and_a_line(invoke: Invoke, table: Path) -> None:
    told = parsed(invoke("batch", "wishes.csv", *TOY, "--json"))
    assert told == {"rows": 2, "failed": {}, "folder": "wishes"}
    cats, dog = results()
    assert [(turn["said"], turn["prompt"]) for turn in cats["turns"]] == [
        (None, "a red cat"),
        ("make the cat blue", "a blue cat"),
        (None, "a blue cat wearing a hat"),
    ]
    assert (dog["id"], dog["result"]) == ("0002-dog", "pictures/0002-dog.png")
    spec = session("0002-dog").head.spec
    assert spec is not None
    assert (spec.seed, spec.params["steps"], spec.instruction) == (7, 3, "add a hat")
    recorded = read_metadata(Path("wishes/pictures/cats.png"))["turns"]
    assert [turn["prompt"] for turn in recorded] == [turn["prompt"] for turn in cats["turns"]]
    page = Path("wishes/report.html").read_text("utf-8")
    assert "2 rows, 2 finished, 0 failed." in page
    assert page.count("data:image/webp") == 2


def test_the_same_command_makes_nothing_twice(invoke: Invoke, table: Path) -> None:
    assert invoke("batch", "wishes.csv", *TOY).exit_code == 0
    files = {path: path.read_bytes() for path in Path("wishes").rglob("*.png")}
    trees = [session(name).tree() for name in ("cats", "0002-dog")]
    assert invoke("batch", "wishes.csv", *TOY).exit_code == 0
    assert {path: path.read_bytes() for path in Path("wishes").rglob("*.png")} == files
    assert [session(name).tree() for name in ("cats", "0002-dog")] == trees


def test_a_row_goes_on_where_it_was_left(invoke: Invoke, table: Path) -> None:
    """A turn that is there stays, one that is not is made, and the result is that of a batch that was not stopped."""
    assert invoke("batch", "wishes.csv", *TOY, "-o", "whole").exit_code == 0
    table.write_text(TABLE.replace("a blue cat wearing a hat", ""), "utf-8")
    assert invoke("batch", "wishes.csv", *TOY).exit_code == 0
    before = session("cats").head
    table.write_text(TABLE, "utf-8")
    assert invoke("batch", "wishes.csv", *TOY).exit_code == 0
    after = session("cats")
    assert after.head.parent == before.id
    assert after.head.image_hash == Session.open(Path("whole/sessions/cats")).head.image_hash
    assert [turn.number for turn in after.turns()] == [0, 1, 2]


def test_what_was_changed_stands_beside_what_was_made(invoke: Invoke, table: Path) -> None:
    assert invoke("batch", "wishes.csv", *TOY).exit_code == 0
    old = session("cats").head
    table.write_text(TABLE.replace("wearing a hat", "wearing a crown"), "utf-8")
    assert invoke("batch", "wishes.csv", *TOY).exit_code == 0
    tree = session("cats").tree()
    assert tree.head.prompt == "a blue cat wearing a crown"
    assert tree.head.parent == old.parent
    assert old.id in tree.turns
    table.write_text(TABLE.replace("a red cat", "a green cat"), "utf-8")
    assert invoke("batch", "wishes.csv", *TOY).exit_code == 0
    assert session("cats").tree() == tree
    assert session("cats-2").original.prompt == "a green cat"


def test_a_row_that_fails_stops_no_other_and_is_tried_again(invoke: Invoke, table: Path) -> None:
    bad = "\nbad,nowhere.png,a cat,add a hat,,,\nodd,cat.png,a cat,make the horse blue,,,\n"
    table.write_text(TABLE.replace("params\n", f"params{bad}"), "utf-8")
    result = invoke("batch", "wishes.csv", *TOY)
    assert result.exit_code == 1
    assert "bad: no picture at" in result.stdout
    assert "odd: the caption has no 'the horse'" in result.stdout
    assert "2 of 4 rows are finished" in result.stdout
    assert [row["error"] is None for row in results()] == [False, False, True, True]
    toy_picture().save("nowhere.png")
    table.write_text(table.read_text("utf-8").replace("the horse", "the cat"), "utf-8")
    assert invoke("batch", "wishes.csv", *TOY).exit_code == 0


def test_a_picture_that_was_damaged_is_said(invoke: Invoke, table: Path) -> None:
    assert invoke("batch", "wishes.csv", *TOY).exit_code == 0
    made = session("cats")
    (made.folder / made.head.image).write_bytes(b"")
    result = invoke("batch", "wishes.csv", *TOY)
    assert (result.exit_code, "cats: " in result.stdout, "was changed since" in result.stdout) == (1, True, True)


def test_json_lines_masks_and_forced_readings(invoke: Invoke, folder: Path) -> None:
    mask = Image.new("L", toy_picture().size, 0)
    mask.paste(255, (0, 0, 16, 16))
    mask.save("corner.png")
    row = {"picture": "cat.png", "prompt": "a cat", "turns": ["make the cat blue"], "read_as": "caption"}
    lines = [{**row, "id": "forced", "only": "corner.png"}, {**row, "id": "said", "read_as": None, "dial": 0.5}]
    Path("t.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n", "utf-8")
    assert invoke("batch", "t.jsonl", *TOY, "-o", "wishes").exit_code == 0
    forced, said = session("forced").head, session("said").head
    assert (forced.prompt, forced.region_file is not None) == ("make the cat blue", True)
    assert forced.spec is not None
    assert said.spec is not None
    assert (forced.spec.instruction, said.prompt, said.spec.dial) == (None, "a blue cat", 0.5)


def test_the_language_model_is_not_asked_again_for_what_is_there(invoke: Invoke, folder: Path) -> None:
    Path("t.csv").write_text("picture,prompt,turn\ncat.png,a red cat,like the sea please\n", "utf-8")
    with scripted(answer(caption="a blue cat", kinds=["colour"])) as server:
        options = ("--llm", server.url, "--llm-model", "m", *TOY)
        assert invoke("batch", "t.csv", *options).exit_code == 0
        assert invoke("batch", "t.csv", *options).exit_code == 0
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", "", "expected a table: .csv or .jsonl"),
        ("t.csv", "", "has no rows"),
        ("t.csv", "picture,turn\n", "has no rows"),
        ("t.csv", "picture,turn,turn\na,b,c\n", "two columns have one name"),
        ("t.csv", "picture,turn 1,turn1\na,b,c\n", "line 2: two columns are for one turn"),
        ("t.csv", "picture,turn,id\na,b,con.2\n", "line 2: id 'con.2': expected 1 to 80 letters"),
        ("t.jsonl", '{"picture": "a", "picture": "b", "turns": ["c"]}', "line 1 is not JSON, or has a name twice"),
        ("t.csv", "picture,turn\ncat.png\n", "line 2: expected 2 cells"),
        ("t.csv", "picture,turn\ncat.png,a,b\n", "line 2: expected 2 cells"),
        ("t.csv", "picture,turn\ncat.png,\n", "line 2: turns: none: say at least one, in a column turn"),
        ("t.csv", "pictures;turn\ncat.png;a cat\n", "has no column 'picture', expected a header with it"),
        ("t.jsonl", '{"picture": "a", "turns": "a cat"}\n', "line 1: turns: expected a list of texts, such as"),
        ("t.jsonl", '{"picture": "a", "turns": [1]}\n', "line 1: turns.0: input should be a valid string"),
        (
            "t.csv",
            "picture,turn,mehtod\ncat.png,a cat,toy\n",
            "line 2: mehtod: extra inputs are not permitted; known:",
        ),
        ("t.csv", "picture,turn,dial\ncat.png,a cat,2\n", "line 2: dial:"),
        ("t.csv", "picture,turn,seed\ncat.png,a cat,many\n", "dial and seed numbers"),
        ("t.csv", 'picture,turn\n"cat.png,a cat\n', "is not CSV"),
        ("t.csv", "picture,turn,id\ncat.png,a,../x\n", "line 2: id '../x'"),
        ("t.csv", "picture,turn,id\ncat.png,a,x\ncat.png,a,X\n", "line 3: id 'X' is that of line 2"),
        ("t.csv", b"picture,turn\ncat.png,\xff\n", "is not UTF-8 text, at byte 21"),
        ("t.jsonl", "{}\n", "line 1: picture: field required"),
        ("t.jsonl", "[" * 100_000, "line 1 is not JSON"),
        ("t.jsonl", "3\n", "line 1: expected an object"),
        ("t.jsonl", '{"picture": "a\\u0000b", "turns": ["x"]}\n', "line 1: picture:"),
        ("t.jsonl", '{"picture": "cat.png", "turns": ["x"], "method": "toyy"}\n', "row '0001-cat': no method 'toyy'"),
        ("nothing.csv", None, "cannot read the table"),
    ],
)
def test_a_table_that_is_none_makes_nothing(
    invoke: Invoke, name: str, content: str | bytes | None, message: str
) -> None:
    if content is not None:
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    result = invoke("batch", name, *TOY, "-o", "out")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_as_spreadsheets_write_them(tmp_path: Path, separator: str) -> None:
    """With a byte order mark, their country's separator, and quotes around cells that have it within."""
    cells = [
        ["Picture", "prompt", "turn1", "dial"],
        ["a.png", f'"a cat{separator} a dog"', "a, b; c".join('""'), "0.5"],
    ]
    table = tmp_path / "t.csv"
    table.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(separator.join(row) for row in cells).encode())
    (item,) = read_table(table)
    assert (item.row.picture, item.row.prompt, item.row.turns) == ("a.png", f"a cat{separator} a dog", ("a, b; c",))
    assert item.row.dial == 0.5


def test_a_folder_of_something_else_is_left_alone(invoke: Invoke, table: Path) -> None:
    result = invoke("batch", "wishes.csv", *TOY, "-o", "dogs")
    assert (result.exit_code, "holds other files and no batch" in result.stderr) == (2, True)
    assert [path.name for path in Path("dogs").iterdir()] == ["dog.png"]


def test_an_editor_by_instructions_is_told_what_nobody_understood(
    invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("t.csv").write_text("picture,prompt,turn\ncat.png,a red cat,make it nicer\n", "utf-8")
    refused = invoke("batch", "t.csv", *TOY)
    assert (refused.exit_code, "cannot tell what" in refused.stdout) == (1, True)
    monkeypatch.setattr(ToyMethod, "follows_instructions", True)
    for _ in range(2):
        assert invoke("batch", "t.csv", *TOY).exit_code == 0
    (_, turn) = Session.open(Path("t/sessions/0001-cat")).turns()
    assert turn.spec is not None
    assert (turn.spec.instruction, turn.prompt) == ("make it nicer", "a red cat")
