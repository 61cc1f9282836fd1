"""Kinds of readings that once were silently wrong, or refused although they are sure."""

from __future__ import annotations

import re

import pytest

from undrift.instructions import NotUnderstood, text_form, understand

WALK = "a woman in a red coat walking her dog on a snowy street"
TABLE = "a bowl of fruit on a wooden table next to a window"


@pytest.mark.parametrize(
    ("text", "caption", "target"),
    [
        ("clear window", TABLE, "a bowl of fruit on a wooden table next to a clear window"),
        ("no coat", WALK, "a woman walking her dog on a snowy street"),
        ("make it sunny", WALK, "a woman in a red coat walking her dog on a sunny street"),
        ("hat white bird red park", "a bird with a hat in a city", None),
        ("table to the window", TABLE, None),
        ("no snow", WALK, "a woman in a red coat walking her dog on a street"),
        ("no rain", "a man in the rain", "a man"),
        ("what if it wasn't raining", "a man in the rain", None),
        ("no fog on it", "a foggy bridge", None),
        ("add a dog", "two boys drawing a house", "two boys drawing a house with a dog"),
        ("apple -> orange", "a green apple on a table", "an orange on a table"),
        ("apple -> green", "a red apple on a table", "a green apple on a table"),
        ("hat -> orange", "a man with a red hat", "a man with an orange hat"),
        ("gray sofa -> armchair", "a large grey sofa", "a large armchair"),
        ("make him smile", "a sad man in a park", "a smiling man in a park"),
        ("man standing", "an old man sitting on a bench", "an old man standing on a bench"),
        ("the man needs no hat", "a man wearing a hat in a park", "a man in a park"),
        ("i'd prefer no hat", "a man wearing a hat in a park", "a man in a park"),
        ("what if there were two dogs", "a dog in a park", None),
        ("park -> cat", "a dog in a park", None),
        ("make him sad", "a smiling man in a park", "a sad man in a park"),
        ("no bread", "soup and two slices of bread", "soup"),
        ("no soup", "a bowl of soup on a table", "a bowl on a table"),
        ("in colour", "a sepia photo of a ship", "a photo of a ship"),
        ("four dogs instead of three", "three dogs on a beach", "four dogs on a beach"),
        ("four dogs instead of two", "three dogs on a beach", None),
    ],
)
def test_a_reading_is_right_or_none(text: str, caption: str, target: str | None) -> None:
    if target is not None:
        assert understand(text, caption).target == target
        return
    with pytest.raises(NotUnderstood):
        understand(text, caption)


@pytest.mark.parametrize(
    ("text", "caption", "said"),
    [
        ("great picture", WALK, "cannot tell"),
        ("put it next to the window", TABLE, "changes nothing"),
        ("put it in front of a shop instead", "a bicycle leaning against a wall", "instead of what?"),
        ("make the flower wave", "a red cat next to a blue flower in a city", "a flower cannot be waving"),
        ("cat -> beach", "a red cat in a city", "is where the picture is set"),
    ],
)
def test_what_only_seems_to_be_an_edit_is_refused(text: str, caption: str, said: str) -> None:
    with pytest.raises(NotUnderstood, match=re.escape(said)):
        understand(text, caption)


@pytest.mark.parametrize("text", ["and a glass of wine", "the table out of wood", "a vase of flowers", "plus a cat"])
def test_a_part_of_the_picture_is_never_taken_for_all_of_it(text: str) -> None:
    assert text_form(text, "a bowl of fruit on a coffee table next to a window") == "instruction"


@pytest.mark.parametrize(
    "text", ["a blue dog and a white cat on a beach", "a glass of wine on a table", "two birds and a bowl of milk"]
)
def test_a_whole_caption_stays_one(text: str) -> None:
    assert text_form(text, "a green dog and a red cat on a sofa") == "caption"
