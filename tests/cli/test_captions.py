"""What a picture shows where nobody typed it: its metadata or a captioning model say it, and are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke
from tests.support.tiny_captioner import WORDS, save_tiny_captioner
from tests.support.toy import toy_picture
from undrift.errors import InputError, ModelError
from undrift.pictures import png_bytes
from undrift.services.captions import Captioner
from undrift.session.provenance import recipe
from undrift.session.store import Session


@pytest.fixture(scope="module")
def captioner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny captioning model."""
    return save_tiny_captioner(tmp_path_factory.mktemp("captioner") / "blip")


def original() -> str:
    return Session.open(Path("undrift-session")).original.prompt


def test_nothing_is_invented(invoke: Invoke) -> None:
    for command in (("new", "cat.png"), ("run", "cat.png", "-e", "a dog")):
        result = invoke(*command)
        assert result.exit_code == 2
        assert "say what the picture shows with --prompt, or name a model" in result.stderr
    assert [path.name for path in Path().iterdir()] == ["cat.png"]


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_prompt_is_taken_with_a_word_of_what_that_means(invoke: Invoke, empty: str) -> None:
    """Exported commands may have one: nobody knew, and that was said."""
    for command in (("new", "cat.png"), ("run", "cat.png", "-e", "a dog", "--method", "toy")):
        result = invoke(*command, "-p", empty)
        assert result.exit_code == 0, result.stderr
        assert (
            "note: the prompt is empty, so that nothing tells what is there from what an edit adds" in result.stderr
        )
    assert "prompt is empty" not in invoke("new", "cat.png", "-p", "a cat", "-s", "s").stderr


def test_a_picture_knows_what_undrift_recorded_in_it(invoke: Invoke) -> None:
    Path("known.png").write_bytes(png_bytes(toy_picture(), recipe("a red cat", "original", 0, None)))
    result = invoke("new", "known.png")
    assert result.exit_code == 0, result.stderr
    assert "note: the picture shows, says its own metadata: a red cat" in result.stderr
    assert original() == "a red cat"
    assert invoke("run", "known.png", "--say", "make the cat blue", "--method", "toy").exit_code == 0
    Path("t.csv").write_text("picture,turn\nknown.png,make the cat blue\n", "utf-8")
    assert invoke("batch", "t.csv", "--method", "toy").exit_code == 0


def test_metadata_that_says_nothing_or_is_damaged(invoke: Invoke) -> None:
    Path("empty.png").write_bytes(png_bytes(toy_picture(), recipe("", "original", 0, None)))
    assert "say what the picture shows" in invoke("new", "empty.png").stderr
    Path("odd.png").write_bytes(png_bytes(toy_picture(), {"prompt": 7}))
    assert "the undrift metadata is damaged" in invoke("new", "odd.png").stderr


def test_a_captioning_model_says_what_it_sees(invoke: Invoke, captioner: Path) -> None:
    result = invoke("new", "cat.png", "--caption-model", str(captioner))
    assert result.exit_code == 0, result.stderr
    assert f"note: the picture shows, says the caption model {captioner}: {original()}" in result.stderr
    assert set(original().split()) <= set(WORDS)
    assert Captioner(str(captioner)).caption(toy_picture()) == original()


def test_a_batch_has_its_pictures_described_once(invoke: Invoke, captioner: Path) -> None:
    """Only what neither the table nor the metadata says is asked of the model, and not again when it goes on."""
    Path("known.png").write_bytes(png_bytes(toy_picture(), recipe("a red cat", "original", 0, None)))
    rows = (
        "id,picture,prompt,turn\na,cat.png,,make it snow\nb,cat.png,a cat,make the cat blue\nc,known.png,,add a hat\n"
    )
    Path("t.csv").write_text(rows, "utf-8")
    command = ("batch", "t.csv", "--method", "toy", "--caption-model", str(captioner), "--json")
    first = invoke(*command)
    assert first.exit_code == 0, first.stderr
    lines = [json.loads(line) for line in Path("t/results.jsonl").read_text("utf-8").splitlines()]
    assert [line["captioned_by"] for line in lines] == [str(captioner), None, None]
    said = lines[0]["turns"][0]["prompt"]
    assert said == Captioner(str(captioner)).caption(toy_picture())
    assert f"note: a shows, says the caption model {captioner}: {said}" in first.stderr
    assert [line["turns"][0]["prompt"] for line in lines[1:]] == ["a cat", "a red cat"]
    again = invoke(*command)
    assert (again.exit_code, "caption model" in again.stderr) == (0, False)
    assert sorted(path.name for path in Path("t/sessions").iterdir()) == ["a", "b", "c"]


def test_a_batch_without_need_of_it_loads_no_captioning_model(invoke: Invoke) -> None:
    Path("t.csv").write_text("picture,prompt,turn\ncat.png,a cat,make the cat blue\n", "utf-8")
    assert invoke("batch", "t.csv", "--method", "toy", "--caption-model", "nowhere").exit_code == 0
    Path("t.csv").write_text("picture,prompt,turn\ncat.png,,make it snow\n", "utf-8")
    (Path() / "empty").mkdir()
    refused = invoke("batch", "t.csv", "-o", "u", "--method", "toy", "--caption-model", "empty")
    assert (refused.exit_code, "--caption-model empty cannot be used" in refused.stderr) == (2, True)
    assert not Path("u").exists()


def test_two_who_say_it_are_one_too_many(invoke: Invoke, captioner: Path) -> None:
    result = invoke("new", "cat.png", "-p", "a cat", "--caption-model", str(captioner))
    assert (result.exit_code, "give one of them" in result.stderr) == (2, True)


def test_a_model_that_says_nothing(captioner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Captioner(str(captioner))

    def silent(**_: object) -> list[dict[str, str]]:
        return [{"generated_text": " . "}]

    monkeypatch.setattr(
        model, "_pipeline", type("Silent", (), {"processor": None, "__call__": staticmethod(silent)})()
    )
    with pytest.raises(InputError, match="says nothing of this picture"):
        model.caption(toy_picture())


def test_models_that_are_none(
    invoke: Invoke, tmp_path: Path, captioner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for file in captioner.iterdir():
        if file.suffix != ".safetensors":
            (pickled / file.name).write_bytes(file.read_bytes())
    (pickled / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch harmed'\ntR.")
    (tmp_path / "empty").mkdir()
    for name in ("empty", "pickled"):
        with pytest.raises(ModelError, match="cannot be used"):
            Captioner(str(tmp_path / name))
        result = invoke("new", "cat.png", "--caption-model", name)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert not Path("harmed").exists()
    assert not Path("undrift-session").exists()
