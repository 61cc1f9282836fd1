"""Refusals are reasons with values; whoever says them in another language needs no sentence of ours."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import undrift
from undrift.instructions import NotUnderstood, Why, understand
from undrift.instructions.refusals import Names, Refusal

SOURCES = [Path(undrift.__file__).parent / name for name in ("instructions", "session/saying.py")]


def _raised() -> Iterator[tuple[str, frozenset[str]]]:
    """The name of the reason, and of the values, of every refusal in the code."""
    files = [path for place in SOURCES for path in (place.glob("*.py") if place.is_dir() else [place])]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("NotUnderstood", "Refusal"):
                reason = node.args[0]
                names = [reason.body, reason.orelse] if isinstance(reason, ast.IfExp) else [reason]
                given = frozenset(keyword.arg or "**" for keyword in node.keywords)
                yield from ((ast.unparse(name).removeprefix("Why."), given) for name in names)


def test_every_reason_is_given_somewhere_and_always_with_the_values_that_its_sentence_needs() -> None:
    raised = list(_raised())
    assert {name for name, _ in raised} == {why.name for why in Why}
    for name, given in raised:
        assert given == Why[name].fields, name


@pytest.mark.parametrize(
    ("text", "key", "values"),
    [
        ("make the horse blue", "no_such_thing", {"said": "the horse", "named": ("the red cat", "the star")}),
        ("make it green", "ambiguous", {"said": "it", "choices": ("the red cat", "the star")}),
        ("undo that", "nothing_to_undo", {"step": "undo"}),
        ("undo 3 turns", "not_so_many_turns", {"count": 3, "last": 1}),
        ("back to turn 7", "no_such_turn", {"turn": 7, "last": 1}),
        ("make the cat red", "is_already", {"thing": "cat", "quality": "red"}),
    ],
)
def test_a_refusal_has_a_key_and_the_words_it_is_about(text: str, key: str, values: dict[str, object]) -> None:
    caption = "a red cat next to a star"
    history = [] if "that" in text else ["a cat next to a star", caption]
    with pytest.raises(NotUnderstood) as refusal:
        understand(text, caption, history)
    assert (refusal.value.key, refusal.value.values) == (key, values)


def test_values_are_put_in_as_they_are_and_lists_as_english_lists_them() -> None:
    refusal = Refusal(Why.AMBIGUOUS, said="{it}", choices=Names(["the cat", "the {dog}"]))
    assert str(refusal) == "'{it}' can mean more than one thing: say 'the cat' or 'the {dog}'"
    assert "it names the cat, the dog: say" in str(
        Refusal(Why.NO_SUCH_THING, said="the cow", named=Names(["the cat", "the dog"]))
    )
