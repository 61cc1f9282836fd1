"""The examples run."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

import undrift
from tests.support.example import SCENES
from tests.support.toy import ToyBackbone
from undrift.littleworld import demo
from undrift.littleworld.render import render

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("name", SCENES)
def test_the_pictures_are_what_the_model_knows(name: str) -> None:
    with Image.open(EXAMPLES / name) as picture:
        assert picture.tobytes() == render(SCENES[name], demo.SIZE).tobytes()


def test_edit_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(undrift, "load", lambda name: ToyBackbone())
    monkeypatch.setattr(sys, "argv", ["edit_in_python.py", str(tmp_path / "session")])
    runpy.run_path(str(EXAMPLES / "edit_in_python.py"), run_name="__main__")
    told = capsys.readouterr().out
    assert "turn 2: " in told
    assert "[snow]" in told
    assert "in the snow" in told
    with Image.open(tmp_path / "session" / "sheet.png") as sheet:
        assert sheet.width > 2 * 256


@pytest.mark.slow
def test_the_readme_edits_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word for word, with the embedded model."""
    (code,) = re.findall(r"```python\n(.*?)```", (EXAMPLES.parent / "README.md").read_text("utf-8"), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) == 7
    monkeypatch.chdir(tmp_path)
    demo.picture().save("photo.png")
    exec(compile(code, "README.md", "exec"), {})
    with Image.open("edited.png") as edited, Image.open("photo.png") as photo:
        assert edited.size == photo.size
        assert edited.tobytes() != photo.tobytes()
    assert [turn.number for turn in undrift.Session.open("my-session").turns()] == [0, 1]


def test_compare_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(undrift, "load", lambda name: ToyBackbone())
    out = tmp_path / "methods.png"
    chosen = ["--turns", "2", "--methods", "fireflow", "no_edit", "-o", str(out)]
    monkeypatch.setattr(sys, "argv", ["compare_methods.py", *chosen])
    runpy.run_path(str(EXAMPLES / "compare_methods.py"), run_name="__main__")
    told = capsys.readouterr().out
    assert "fireflow  edit" in told
    assert "no_edit  edit" in told
    with Image.open(out) as sheet:
        assert sheet.height > 3 * 128
