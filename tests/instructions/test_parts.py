"""The pieces: captions cut and written again, English, spelling, and the whole on any text."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.instructions import Case, cases
from undrift.attention.words import changed_words
from undrift.instructions import NotUnderstood, understand
from undrift.instructions.advice import MOST_THINGS, NEAREST, advice, nearest_examples
from undrift.instructions.caption import SCENE, parse
from undrift.instructions.english import article, is_plural, preposition, same_noun
from undrift.instructions.forms import all_forms
from undrift.instructions.lexicon import nearest
from undrift.instructions.tokens import Token, tokenise
from undrift.littleworld.sequences import sample_sequence

CAPTIONS = sorted({case.caption for name in ("development", "held_out", "traps") for case in cases(name)})


def test_a_long_text_is_no_instruction() -> None:
    """What looking for one costs grows so fast with the words that four thousand letters would take a minute."""
    caption = "a red cat " + "on a sofa " * 300
    assert understand(caption, "a red cat").form == "caption"
    with pytest.raises(NotUnderstood, match=r"this has 803 words, an instruction has at most 60: say it in several"):
        understand("make it red and " * 200 + "make it blue", "a red cat", form="instruction")


def test_advice_about_a_caption_of_many_things_tries_few_examples() -> None:
    tried: list[str] = []

    def reads(tokens: Sequence[Token]) -> bool:
        tried.append(" ".join(token.text for token in tokens))
        return False

    caption = " and ".join(f"a cat{number}" for number in range(300))
    assert "change the background to a beach" in str(advice("gleam", tokenise("gleam"), caption, reads))
    assert len(tried) <= (NEAREST + 2) * MOST_THINGS + 2


@pytest.mark.parametrize("caption", ["and", "and and", ", ,", "with"])
@pytest.mark.parametrize("text", ["add a dog", "put a hat on it", "add a dog and make it red", "make it blue"])
def test_a_caption_that_names_nothing_is_told(caption: str, text: str) -> None:
    with pytest.raises(NotUnderstood):
        understand(text, caption, form="instruction")


@pytest.mark.parametrize("text", CAPTIONS)
def test_a_caption_is_written_as_it_was_read(text: str) -> None:
    assert parse(text).text == text


def test_captions_of_the_drawn_world_are_written_as_they_were_read() -> None:
    for text in sample_sequence(random.Random(3), 40).captions:
        assert parse(text).text == text


def test_who_has_what() -> None:
    caption = parse("a man in a suit and a woman in a white dress on a beach at sunset")
    named = {phrase.noun: caption.owner(number) for number, phrase in caption.things()}
    assert named == {"man": SCENE, "suit": 0, "woman": SCENE, "dress": 2, "beach": SCENE, "sunset": SCENE}


@pytest.mark.parametrize(
    ("word", "said"),
    [("orange", "an"), ("hour", "an"), ("unicorn", "a"), ("umbrella", "an"), ("house", "a")],
)
def test_articles_go_by_sound(word: str, said: str) -> None:
    assert article(word) == said


@pytest.mark.parametrize(
    ("noun", "several"),
    [("glasses", True), ("cats", True), ("men", True), ("cactus", False), ("glass", False), ("dress", False)],
)
def test_number(noun: str, several: bool) -> None:
    assert is_plural(noun) is several


def test_names_of_the_same_thing() -> None:
    assert same_noun("wolves", "wolf")
    assert same_noun("bike", "bicycle")
    assert not same_noun("kitten", "cat")


def test_places_have_their_prepositions() -> None:
    said = [preposition(noun) for noun in ("beach", "meadow", "night", "wall", "hat")]
    assert said == ["on", "in", "at", "in front of", None]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("mkae", "make"), ("balon", "balloon"), ("purpel", "purple"), ("remvoe", "remove"), ("baloon", "balloon")],
)
def test_slips_have_a_suggestion(typed: str, meant: str) -> None:
    assert nearest(typed) == meant


@pytest.mark.parametrize("word", ["hat", "hats", "xyzzy", "boar", "cot", "country", "it", "12"])
def test_other_words_have_none(word: str) -> None:
    assert nearest(word) is None


def _refusal(text: str, scene: str, history: list[str]) -> str:
    """What is said against a text; empty if it is understood."""
    try:
        understand(text, scene, history)
    except NotUnderstood as refusal:
        return str(refusal)
    return ""


def test_every_form_is_shown_by_an_example_that_is_understood() -> None:
    scene = "a red cat wearing a blue hat next to a chair and a man on a beach"
    history = [scene.replace("red cat", "blue cat"), "a black dog wearing a scarf in a city", scene]
    examples = {form.example for form in all_forms()} - {
        "back to the red one",
        "bring back the hat",
        "put it on a beach",
    }
    for example in sorted(examples):
        assert _refusal(example, scene, history).find("cannot tell") < 0, example


def test_what_is_not_understood_says_so_with_the_nearest_form() -> None:
    with pytest.raises(
        NotUnderstood, match="cannot tell what 'make the cat do a flip' asks for; the nearest form is 'make"
    ):
        understand("make the cat do a flip", "a red cat in a meadow")
    assert nearest_examples("remove hat now")[0] == "remove the hat"


def test_words_that_steer_are_the_new_ones_and_are_unambiguous() -> None:
    scene = "a red cat wearing a blue hat in a meadow"
    assert understand("add a yellow flower", scene).words == ("yellow", "flower")
    assert understand("make the hat red", scene).words == ("red hat",)
    assert understand("remove the hat", scene).words is None


@pytest.mark.parametrize("case", cases("development"), ids=lambda case: case.name)
def test_steering_words_are_in_the_target(case: Case) -> None:
    try:
        reading = case.reading()
    except NotUnderstood:
        return
    for words in reading.words or ():
        assert words.lower() in reading.target.lower()
        assert set(words.lower().split()) & {word.lower() for word in changed_words(reading.source, reading.target)}


def test_a_form_can_be_forced() -> None:
    scene = "a red cat in a meadow"
    forced = understand("make the cat blue", scene, form="caption")
    assert (forced.form, forced.target) == ("caption", "make the cat blue")
    with pytest.raises(NotUnderstood, match="Say 'add a blue dog', or give the whole caption"):
        understand("a blue dog", scene, form="instruction")


@pytest.mark.slow
@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    scene = "a red cat wearing a blue hat next to a yellow flower in a meadow"
    assert _refusal(text, scene, [scene]) or understand(text, scene).target.strip()


WORDS = "make turn put add remove the a cat hat flower red blue it his and with into on next to beach night not no"


@pytest.mark.slow
@given(st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=9))
@settings(max_examples=400, deadline=None)
def test_any_words_of_instructions_are_read_or_refused(words: list[str]) -> None:
    scene = "a red cat wearing a blue hat next to a yellow flower in a meadow"
    try:
        reading = understand(" ".join(words), scene)
    except NotUnderstood:
        return
    assert reading.form == "caption" or reading.turn is not None or parse(reading.target).text == reading.target


@given(st.text(alphabet="abc,.'\" -andthe", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_caption_can_be_cut(text: str) -> None:
    assert parse(text).text.split() == parse(parse(text).text).text.split()
