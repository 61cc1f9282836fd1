from __future__ import annotations

import hashlib
import itertools
import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from undrift.littleworld.captions import VOCABULARY, caption
from undrift.littleworld.scenes import (
    BACKGROUNDS,
    COLOURS,
    COMPANIONS,
    PATTERNS,
    POSES,
    STYLES,
    SUBJECTS,
    WEARABLES,
    WEARERS,
    Placement,
    Scene,
    Thing,
    sample_rich_scene,
    sample_scene,
)

PLACE = Placement(84, 112, 0.975, "left", 24, 116)


def scene(subject: Thing, wearable: Thing | None = None, companion: Thing | None = None) -> Scene:
    return Scene("meadow", subject, wearable, companion, PLACE)


def every_structure() -> list[Scene]:
    """Every combination of kinds and backgrounds; colours follow the position so that each occurs in each place."""
    combinations = []
    colours = itertools.cycle(itertools.product(COLOURS, repeat=3))
    for background, kind, companion in itertools.product(BACKGROUNDS, SUBJECTS, (None, *COMPANIONS)):
        for wearable in (None, *WEARABLES) if kind in WEARERS else (None,):
            first, second, third = next(colours)
            worn = Thing(wearable, second) if wearable else None
            beside = Thing(companion, third) if companion else None
            combinations.append(Scene(background, Thing(kind, first), worn, beside, PLACE))
    return combinations


def every_manner() -> list[Scene]:
    """Every combination of pattern, pose and style, of a subject with and without things around it."""
    bare = [Thing("cat", "orange"), Thing("bird", "red")]
    full = [scene(subject, Thing("crown", "blue"), Thing("gift", "white")) for subject in bare]
    manners = itertools.product(PATTERNS, POSES, STYLES)
    return [
        replace(one, pattern=pattern, pose=pose, style=style)
        for pattern, pose, style in manners
        for one in [*(scene(subject) for subject in bare), *full]
    ]


def test_examples() -> None:
    full = scene(Thing("cat", "red"), Thing("hat", "blue"), Thing("flower", "yellow"))
    assert caption(full) == "a red cat wearing a blue hat next to a yellow flower in a meadow"
    worn = scene(Thing("robot", "orange"), Thing("glasses", "orange"))
    assert caption(worn) == "an orange robot wearing orange glasses in a meadow"
    drawing = replace(full, pattern="striped", pose="sitting", style="pencil")
    said = "a pencil drawing of a striped red cat sitting wearing a blue hat next to a yellow flower in a meadow"
    assert caption(drawing) == said
    assert caption(replace(worn, pattern="dotted", style="neon")) == (
        "a neon picture of a dotted orange robot wearing orange glasses in a meadow"
    )


def test_captions_and_attributes_tell_the_same() -> None:
    """Injective both ways: as many captions as attribute sets, and each caption belongs to one attribute set."""
    by_caption: dict[str, dict[str, str]] = {}
    captions_of: dict[tuple[str, ...], str] = {}
    sampled = [sample(random.Random(seed)) for seed in range(4000) for sample in (sample_scene, sample_rich_scene)]
    for one in [*every_structure(), *every_manner(), *sampled]:
        sentence, attributes = caption(one), one.attributes()
        assert by_caption.setdefault(sentence, attributes) == attributes
        assert captions_of.setdefault(tuple(attributes.values()), sentence) == sentence


def test_the_vocabulary_is_exactly_the_words_that_occur() -> None:
    used = {word for one in [*every_structure(), *every_manner()] for word in caption(one).split()}
    assert used == set(VOCABULARY)
    assert len(VOCABULARY) == len(set(VOCABULARY))


@given(st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_captions_are_short_plain_words(seed: int) -> None:
    words = caption(sample_scene(random.Random(seed))).split(" ")
    assert len(words) <= 15
    assert all(word.isalpha() and word.islower() for word in words)


def test_the_longest_caption_has_21_words() -> None:
    assert max(len(caption(one).split()) for one in every_manner()) == 21


def test_old_words_keep_their_numbers() -> None:
    """Trained models number words by their place: the first 42 are those of the first world."""
    digest = hashlib.sha256(" ".join(VOCABULARY[:42]).encode()).hexdigest()
    assert digest == "36b0005ac3322bc119085135a4ca0416c752b7bec670b97f5225aa865010f547"
