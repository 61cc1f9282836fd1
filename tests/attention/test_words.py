from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from undrift.attention.words import changed_columns, changed_words, word_columns
from undrift.errors import InputError


@dataclass(frozen=True)
class Tokens:
    """Cut like T5: each piece takes the space before it; long words fall into pieces of four letters."""

    prompt: str
    limit: int = 99

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        pieces = [match.span() for match in re.finditer(r"\s?\w{1,4}|[^\w\s]", self.prompt)]
        return (*pieces[: self.limit], (0, 0))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("a red cat on grass", "a red dog on grass", ("dog",)),
        ("a cat", "a cat wearing a blue hat", ("wearing", "blue", "hat")),
        ("a cat wearing a hat", "a cat", ()),
        ("a cat", "a cat", ()),
        ("A Cat on grass", "a cat on snow", ("snow",)),
        ("a cat on grass", "a dog on snow", ("dog", "snow")),
        ("a red cat in a blue hat", "a red cat in a red hat", ("red",)),
        ("a cat", "the cat", ("the",)),
        ("", "a well-lit room, it's night", ("well-lit", "room", "it's", "night")),
        ("a cat, sitting.", "a cat sitting", ()),
        ("кошка", "собака", ("собака",)),
    ],
)
def test_changed_words(source: str, target: str, expected: tuple[str, ...]) -> None:
    assert changed_words(source, target) == expected


def test_a_repeated_word_counts_only_where_it_is_new() -> None:
    tokens = Tokens("a red cat in a red hat")
    assert changed_columns("a red cat in a blue hat", tokens) == (5,)
    assert word_columns(tokens, ["red"]) == (1, 5)


def test_columns_of_words_in_several_pieces() -> None:
    tokens = Tokens("an elephant, a cat")
    assert word_columns(tokens, ["elephant"]) == (1, 2)
    assert word_columns(tokens, ["ELEPHANT", "cat"]) == (1, 2, 5)


def test_phrases_and_whole_words() -> None:
    tokens = Tokens("a cat and a  catnip plant")
    assert word_columns(tokens, ["cat"]) == (1,)
    assert word_columns(tokens, ["catnip plant"]) == word_columns(tokens, ["catnip", "plant"])
    assert word_columns(Tokens("red  cat"), ["red cat"]) == word_columns(Tokens("red  cat"), ["red", "cat"])


def test_special_tokens_belong_to_no_word() -> None:
    tokens = Tokens("cat")
    assert tokens.spans == ((0, 3), (0, 0))
    assert word_columns(tokens, ["cat"]) == (0,)


def test_a_word_not_in_the_prompt() -> None:
    with pytest.raises(InputError, match="word 'hat' is not in the prompt 'a red cat', expected words of the target"):
        word_columns(Tokens("a red cat"), ["red", "hat"])


def test_an_empty_word() -> None:
    with pytest.raises(InputError, match="an empty word was given, expected words of the target prompt"):
        word_columns(Tokens("a red cat"), [" "])


def test_a_word_that_the_model_does_not_read() -> None:
    with pytest.raises(InputError, match="word 'hat' lies beyond the part of the prompt that the model reads"):
        word_columns(Tokens("a cat with a hat", limit=3), ["hat"])


def test_punctuation_in_a_word_is_no_pattern() -> None:
    assert word_columns(Tokens("a c.t"), ["c.t"]) == (1, 2, 3)
    with pytest.raises(InputError, match="is not in the prompt"):
        word_columns(Tokens("a cat"), ["c.t"])
