"""``--reference``: how it is read, and what it does to a turn."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Invoke
from tests.support.toy import toy_picture
from undrift.cli.looks import named
from undrift.session.store import Session


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a.png", (Path("a.png"), None, None)),
        ("a.png:0.4", (Path("a.png"), 0.4, None)),
        ("a.png:1:b/mask.png", (Path("a.png"), 1.0, Path("b/mask.png"))),
        ("C:/a.png:.5:D:/m.png", (Path("C:/a.png"), 0.5, Path("D:/m.png"))),
        ("a.png:mask.png", (Path("a.png:mask.png"), None, None)),
    ],
)
def test_a_reference_is_taken_apart(text: str, parts: tuple[Path, float | None, Path | None]) -> None:
    assert named(text) == parts


def test_a_file_whose_name_looks_like_a_weight_is_that_file(folder: Path) -> None:
    (folder / "a:1").write_bytes(b"")
    assert named("a:1") == (Path("a:1"), None, None)


def test_a_turn_is_pulled_and_its_sheet_pulls_the_next_one_alike(invoke: Invoke, folder: Path) -> None:
    toy_picture().transpose(Image.Transpose.ROTATE_180).save(folder / "look.png")
    Image.new("L", (40, 32), 255).save(folder / "mask.png")
    assert invoke("new", "cat.png", "-p", "a cat").exit_code == 0
    how = ("--from", "original", "--seed", "1", "--set", "steps=4", "--set", "map_steps=0")
    for extra in ((), ("--reference", "look.png:0.9:mask.png")):
        assert invoke("edit", "--caption", "a dog", *how, *extra).exit_code == 0
    session = Session.open(folder / "undrift-session")
    _, plain, pulled = session.turns()
    assert session.picture(plain).tobytes() != session.picture(pulled).tobytes()
    sheet = str(session.folder / str(pulled.references_file))
    assert invoke("edit", "--caption", "a dog", *how, "--reference", sheet).exit_code == 0
    assert session.picture(session.head).tobytes() == session.picture(pulled).tobytes()
    refused = invoke("edit", "--caption", "a dog", *how, "--reference", f"{sheet}:0.5")
    assert refused.exit_code == 2
    assert "holds references with their weights: give it without one" in refused.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--reference", "none.png"), "none.png"),
        (("--reference", "cat.png:7"), "the weight of a reference is 7, expected more than 0 and at most 1"),
        (("--reference", "cat.png", "--method", "flowedit"), "method 'flowedit' takes no reference"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_session(
    invoke: Invoke, folder: Path, given: tuple[str, ...], message: str
) -> None:
    made = invoke("run", "cat.png", "-p", "a cat", "-e", "a dog", "--session", "s", *given)
    assert made.exit_code == 2
    assert message in made.stderr
    assert not (folder / "s").exists()
