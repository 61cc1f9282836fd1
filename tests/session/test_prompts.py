"""Two prompts side by side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undrift.attention.words import FUNCTION_WORDS, changed_words
from undrift.session.prompts import prompt_diff, steering_words

WORDS = st.lists(st.sampled_from(["a", "red", "cat", "Cat", "dog", "with", "hat", "in", "snow"]), max_size=8)
SIGNS = {"kept": "", "removed": "-", "added": "+"}


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("a cat", "a dog", "a -cat +dog"),
        ("A cat", "a cat with a hat", "a cat +with +a +hat"),
        ("a red cat, in the snow", "a cat", "a -red cat -in -the -snow"),
        ("a cat's hat", "a well-known hat", "a -cat's +well-known hat"),
        ("", "one", "+one"),
        ("one", "", "-one"),
        ("", "", ""),
    ],
)
def test_words_and_what_becomes_of_them(source: str, target: str, expected: str) -> None:
    assert " ".join(SIGNS[change] + word for change, word in prompt_diff(source, target)) == expected


@given(WORDS, WORDS)
def test_it_is_both_prompts_and_agrees_with_the_highlighting(source: list[str], target: list[str]) -> None:
    one, two = ", ".join(source), " ".join(target)
    diff = prompt_diff(one, two)
    assert [word for change, word in diff if change != "removed"] == target
    assert [word.lower() for change, word in diff if change != "added"] == [word.lower() for word in source]
    added = [word for change, word in diff if change == "added"]
    telling = [word for word in added if word.lower() not in FUNCTION_WORDS]
    assert changed_words(one, two) == tuple(telling or added) == steering_words(one, two)


def test_words_that_the_user_chose_steer() -> None:
    assert steering_words("a cat", "a red cat", ("cat",)) == ("cat",)
