"""Turns in plain words on the command line: recognised, shown, recorded, repeated."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke, parsed
from undrift.session.store import Session

TOY = ("--method", "toy", "--seed", "1")


@pytest.fixture
def dogs(invoke: Invoke) -> Invoke:
    """A session of one turn: a green dog, then with a hat."""
    assert invoke("new", "cat.png", "-p", "a green dog on a beach").exit_code == 0
    assert invoke("edit", "put a red hat on the dog", *TOY).exit_code == 0
    return invoke


def turns() -> list[tuple[str, str | None]]:
    tree = Session.open(Path("undrift-session")).tree()
    return [(turn.prompt, turn.spec.instruction if turn.spec else None) for turn in tree.turns.values()]


def test_an_instruction_becomes_a_caption_and_both_are_recorded(dogs: Invoke) -> None:
    made = parsed(dogs("edit", "make the dog blue and add a star", *TOY, "--json"))
    assert made["prompt"] == "a blue dog wearing a red hat next to a star on a beach"
    assert made["spec"]["instruction"] == "make the dog blue and add a star"
    assert made["spec"]["source_prompt"] == "a green dog wearing a red hat on a beach"
    assert made["spec"]["words"] == ["blue", "star"]
    log = dogs("log").stdout
    assert "put a red hat on the dog: a green dog wearing a red hat on a beach" in log
    assert "said      make the dog blue and add a star" in dogs("show").stdout


def test_a_caption_stays_one(dogs: Invoke) -> None:
    result = dogs("edit", "a blue dog in a city", *TOY)
    assert "read as a caption" in result.stderr
    assert turns()[-1] == ("a blue dog in a city", None)


def test_a_thing_of_the_picture_in_another_colour_is_a_change_of_it_and_no_caption(dogs: Invoke) -> None:
    result = dogs("edit", "a blue dog", *TOY)
    assert "note: read as a change of what is there; --caption makes it all" in result.stderr
    assert turns()[-1] == ("a blue dog wearing a red hat on a beach", "a blue dog")


def test_a_slip_of_the_pen_is_corrected_and_told(dogs: Invoke) -> None:
    result = dogs("edit", "make teh dog bleu", *TOY)
    assert "note: 'teh' read as 'the'; 'bleu' read as 'blue'" in result.stderr
    assert turns()[-1] == ("a blue dog wearing a red hat on a beach", "make teh dog bleu")


def test_what_was_understood_is_shown_as_a_difference(dogs: Invoke) -> None:
    shown = dogs("edit", "make the dog blue", *TOY).stderr
    assert "read as an instruction (colour): a [-green-] {+blue+} dog wearing a red hat on a beach" in shown
    assert dogs("edit", "make the dog red", *TOY, "--quiet").stderr == ""


def test_either_can_be_forced(dogs: Invoke) -> None:
    assert parsed(dogs("edit", "make the dog blue", "--caption", *TOY, "--json"))["prompt"] == "make the dog blue"
    refused = dogs("edit", "a blue boat in a city", "--say", *TOY)
    assert refused.exit_code == 2
    assert "cannot tell what 'a blue boat in a city' asks for" in refused.stderr
    both = dogs("edit", "a blue dog", "--say", "--caption", *TOY)
    assert (both.exit_code, both.stderr.startswith("error: --caption and --say exclude")) == (2, True)


@pytest.mark.parametrize("text", ["make the cat blue", "surprise me", "a blue boat", "back to the red one"])
def test_what_is_not_understood_makes_no_turn(dogs: Invoke, text: str) -> None:
    before = turns()
    result = dogs("edit", text, *TOY)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert turns() == before


def test_undo_steps_back_and_redo_forward(dogs: Invoke) -> None:
    dogs("edit", "make the dog blue", *TOY)
    assert parsed(dogs("edit", "undo that", "--json"))["prompt"] == "a green dog wearing a red hat on a beach"
    dogs("redo")
    assert parsed(dogs("edit", "go back to the original", "--json"))["number"] == 0
    assert len(turns()) == 3
    elsewhere = dogs("edit", "undo", "--from", "2")
    assert (elsewhere.exit_code, "leave out --from" in elsewhere.stderr) == (2, True)


def test_back_to_the_green_one(dogs: Invoke) -> None:
    dogs("edit", "make the dog blue", *TOY)
    dogs("edit", "remove the hat", *TOY)
    assert parsed(dogs("edit", "back to the green one", "--json"))["number"] == 1


def test_more_makes_the_turn_anew_with_the_dial_towards_obeying(dogs: Invoke) -> None:
    before = parsed(dogs("show", "--json"))
    more = parsed(dogs("edit", "a bit more", "--json"))
    assert (more["parent"], more["prompt"], more["spec"]["seed"]) == (before["parent"], before["prompt"], 1)
    assert (more["spec"]["dial"], more["spec"]["instruction"]) == (-0.5, "a bit more")
    assert parsed(dogs("edit", "less", "--json"))["spec"]["dial"] == 0.0
    for _ in range(2):
        dogs("edit", "less")
    end = dogs("edit", "less")
    assert (end.exit_code, "the dial is at its end" in end.stderr) == (2, True)


def test_without_a_caption_the_instruction_says_what_is_there(invoke: Invoke) -> None:
    invoke("new", "cat.png", "-p", "")
    made = parsed(invoke("edit", "make the dog blue", *TOY, "--json"))
    assert (made["spec"]["source_prompt"], made["prompt"]) == ("a dog", "a blue dog")


def test_run_takes_instructions_and_captions_in_turn(invoke: Invoke) -> None:
    said = ["--say", "make the cat red", "--say", "add a blue hat", "--say", "a dog wearing a blue hat"]
    made = parsed(invoke("run", "cat.png", "-p", "a cat", *said, *TOY, "--json"))["turns"]
    assert [turn["prompt"] for turn in made] == [
        "a red cat",
        "a red cat wearing a blue hat",
        "a dog wearing a blue hat",
    ]
    assert [turn["spec"]["instruction"] for turn in made] == ["make the cat red", "add a blue hat", None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give the turns with --edit"),
        (("--say", "undo that"), "there is nothing to undo"),
        (("--say", "make the cat red", "--say", "undo that"), "--say number 2, 'undo that', is no edit"),
        (("--say", "make the dog red"), "the caption has no 'the dog'"),
        (("--say", "add a hat", "-e", "a cat"), "give the turns with --edit"),
    ],
)
def test_run_makes_nothing_of_what_it_does_not_understand(
    invoke: Invoke, options: tuple[str, ...], message: str
) -> None:
    result = invoke("run", "cat.png", "-p", "a cat", *options, *TOY)
    assert (result.exit_code, message in result.stderr) == (2, True)
    assert not Path("undrift-cat").exists()


def test_replay_and_exported_commands_keep_what_was_said(dogs: Invoke) -> None:
    wanted = turns()
    assert dogs("export", "-o", "again.sh").exit_code == 0
    for typed in Path("again.sh").read_text("utf-8").splitlines():
        if typed.startswith("undrift "):
            result = dogs(*shlex.split(typed)[1:])
            assert result.exit_code == 0, result.stderr
    tree = Session.open(Path("undrift-again")).tree()
    assert [(turn.prompt, turn.spec.instruction if turn.spec else None) for turn in tree.turns.values()] == wanted
