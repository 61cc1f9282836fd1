"""Regions, candidates, the dial, restoring, rebasing, unpacking and animations on the command line."""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.cli.conftest import Invoke, parsed
from tests.cli.test_errors import fails
from undrift import discovery
from undrift.methods import registry
from undrift.session.store import Session
from undrift.session.tree import Tree

TOY = ("--method", "toy", "--seed", "1")
GLOBAL = (*TOY, "--preset", "global")


@pytest.fixture
def masks(folder: Path) -> Path:
    """``left.png`` and ``right.png``, white in one half of the picture, ``black.png`` and ``small.png``."""
    for name, box in (("left", (0, 0, 20, 32)), ("right", (20, 0, 40, 32)), ("black", (0, 0, 0, 0))):
        mask = Image.new("L", (40, 32), 0)
        mask.paste(255, box)
        mask.save(folder / f"{name}.png")
    Image.new("L", (8, 8), 255).save(folder / "small.png")
    return folder


def opened(folder: Path) -> Session:
    return Session.open(folder / "undrift-session")


def changed(session: Session, first: str, second: str) -> NDArray[np.bool_]:
    """Which columns of two turns' pictures differ."""
    a, b = (np.asarray(session.picture(session.turn(turn)), int) for turn in (first, second))
    differs: NDArray[np.bool_] = (a != b).any(axis=(0, 2))
    return differs


def test_edit_only_here_and_never_there(session: Invoke, masks: Path) -> None:
    parsed(session("edit", "--caption", "a bird", *GLOBAL, "--only", "left.png", "--json"))
    assert not changed(opened(masks), "2", "3")[20:].any()
    made = parsed(session("edit", "--caption", "a bird", *GLOBAL, "--from", "2", "--protect", "left.png", "--json"))
    columns = changed(opened(masks), "2", made["id"])
    assert not columns[:20].any()
    assert columns[25:].all()


def test_what_a_mask_selects_is_said_once(session: Invoke, masks: Path) -> None:
    hole = Image.open("cat.png").convert("RGBA")
    hole.putalpha(Image.open("left.png").point(lambda value: 255 - value))
    hole.save("hole.png")
    ones = Image.open("left.png").point(lambda value: value // 255)
    ones.save("ones.png")
    for name, how in (("hole", "its transparent parts"), ("ones", "its bright parts, of its two values")):
        made = session(
            "edit", "--caption", "a bird", *GLOBAL, "--from", "2", "--only", f"{name}.png", "--seed", "3", "--json"
        )
        assert made.stderr.count(f"note: {name}.png selects 50% of the picture: {how}\n") == 1
        columns = changed(opened(masks), "2", parsed(made)["id"])
        assert columns[:15].all()
        assert not columns[20:].any()
    put_back = session("restore", "--brush", "hole.png", "--json")
    assert put_back.stderr == "note: hole.png selects 50% of the picture: its transparent parts\n"


def test_run_takes_regions_too(invoke: Invoke, masks: Path) -> None:
    edits = ("-e", "a dog", "-e", "a cow", *GLOBAL)
    made = parsed(invoke("run", "cat.png", "-p", "a cat", *edits, "--only", "right.png", "--json"))
    assert not changed(Session.open(masks / made["session"]), "0", "2")[:20].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--only", "black.png"), "nothing may change: the mask is black everywhere; paint white where"),
        (("--only", "left.png", "--protect", "left.png"), "nothing may change"),
        (("--only", "small.png"), "the mask is 8x8, expected the picture's 40x32 pixels: paint it on the picture"),
        (("--protect", "black.png"), "nothing is protected: the mask is black everywhere; paint white where"),
        (("--protect", "none.png"), "no picture at 'none.png'"),
        (("--dial", "2"), "Invalid value for '--dial'"),
        (("--candidates", "0"), "Invalid value for '--candidates'"),
        (("--candidates", "2", "-o", "x.png"), "--output takes one picture"),
        (("--also", "nonsense"), "no method 'nonsense'"),
        (("--also", "1.5"), "--also 1.5: expected a method, or a dial from -1 to 1"),
        (("--also", "no_edit", "-o", "x.png"), "--output takes one picture: leave out --also"),
        (("--candidates", "9", "--also", "no_edit"), "10 candidates were asked for, expected 1 to 9"),
        (("--also", "no_edit", "--also", "no_edit"), "two candidates would be one picture, of 'no_edit'"),
        (("--also", "0.5", "--also", "0.50"), "two candidates would be one picture, of 'toy'"),
        (("--also", "0"), "two candidates would be one picture, of 'toy'"),
        (("--method", "no_edit", "--dial", "1"), "method 'no_edit' has nothing that the dial turns here"),
        (("--method", "no_edit", "--candidates", "2"), "candidates of 'no_edit' would all be one picture"),
    ],
)
def test_what_edit_refuses(session: Invoke, masks: Path, options: tuple[str, ...], message: str) -> None:
    arguments = ("edit", "--caption", "a bird", *options, "--quiet")
    assert fails(session, *arguments).startswith(message)
    assert len(opened(masks).turns()) == 3
    assert not (masks / "x.png").exists()


def test_candidates_are_siblings_and_one_is_kept(session: Invoke, folder: Path) -> None:
    made = parsed(session("edit", "--caption", "a bird", *TOY, "--candidates", "3", "--json"))["turns"]
    assert [turn["spec"]["seed"] for turn in made] == [1, 2, 3]
    assert {turn["parent"] for turn in made} == {opened(folder).turn("2").id}
    assert parsed(session("log", "--json"))["head"] == made[0]["id"]
    text = session("edit", "--caption", "a bird", *TOY, "--candidates", "2").stdout
    assert "keep another with: undrift keep ID" in text
    session("checkout", "main")
    session("undo")
    kept = parsed(session("edit", "--caption", "a cow", *TOY, "--candidates", "3", "--json"))["turns"][2]
    assert parsed(session("keep", kept["id"], "--json"))["id"] == kept["id"]
    told = parsed(session("log", "--json"))
    assert (told["head"], told["branch"], told["branches"]) == (kept["id"], "main", {"main": kept["id"]})
    assert len(opened(folder).turns()) == 3 + 3 + 2 + 3


def test_candidates_in_one_batch_are_those_that_are_made_one_by_one(session: Invoke, folder: Path) -> None:
    made, alone = (
        parsed(session("edit", "--caption", "a bird", *TOY, "--from", "2", "--candidates", "3", *more, "--json"))[
            "turns"
        ]
        for more in (("--together",), ())
    )
    assert [turn["spec"].get("together") for turn in (*made, *alone)] == [3, 3, 3, None, None, None]
    pictures = [opened(folder).picture(opened(folder).turn(turn["id"])) for turn in (*made, *alone)]
    for one, other in zip(pictures[:3], pictures[3:], strict=True):
        apart = np.abs(np.asarray(one).astype(int) - np.asarray(other))
        assert apart.max() <= 1, "a level where rounding decides"


def test_other_methods_and_dials_make_a_candidate_each(session: Invoke, folder: Path) -> None:
    others = ("--also", "no_edit", "--also", "toy:global", "--also", "-0.5", "--together")
    told = session("edit", "--caption", "a bird", *TOY, *others).stdout
    made = opened(folder).turns()[-4:]
    specs = [turn.spec for turn in made if turn.spec is not None]
    assert sorted((spec.method, spec.preset, spec.dial) for spec in specs) == [
        ("no_edit", "default", 0),
        ("toy", "custom", -0.5),
        ("toy", "default", 0),
        ("toy", "global", 0),
    ]
    assert {turn.spec.seed for turn in made if turn.spec is not None} == {1}
    assert {turn.spec.together for turn in made if turn.spec is not None} == {4}
    assert {turn.parent for turn in made} == {opened(folder).turn("2").id}
    head = opened(folder).head
    assert head.spec is not None
    assert (head.spec.method, head.spec.dial) == ("toy", 0)
    assert "no_edit, preset default" in told
    assert "toy, preset custom, dial -0.5" in told


def test_a_command_reads_the_tree_once_and_looks_a_method_up_once(
    session: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, looked_up = [], []
    tree, find = Session._tree, discovery.look_up

    def reading(self: Session, db: sqlite3.Connection) -> Tree:
        read.append(self)
        return tree(self, db)

    def finding(what: str, name: str, known: Mapping[str, Any]) -> Any:
        looked_up.append(what)
        return find(what, name, known)

    monkeypatch.setattr(Session, "_tree", reading)
    monkeypatch.setattr(registry, "look_up", finding)
    parsed(session("edit", "--caption", "a bird", *TOY, "--json"))
    assert (len(read), looked_up.count("method")) == (1, 1)
    parsed(session("edit", "--caption", "a bird", *TOY, "--candidates", "3", "--json"))
    assert (len(read), looked_up.count("method")) == (2, 2)
    parsed(session("run", "cat.png", "-p", "a cat", "-e", "a dog", *TOY, "--json"))
    assert looked_up.count("method") == 3


def test_the_dial_turns_parameters_and_is_not_carried_on(session: Invoke) -> None:
    def strength(*options: str) -> float:
        value: float = parsed(session("edit", "--caption", "a bird", *options, "--json"))["spec"]["params"][
            "strength"
        ]
        return value

    assert strength("--dial", "1") == 0.1
    assert strength() == 0.6
    assert strength("--dial", "-0.5") == pytest.approx(0.8)
    assert strength("--dial", "0") == 0.6


def test_edit_goes_on_with_the_method_and_preset_before(session: Invoke) -> None:
    def used(*options: str) -> tuple[str, str]:
        spec = parsed(session("edit", "--caption", "a bird", "--seed", "1", *options, "--json"))["spec"]
        return spec["method"], spec["preset"]

    assert used() == ("toy", "default")
    assert used("--preset", "global", "--method", "toy") == ("toy", "global")
    assert used() == ("toy", "global")
    assert used("--method", "no_edit") == ("no_edit", "default")
    assert used() == ("no_edit", "default")
    assert used("--from", "1") == ("toy", "default")


def test_restore_puts_the_original_back(session: Invoke, masks: Path) -> None:
    session("edit", "--caption", "a bird", *GLOBAL)
    made = parsed(session("restore", "--brush", "left.png", "-o", "out.png", "--json"))
    assert (made["kind"], made["prompt"], made["number"]) == ("restore", "a bird", 4)
    assert not changed(opened(masks), "0", "4")[:18].any()
    assert not changed(opened(masks), "3", "4")[20:].any()
    with Image.open(masks / "out.png") as picture:
        assert picture.size == (40, 32)
    assert fails(session, "restore", "--brush", "black.png", "--quiet").startswith("nothing may change")
    assert fails(session, "restore", "--brush", "left.png", "--from", "head").startswith(
        "turn 4 is the turn to restore"
    )


def test_rebase_makes_the_prompt_anew_from_the_original(session: Invoke) -> None:
    made = parsed(session("rebase", "--seed", "1", "--json"))
    assert (made["number"], made["prompt"], made["spec"]["method"]) == (1, "a dog with a hat", "toy")
    assert made["spec"]["source_prompt"] == "a cat"
    assert parsed(session("log", "--json"))["head"] == made["id"]
    session("checkout", "original")
    assert fails(session, "rebase").startswith("this is the original picture already")


def test_a_drifting_turn_is_told(session: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    from undrift.session import drift

    monkeypatch.setattr(drift, "WARN_BELOW", 1000.0)
    assert "note: drift from the original is" in session("edit", "--caption", "a bird", *GLOBAL).stdout
    assert "note: drift from the original is" in session("log").stdout
    monkeypatch.setattr(drift, "WARN_BELOW", 0.0)
    assert "note:" not in session("edit", "--caption", "a cow", *GLOBAL).stdout
    assert "note:" not in session("log").stdout


def test_a_zip_is_unpacked_and_goes_on(session: Invoke, folder: Path) -> None:
    session("export", "-o", "a.zip")
    made = parsed(session("unpack", "a.zip", "--json"))
    assert made["session"] == "a"
    assert Session.open(folder / "a").tree() == opened(folder).tree()
    assert parsed(session("unpack", "a.zip", "--json"))["session"] == "a-2"
    assert "already exists" in fails(session, "unpack", "a.zip", "-o", "undrift-session")
    (folder / "b.zip").write_bytes(b"no zip")
    assert fails(session, "unpack", "b.zip").startswith("'b.zip' is not a zip file that can be read")


@pytest.mark.parametrize("name", ["turns.webp", "turns.gif"])
def test_export_of_an_animation(session: Invoke, folder: Path, name: str) -> None:
    assert parsed(session("export", "-o", name, "--seconds", "0.5", "--captions", "--json"))["format"] == "animation"
    with Image.open(folder / name) as animation:
        assert getattr(animation, "n_frames", 1) == 3
        assert animation.size == (280, 272)
    assert fails(session, "export", "-o", "x.gif", "--seconds", "0").startswith("each turn is to be shown for 0.0 s")
    assert fails(session, "export", "-o", "x.png", "--captions").startswith("--captions and --seconds are for")


def test_exported_commands_repeat_regions_and_restores(session: Invoke, masks: Path) -> None:
    session("edit", "--caption", "a bird", *GLOBAL, "--only", "left.png", "--dial", "0.5")
    session("restore", "--brush", "right.png", "--from", "1")
    session("export", "-o", "again.sh")
    for line in (masks / "again.sh").read_text().splitlines():
        last = parsed(session(*shlex.split(line)[1:], "--json"))
    assert last["image_hash"] == parsed(session("show", "--json"))["image_hash"]
    assert last["latent_hash"] == parsed(session("show", "--json"))["latent_hash"]


def test_show_tells_of_regions_and_restores(session: Invoke, masks: Path) -> None:
    session("edit", "--caption", "a bird", *GLOBAL, "--only", "left.png")
    assert "regions/" in session("show").stdout
    session("restore", "--brush", "right.png", "--from", "1")
    assert "back from" in session("show").stdout


def test_info_of_hostile_metadata_is_one_line(invoke: Invoke, folder: Path) -> None:
    from undrift.pictures import write_png

    write_png(Image.new("RGB", (2, 2)), folder / "odd.png", {"prompt": "x", "turns": [{"kind": "edit"}]})
    message = fails(invoke, "info", "odd.png")
    assert message.startswith("the undrift metadata is damaged: turns.0.number: field required")


def test_edit_goes_on_with_the_way_the_model_was_held(
    session: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.toy import ToyBackbone
    from undrift.cli import execution

    held: list[dict[str, str]] = []

    def load(name: str, **placement: str) -> ToyBackbone:
        held.append(placement)
        return ToyBackbone()

    def used(*command: str) -> tuple[str, ...]:
        assert session(*command).exit_code == 0
        return tuple(held[-1][name] for name in ("dtype", "device", "offload", "quantize"))

    monkeypatch.setattr(execution, "load", load)
    start = ("new", "cat.png", "-p", "a cat", "-s", "held")
    edit = ("edit", "--caption", "a bird", *TOY, "-s", "held")
    options = ("--dtype", "bf16", "--device", "cpu", "--offload", "group", "--quantize", "nf4")
    assert used(*start, *options) == ("bf16", "cpu", "group", "nf4")
    assert used(*edit) == ("bf16", "cpu", "group", "nf4")
    assert used(*edit, "--offload", "model") == ("bf16", "cpu", "model", "nf4")
    assert used("rebase", "--seed", "1", "-s", "held") == ("bf16", "cpu", "model", "nf4")
    assert used(*edit, "--model", "another") == ("auto", "auto", "none", "none")
    (folder / "held" / "placement.json").write_text('{"offload": "hostile", "dtype": ["bf16"], "x": 1}')
    assert used(*edit) == ("auto", "auto", "none", "none")
    (folder / "held" / "placement.json").write_text("[")
    assert used(*edit) == ("fp32", "cpu", "none", "none"), "as the turn before is recorded"
    for device in ("cpu:foo", "cuda:" + "9" * 5000, "cuda:7777", "cuda:\u00b2", "mps:x", "vulkan"):
        (folder / "held" / "placement.json").write_text(json.dumps({"device": device}))
        assert used(*edit) == ("auto", "auto", "none", "none"), device


def test_a_preset_without_a_method_is_one_of_the_method_before(session: Invoke) -> None:
    spec = parsed(session("edit", "--caption", "a bird", "--preset", "global", "--json"))["spec"]
    assert (spec["method"], spec["preset"]) == ("toy", "global")
    assert fails(session, "edit", "--caption", "a bird", "--preset", "faithful").startswith(
        "no preset of toy 'faithful'"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--recorded-as", "default"), "--recorded-as goes with --method and --set"),
        (("--method", "toy", "--preset", "global", "--recorded-as", "x"), "--recorded-as goes with --method"),
        (("--method", "toy", "--recorded-as", "x:y"), "--recorded-as x:y: expected PRESET or PRESET:DIAL"),
        (("--method", "toy", "--recorded-as", "x:2"), "--recorded-as x:2: expected a dial from -1 to 1"),
        (("--method", "toy", "--recorded-as", "x:nan"), "--recorded-as x:nan: expected a dial from -1 to 1"),
    ],
)
def test_what_recorded_as_refuses(session: Invoke, options: tuple[str, ...], message: str) -> None:
    assert fails(session, "edit", "--caption", "a bird", *options).startswith(message)


def test_words_as_a_list_and_no_words_at_all(session: Invoke) -> None:
    def words(text: str) -> list[str] | None:
        chosen: list[str] | None = parsed(session("edit", "--caption", "a red hat", *TOY, "--words", text, "--json"))[
            "spec"
        ]["words"]
        return chosen

    assert words("red, hat") == ["red", "hat"]
    assert words('["red, hat"]') == ["red, hat"]
    assert words("[]") == []
    assert words("") == words(" , ") == []
    assert words("null") is None
    assert words("[red]") == ["[red]"]


WORDS = ("--method", "multi_turn", "--steps", "1", "--seed", "1")


@pytest.mark.parametrize(
    ("prompt", "options", "why"),
    [
        ("a dog", WORDS, "the prompt has no word that is new"),
        ("a dog with a hat.", WORDS, "the prompt has no word that is new"),
        ("a cat with a hat", (*WORDS, "--words", "[]"), "no word was chosen"),
        ("a cat with a hat", WORDS, None),
        ("a dog with a Hat", WORDS, None),
        ("a dog with a hat 🎩", WORDS, None),
        ("a dog", (*WORDS, "--set", "highlight=false"), None),
        ("a dog", (*WORDS, "--preset", "faithful"), None),
        ("a dog", TOY, None),
    ],
)
def test_a_turn_that_no_word_steers_says_so(
    session: Invoke, prompt: str, options: tuple[str, ...], why: str | None
) -> None:
    result = session("edit", "--caption", prompt, *options)
    assert result.exit_code == 0, result.stderr
    notes = [line for line in result.stderr.splitlines() if "no word steers" in line]
    told = f"note: no word steers where turn '{prompt}' edits: {why}; choose some with --words"
    assert notes == ([] if why is None else [told])


def test_a_turn_that_changes_nothing_says_so(session: Invoke) -> None:
    told = "note: turn 'a bird' changed nothing: say more of what is new, or turn the dial to obeying (--dial -0.5)\n"
    assert session("edit", "--caption", "a bird", "--method", "no_edit").stderr.count(told) == 1
    assert "changed nothing" not in session("edit", "--caption", "a bird", *TOY).stderr


def test_show_tells_which_words_steer(session: Invoke) -> None:
    def words() -> str:
        (line,) = [line for line in session("show").stdout.splitlines() if line.startswith("words")]
        return line.removeprefix("words").strip()

    assert words() == "dog (those that differ)"
    session("edit", "--caption", "a dog", *TOY)
    assert words() == "none (those that differ)"
    session("edit", "--caption", "a red cat", *TOY, "--words", "cat")
    assert words() == "cat"
    session("edit", "--caption", "a red cow", *TOY, "--words", "[]")
    assert words() == "none"
