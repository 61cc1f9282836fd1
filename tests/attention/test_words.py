from __future__ import annotations

import re
from dataclasses import dataclass
from unicodedata import normalize

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from undrift.attention.segments import Folded
from undrift.attention.words import changed_columns, changed_words, differences, word_changes, word_columns
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


@dataclass(frozen=True)
class Letters:
    """A token for each character."""

    prompt: str

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        return tuple((place, place + 1) for place in range(len(self.prompt)))


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
        ("a caf\u00e9", "a cafe\u0301", ()),
        ("a caf\u00e9", "a cafe\u0301 by night", ("by", "night")),
        ("a cafe by night", "a cafe\u0301 by night", ("cafe\u0301",)),
        ("it's a cat", "it\u2019s a cat", ()),
        ("एक बिल्ली घास पर", "एक कुत्ता घास पर", ("कुत्ता",)),
        ("लाल किताब", "लाल कीताब", ("कीताब",)),
        ("แมวสีดำ", "แมวสีขาว", ("ขาว",)),
        ("แมว", "หมา", ("หมา",)),
        ("ฉันเห็นแมวบนโซฟา", "ฉันเห็นหมาบนโซฟา", ("หมา",)),
        ("แมวบนโซฟา", "แมวใส่หมวกบนโซฟา", ("ใส่หมวก",)),
        ("一只猫在草地上", "一只狗在草地上", ("狗",)),
        ("黑猫在白沙发上", "白猫在黑沙发上", ("白", "黑")),
        ("ネコ", "イヌ", ("イヌ",)),
        ("한국 고양이", "한국 강아지", ("강아지",)),
        ("כלב", "כֶּלֶב", ("כֶּלֶב",)),
        ("a us flag", "a US flag", ("US",)),
        ("A cat", "a cat", ()),
        ("polish sausage", "Polish sausage", ("Polish",)),
        ("polish sausage", "Polish bread", ("bread",)),
        ("a strasse", "a straße", ("straße",)),
        ("a smile \U0001f600", "a smile \U0001f621", ("\U0001f621",)),
        ("a cat", "a cat \U0001f3a9", ("\U0001f3a9",)),
        ("\U0001f469\u200d\U0001f3a8", "\U0001f469\u200d\U0001f680", ("\U0001f469\u200d\U0001f680",)),
        ("flag \U0001f1e9\U0001f1ea", "flag \U0001f1eb\U0001f1f7", ("\U0001f1eb\U0001f1f7",)),
        ("a 5 \u20ac note", "a 5 $ note", ("$",)),
        ("50 off", "50% off", ("%",)),
        ("a cat & a dog", "a cat and a dog", ("and",)),
        ("a cat? a dog! \u201cyes\u201d\u2026", "a cat, a dog: yes", ()),
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


@pytest.mark.parametrize(
    ("prompt", "word", "found"),
    [
        ("a cafe\u0301 by night", "CAF\u00c9", "cafe\u0301"),
        ("a caf\u00e9 by night", "cafe\u0301", "caf\u00e9"),
        ("a straße", "STRASSE", "straße"),
        ("एक बिल्ली", "बिल्ली", "बिल्ली"),
        ("แมวสีขาว", "ขาว", "ขาว"),
        ("白猫在沙发上", "猫", "猫"),
        ("a \U0001f3a9 hat", "\U0001f3a9", "\U0001f3a9"),
        ("a hat & a coat", "hat &  a", "hat & a"),
        ("a \u2764\ufe0f", "\u2764", "\u2764\ufe0f"),
    ],
)
def test_words_are_found_however_they_are_written(prompt: str, word: str, found: str) -> None:
    (span,) = Folded(prompt).occurrences(word)
    assert prompt[slice(*span)] == found
    assert word_columns(Letters(prompt), [word]) == tuple(range(*span))


@pytest.mark.parametrize(
    ("prompt", "word"),
    [
        ("a cafe\u0301", "cafe"),
        ("बिल्लीघर", "बिल्ली"),
        ("ข้าว", "ขาว"),
        ("น้ำ", "น"),
        ("\U0001f469\u200d\U0001f3a8", "\U0001f469"),
    ],
)
def test_a_part_of_a_letter_or_of_a_word_is_no_word(prompt: str, word: str) -> None:
    assert list(Folded(prompt).occurrences(word)) == []


texts = st.text(st.sampled_from("aAé\u0301 ßक़ािब्แมข้า猫犬ー😀\u200d🏽&,.'-İ"), max_size=12)


@given(texts, texts)
def test_any_two_texts(source: str, target: str) -> None:
    """Runs are both prompts in order; normal forms change nothing; spans are whole graphemes."""
    changes = list(word_changes(source, target))
    olds = [span for old, _, _ in changes for span in old]
    news = [span for _, new, _ in changes for span in new]
    for prompt, spans in ((source, olds), (target, news)):
        assert spans == sorted(spans)
        cut = {place for found in regex.finditer(r"\X", prompt) for place in found.span()}
        assert all(place in cut for span in spans for place in span)
    for form in ("NFC", "NFD"):
        again = changed_words(normalize(form, source), target)
        assert [normalize("NFC", word) for word in again] == [
            normalize("NFC", word) for word in changed_words(source, target)
        ]
    assert changed_words(source, normalize("NFD", source)) == ()


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


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("a " * 400 + "red cat", "a " * 400 + "blue cat"),
        ("a b " * 400, "a b " * 200 + "c " + "a b " * 200),
        ("a " * 400, "a " * 401),
        ("a b " * 200, "b a " * 200),
        ("a " * 400, ""),
        ("x " * 400, "y " * 400),
        ("a " * 400, "a " * 400),
    ],
)
def test_texts_that_are_too_long_to_compare_word_by_word(source: str, target: str) -> None:
    """They are compared from both ends; what is told is still what makes the one of the other."""
    old, new = source.split(), target.split()
    runs = list(differences(old, new))
    assert [word for _, here, _ in runs for word in old[here.start : here.stop]] == old
    assert [word for _, _, there in runs for word in new[there.start : there.stop]] == new
    for tag, here, there in runs:
        assert (old[here.start : here.stop] == new[there.start : there.stop]) == (tag == "equal")
        assert (tag == "delete", tag == "insert") == (not there, not here)
    assert sum(tag != "equal" for tag, _, _ in runs) <= 1
    if (source, target) == ("a " * 400 + "red cat", "a " * 400 + "blue cat"):
        assert runs[1] == ("replace", range(400, 401), range(400, 401))
