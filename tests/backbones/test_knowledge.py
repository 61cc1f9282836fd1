"""What a model does not know is asked of what it declares, not of its name."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from undrift.backbones.base import Capabilities
from undrift.backbones.knowledge import is_foreign, too_large, unknown_note, unknown_words
from undrift.backbones.locate import locate
from undrift.littleworld import nearest
from undrift.littleworld.captions import VOCABULARY, caption
from undrift.littleworld.render import render
from undrift.littleworld.scenes import sample_scene

DRAWN, OPEN = Capabilities(vocabulary=VOCABULARY), Capabilities()
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8))


def test_the_embedded_model_declares_its_words() -> None:
    assert locate("littleworld").extra["vocabulary"] == VOCABULARY


def test_captions_have_no_unknown_words() -> None:
    rng = random.Random(0)
    assert {unknown_words(DRAWN, caption(sample_scene(rng))) for _ in range(200)} == {()}


@pytest.mark.parametrize(("capabilities", "words"), [(DRAWN, ("zebra", "sofa")), (OPEN, ())])
def test_unknown_words_are_named_once_in_order(capabilities: Capabilities, words: tuple[str, ...]) -> None:
    assert unknown_words(capabilities, "A Red zebra, on a sofa: zebra!") == words


@pytest.mark.parametrize(
    ("prompt", "note"),
    [
        ("a red cat wearing a gray hat in a meadow", "gray (nearest: white)"),
        ("a red cat in a dark forest, with a zebra", "dark (nearest: night), forest (nearest: meadow), with, zebra"),
        ("a red cat in a meadow", None),
    ],
)
def test_a_note_says_what_cannot_be_drawn_and_what_comes_nearest(prompt: str, note: str | None) -> None:
    assert unknown_note(DRAWN, prompt) == (f"the model does not know the words: {note}" if note else "")
    assert unknown_note(OPEN, prompt) == ""


def test_what_comes_nearest_is_known_itself_and_no_known_word_is_sent_elsewhere() -> None:
    listed = set(nearest._NEAREST)
    assert set(nearest._NEAREST.values()) <= set(VOCABULARY)
    assert not listed & set(VOCABULARY)
    assert len(listed) == sum(len(words.split()) for words in nearest._AKIN.values())


def test_only_a_model_of_drawings_finds_photos_foreign() -> None:
    drawing = render(sample_scene(random.Random(1)))
    assert [is_foreign(DRAWN, NOISE), is_foreign(DRAWN, drawing), is_foreign(OPEN, NOISE)] == [True, False, False]


@pytest.mark.parametrize(
    ("capabilities", "size", "times"),
    [(DRAWN, (4000, 300), 73), (DRAWN, (257, 256), 4), (DRAWN, (256, 256), None), (OPEN, (4000, 300), None)],
)
def test_a_model_of_drawings_finds_large_pictures_too_large(
    capabilities: Capabilities, size: tuple[int, int], times: int | None
) -> None:
    said = too_large(capabilities, Image.new("RGB", size))
    if times is None:
        assert said is None
    else:
        assert f"one turn on {size[0]}x{size[1]} takes more than {times} times as long" in str(said)
