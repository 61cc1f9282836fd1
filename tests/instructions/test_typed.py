"""Requests as people type them, with slips, in short, over several turns; a refusal says what to type instead."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from tests.support.requests import Typed, share, typed
from undrift.instructions import NotUnderstood, text_form, understand

SETS = (
    "typed",
    "typed_held_out",
    "typed_fresh",
    "typed_voices",
    "typed_voices_held_out",
    "typed_voices_fresh",
    "typed_once",
    "typed_shorthand",
    "typed_mixed_world",
    "typed_mixed_photos",
    "typed_mixed_fresh_world",
    "typed_mixed_fresh_photos",
    "typed_mixed_last",
    "typed_sentences",
    "typed_sentences_second",
    "typed_sentences_third",
    "typed_sentences_fourth",
    "typed_sentences_photos",
    "typed_moods_fresh",
    "typed_moods_second",
)
MENDED = [each for name in SETS for each in typed(name)]
PAGE = Path(__file__).parents[2] / "docs" / "instructions.md"


@pytest.mark.parametrize("request_", MENDED, ids=[each.name for each in MENDED])
def test_a_request_has_one_of_its_right_outcomes(request_: Typed) -> None:
    assert request_.verdict() == "right"


def test_the_shares_that_the_page_gives_are_those_of_its_counts() -> None:
    rows = re.findall(r"^\| (\d+) [^|]+ \|([^|]+)\|([^|]+)\|([^|]+)\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == 10
    for total, *cells in rows:
        assert [cell.strip() for cell in cells] == [share(int(cell.split()[0]), int(total)) for cell in cells]


@pytest.mark.parametrize(("count", "total"), [(0, 10), (5, 10), (72, 116), (121, 121)])
def test_the_ends_of_an_interval_are_just_within_reach_of_what_was_found(count: int, total: int) -> None:
    """Wilson's ends p solve (p - k/n)^2 = z^2 p (1 - p) / n, with z = 1.96 of the normal distribution."""
    part = count / total
    for end in re.findall(r"\d+\.\d", share(count, total).split("(")[1]):
        p = float(end) / 100
        rounding = 2 * 0.0005 * (abs(p - part) + 1.96**2 / total)
        assert abs((p - part) ** 2 - 1.96**2 * p * (1 - p) / total) <= rounding


def test_nothing_is_asked_twice() -> None:
    every = [each.name for each in MENDED]
    assert len(set(every)) == len(every)
    sizes = [121, 116, 42, 68, 63, 61, 50, 140, 100, 100, 40, 40, 40, 120, 60, 60, 40, 40, 50, 36]
    assert [len(typed(name)) for name in SETS] == sizes


def _refused() -> list[tuple[Typed, str]]:
    refused = []
    for each in MENDED:
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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("turn the dog into a beach scene", "is where the picture is set: say 'change the background to ...'"),
        ("make the dog a sketch", "is a style of the whole picture: say 'make it a sketch'"),
        ("make it day", "would take 'on a beach' away"),
        ("turn the dog and the star into a robot", "one thing at a time"),
        ("put a crown on the star", "a star cannot wear 'a crown'"),
        ("make the dog not red", "leaves open which colour"),
        ("make the star not striped", "'the star' is not striped"),
        ("replace the hat with the star", "'the star' is there already"),
        ("let it jump instead of waving", "does not say that 'the dog' is waving"),
        ("neon instead of pencil", "the picture is not a pencil drawing"),
        ("give the dog a bigger scarf", "is bigger than what?"),
    ],
)
def test_what_would_change_more_than_was_asked_for_is_refused(text: str, said: str) -> None:
    with pytest.raises(NotUnderstood, match=re.escape(said)):
        understand(text, "a striped red dog sitting wearing a blue hat next to a yellow star on a beach")


@pytest.mark.parametrize("text", ["turn it into a city scene", "turn it into a city photo", "make it a city picture"])
def test_the_whole_picture_is_set_elsewhere_though_it_shows_several_things(text: str) -> None:
    assert (
        understand(text, "a red dog next to a blue star on a beach").target
        == "a red dog next to a blue star in a city"
    )


@pytest.mark.parametrize("words", ["replace the {} with a {}", "turn the {} into a {}", "a {1} instead of the {0}"])
def test_what_takes_the_place_of_something_in_the_drawn_world_keeps_its_pattern_and_colour(words: str) -> None:
    scene = "a dotted red tree next to a blue star on a beach"
    assert understand(words.format("tree", "house"), scene).target == scene.replace("tree", "house")
    assert understand(words.format("tree", "plain white house"), scene).target == scene.replace(
        "dotted red tree", "white house"
    )


@pytest.mark.parametrize("text", ["the robot has to be white and jump", "a cactus, not a gift", "a dog with a hat"])
def test_in_the_drawn_world_nothing_without_a_place_is_a_caption(text: str) -> None:
    assert text_form(text, "a red robot next to a blue gift on a beach") == "instruction"


def test_weather_and_time_of_day_go_together_and_rain_makes_a_sunny_park_a_rainy_one() -> None:
    assert understand("make it rain", "a dog in a park at night").target == "a dog in a park at night in the rain"
    assert understand("make it dawn", "a dog in the rain at night").target == "a dog in the rain at dawn"
    assert understand("make it rain", "a dog in a sunny park").target == "a dog in a rainy park"
    with pytest.raises(NotUnderstood, match="'a sunny park', which 'night' does not go with"):
        understand("make it night", "a dog in a sunny park")


def test_undo_of_a_thing_undoes_the_last_turn_if_that_changed_it() -> None:
    turns = ["a cat in a city", "a cat wearing a hat in a city", "a cat wearing a red hat in a city"]
    assert understand("undo the hat", turns[-1], turns).turn == 1
    with pytest.raises(NotUnderstood, match="the last turn did not change 'the cat'"):
        understand("undo the cat", turns[-1], turns)
