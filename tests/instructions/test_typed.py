"""Requests as people type them, with slips, in short, over several turns; a refusal says what to type instead."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from tests.support.requests import Typed, score, share, typed
from undrift.instructions import NotUnderstood, understand

WRITTEN_WITH, KEPT_APART, TRIED_ONCE = typed("typed"), typed("typed_held_out"), typed("typed_fresh")
MENDED = [*WRITTEN_WITH, *KEPT_APART]
PAGE = Path(__file__).parents[2] / "docs" / "instructions.md"


@pytest.mark.parametrize("request_", MENDED, ids=[each.name for each in MENDED])
def test_a_request_has_one_of_its_right_outcomes(request_: Typed) -> None:
    assert request_.verdict() == "right"


def test_of_what_was_tried_once_the_page_gives_the_figures() -> None:
    """What is read wrongly of it stays so for all to see: mended, its score would forecast nothing."""
    figures, total = score(TRIED_ONCE), len(TRIED_ONCE)
    shares = (share(figures["right"], total), share(figures["refused"], total), share(figures["wrong"], total))
    assert f"| {total} tried once | {' | '.join(shares)} |" in PAGE.read_text("utf-8")


@pytest.mark.parametrize(("count", "total"), [(0, 10), (5, 10), (72, 116), (121, 121)])
def test_the_ends_of_an_interval_are_just_within_reach_of_what_was_found(count: int, total: int) -> None:
    """Wilson's ends p solve (p - k/n)^2 = z^2 p (1 - p) / n, with z = 1.96 of the normal distribution."""
    part = count / total
    for end in re.findall(r"\d+\.\d", share(count, total).split("(")[1]):
        p = float(end) / 100
        rounding = 2 * 0.0005 * (abs(p - part) + 1.96**2 / total)
        assert abs((p - part) ** 2 - 1.96**2 * p * (1 - p) / total) <= rounding


def test_nothing_is_in_both_halves() -> None:
    assert not {each.name for each in WRITTEN_WITH} & {each.name for each in KEPT_APART}
    assert (len(WRITTEN_WITH), len(KEPT_APART), len(TRIED_ONCE)) == (121, 116, 42)


def _refused() -> list[tuple[Typed, str]]:
    refused = []
    for each in (*MENDED, *TRIED_ONCE):
        try:
            each.reading()
        except NotUnderstood as problem:
            refused.append((each, str(problem)))
    return refused


@pytest.mark.slow
def test_a_refusal_is_one_line_and_what_it_says_to_type_is_understood() -> None:
    refused = _refused()
    assert len(refused) > 50
    offered = 0
    for each, line in refused:
        assert "\n" not in line
        found = re.search(r"(?:nearest form is|such as|Say|: understood|would read) '([^']*)'", line)
        if found and "cannot tell" in line:
            offered += 1
            assert understand(found[1], each.history[-1], each.history, "instruction").target, (each.say, line)
    assert offered > 40


def test_nothing_that_says_the_opposite_is_offered() -> None:
    scene = "a red cat wearing a blue hat in a meadow"
    for text in ("make the cat NOT green", "do not make the hat green", "make the hat green or white"):
        with pytest.raises(NotUnderstood) as refusal:
            understand(text, scene)
        assert "would read" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("make the hat green. do a flip", "understood 'make the hat green' and not the rest"),
        ("make the hat green tomorrow", "without 'tomorrow' it would read 'make the hat green'"),
        ("is the hat blue?", "questions get no answer, the picture shows 'a red cat wearing a blue hat in a meadow'"),
        ("a boat", "Say 'add a boat', or give the whole caption (--caption, read_as)"),
        ("surprise me", "the nearest form is 'put a red hat on the cat'"),
    ],
)
def test_how_far_it_was_understood_is_said(text: str, said: str) -> None:
    with pytest.raises(NotUnderstood, match=re.escape(said)):
        understand(text, "a red cat wearing a blue hat in a meadow")


@pytest.mark.parametrize("word", ["moat", "leash", "hound"])
def test_a_word_that_need_be_no_slip_is_never_corrected(word: str) -> None:
    """A moat is no boat: letters that are other ones make another word."""
    kept = ""
    with contextlib.suppress(NotUnderstood):
        kept = understand(f"add a {word}", "a house on a hill").target
    assert kept in ("", f"a house next to a {word} on a hill")


def test_another_name_is_told_and_gives_way_to_the_name_itself() -> None:
    reading = understand("make the kitten black", "a cat on a sofa")
    assert (reading.target, reading.note) == ("a black cat on a sofa", "'the kitten' read as 'the cat'")
    exact = understand("make the kitten black", "a cat and a kitten on a sofa")
    assert (exact.target, exact.note) == ("a cat and a black kitten on a sofa", "")


def test_undo_of_a_thing_undoes_the_last_turn_if_that_changed_it() -> None:
    turns = ["a cat in a city", "a cat wearing a hat in a city", "a cat wearing a red hat in a city"]
    assert understand("undo the hat", turns[-1], turns).turn == 1
    with pytest.raises(NotUnderstood, match="the last turn did not change 'the cat'"):
        understand("undo the cat", turns[-1], turns)
