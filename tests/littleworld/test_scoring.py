"""Scores of pictures whose right score is known."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from undrift.errors import InputError
from undrift.littleworld.scoring import mean_score, score_turn
from undrift.littleworld.sequences import EditSequence, sample_rich_sequence, sample_sequence


@pytest.fixture(scope="module")
def sequences() -> list[EditSequence]:
    return [sample_sequence(random.Random(seed), 5) for seed in range(12)]


def test_the_right_picture_is_perfect(sequences: list[EditSequence]) -> None:
    scores = [score_turn(s, turn, s.picture(turn)) for s in sequences for turn in (1, 3, 5)]
    assert all(score.edit == 1.0 and score.outside == 99.0 for score in scores)
    assert mean_score(scores).asked >= 0.97
    assert mean_score(scores).kept >= 0.99


def test_a_larger_picture_is_scored_by_its_own_truth(sequences: list[EditSequence]) -> None:
    scores = [score_turn(s, turn, s.picture(turn, 256)) for s in sequences for turn in (1, 5)]
    assert all(score.edit == 1.0 and score.outside == 99.0 for score in scores)
    assert mean_score(scores).asked >= 0.95, "of what the judge sees of it"
    assert mean_score(scores).kept >= 0.98


def test_a_picture_that_is_not_square_is_refused(sequences: list[EditSequence]) -> None:
    with pytest.raises(InputError, match=r"128 x 64 pixels; LittleWorld's are square"):
        score_turn(sequences[0], 1, Image.new("RGB", (128, 64)))


def test_doing_nothing_keeps_everything_and_edits_nothing(sequences: list[EditSequence]) -> None:
    scores = [score_turn(s, 1, s.picture(0)) for s in sequences]
    assert all(score.edit == 0.0 and score.outside == 99.0 for score in scores)
    assert mean_score(scores).asked <= 0.2
    assert mean_score(scores).kept >= 0.98


def test_halfway_is_half_an_edit(sequences: list[EditSequence]) -> None:
    before, truth = sequences[0].picture(0), sequences[0].picture(1)
    halfway = score_turn(sequences[0], 1, Image.blend(before, truth, 0.5))
    assert halfway.edit == pytest.approx(0.5, abs=0.01)  # 8-bit rounding


def test_damage_outside_the_mask_is_seen_there_only(sequences: list[EditSequence]) -> None:
    pixels = np.asarray(sequences[0].picture(1)).astype(int)
    outside = ~sequences[0].mask(1)
    pixels[outside] = np.where(pixels[outside] > 127, pixels[outside] - 10, pixels[outside] + 10)
    score = score_turn(sequences[0], 1, Image.fromarray(pixels.astype(np.uint8)))
    assert score.edit == 1.0
    assert score.outside == pytest.approx(10 * np.log10(255**2 / 100))


def test_another_style_leaves_nothing_outside_that_could_be_kept() -> None:
    sequence = sample_rich_sequence(random.Random(0), 8)
    scores = [score_turn(sequence, turn, sequence.picture(turn)) for turn in range(1, sequence.turns + 1)]
    styles = [edit.type == "style" for edit in sequence.edits]
    assert [np.isnan(score.outside) for score in scores] == styles
    assert any(styles)
    assert mean_score(scores).outside == 99.0, "of the others alone"
    style = scores[styles.index(True)]
    assert np.isnan(mean_score([style]).outside)
    assert (style.edit, mean_score([style]).edit) == (1.0, 1.0)


def test_another_picture_is_near_chance(sequences: list[EditSequence]) -> None:
    shuffled = [score_turn(s, 1, other.picture(1)) for s, other in zip(sequences, sequences[1:], strict=False)]
    assert mean_score(shuffled).edit < 0.3
    assert mean_score(shuffled).kept < 0.6
