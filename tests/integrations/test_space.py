"""The Space: what a visitor does, and the page where Gradio is installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from tests.support.asynchronous import run_async
from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.errors import InputError, PictureError, UndriftError
from undrift.methods import registry

FOLDER = Path(__file__).parents[2] / "integrations" / "space"


def loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the Space's folder."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def editing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module; visits go into a folder of the test, and the method ``toy`` exists."""
    known = {**registry.all_methods(), "toy": ToyMethod}
    monkeypatch.setattr(registry, "all_methods", lambda: known)
    module = loaded("editing", monkeypatch)
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    return module


def test_a_visitor_edits_and_goes_back(editing: Any, tmp_path: Path) -> None:
    model = ToyBackbone()
    visit = editing.begin(model, toy_picture(), "a red cat on a sofa")
    said = editing.say(model, visit, "make the cat blue", "toy")
    assert said == "Read as an instruction: a ~~red~~ **blue** cat on a sofa"
    assert editing.say(model, visit, "a blue dog on a sofa", "toy").startswith(
        "Read as a caption: a blue ~~cat~~ **dog**"
    )
    assert [text for _, text in visit.pictures()] == [
        "a red cat on a sofa",
        "make the cat blue: a blue cat on a sofa",
        "a blue dog on a sofa",
    ]
    assert editing.say(model, visit, "undo that", "toy") == "Back to turn 1."
    editing.undo(visit)
    assert len(visit.pictures()) == 1
    visit.end()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_done(editing: Any, tmp_path: Path) -> None:
    model = ToyBackbone()
    for picture, caption in ((None, "a cat"), (Image.new("RGB", (3000, 2000)), "a cat"), (toy_picture(), "x" * 2001)):
        with pytest.raises(InputError):
            editing.begin(model, picture, caption)
    with pytest.raises(UndriftError):
        editing.begin(model, toy_picture(), "\ud800")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="begin with a picture first"):
        editing.say(model, None, "x")
    with pytest.raises(InputError, match="begin with a picture first"):
        editing.undo(None)
    visit = editing.begin(model, toy_picture(), "a cat")
    for text, message in (("make the horse red", "no 'the horse'"), ("", "empty"), ("x" * 2001, "2001 characters")):
        with pytest.raises(InputError, match=message):
            editing.say(model, visit, text, "toy")
    with pytest.raises(InputError, match="nothing to undo"):
        editing.undo(visit)


def test_what_a_visitor_uploads_is_looked_at_before_it_is_decoded(editing: Any, tmp_path: Path) -> None:
    file = tmp_path / "upload.png"
    assert editing.opened(None) is None
    toy_picture(40, 32).save(file)
    assert editing.opened(str(file)).tobytes() == toy_picture(40, 32).tobytes()
    Image.new("RGB", (2001, 2000)).save(file)
    with pytest.raises(PictureError, match="has 2001x2000 pixels, at most 4 megapixels are read"):
        editing.opened(str(file))
    file.write_text("no picture")
    with pytest.raises(PictureError, match="is not a picture that can be read"):
        editing.opened(str(file))


def test_the_page_is_built_and_answers(editing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gradio")
    monkeypatch.setattr(editing.say, "__defaults__", ("toy", 0.0))
    app = loaded("app", monkeypatch)

    async def built() -> Any:
        return app.page(ToyBackbone())

    # Where none runs, Gradio makes an event loop for each of its locks, and closes none of them.
    page = run_async(built)
    handlers = {function.fn.__name__: function.fn for function in page.fns.values()}
    file = tmp_path / "cat.png"
    toy_picture().save(file)
    visit, pictures, _ = handlers["begin"](None, str(file), "a red cat")
    assert len(pictures) == 1
    pictures, reading, left = handlers["say"](visit, "make the cat blue", 0.0)
    assert (len(pictures), reading, left) == (2, "Read as an instruction: a ~~red~~ **blue** cat", "")
    assert len(handlers["undo"](visit)) == 1
    with pytest.raises(Exception, match="no 'the horse'"):
        handlers["say"](visit, "make the horse red", 0.0)
    with pytest.raises(Exception, match="&lt;img src=x&gt;"):
        handlers["say"](visit, "make the <img src=x> red", 0.0)
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(Exception, match="is damaged or cut off"):
        handlers["begin"](None, str(file), "a red cat")
