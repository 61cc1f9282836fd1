"""Regions, restores and the dial with the embedded model, on pictures whose right answer is known."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from undrift.backbones import Backbone, load
from undrift.littleworld.scoring import score_turn
from undrift.littleworld.sequences import EditSequence, sample_sequence
from undrift.methods.base import EditRequest
from undrift.methods.dial import turned
from undrift.methods.registry import get
from undrift.session.engine import EditPlan, restore, run_turn, start_session
from undrift.session.replay import replay

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def littleworld() -> Backbone:
    return load("littleworld", device="cpu")


def sequences(count: int, turns: int) -> list[EditSequence]:
    return [sample_sequence(random.Random(70_000_500 + i), turns) for i in range(count)]


def test_a_turn_in_its_true_region_is_replayed_to_the_byte(littleworld: Backbone, tmp_path: Path) -> None:
    (sequence,) = sequences(1, 2)
    session = start_session(tmp_path / "a", sequence.picture(0), sequence.captions[0], littleworld)
    region = Image.fromarray(np.where(sequence.mask(1), 255, 0).astype(np.uint8))
    method = get("multi_turn", tuned=littleworld.tuned)
    plan = EditPlan(sequence.captions[1], seed=1, region=region)
    turn = run_turn(session, littleworld, method, plan)
    before, after = (np.asarray(session.picture(t)) for t in (session.original, turn))
    assert np.array_equal(after[~sequence.mask(1)], before[~sequence.mask(1)])
    assert score_turn(sequence, 1, session.picture(turn)).outside > 40
    restore(session, littleworld, region)
    run_turn(session, littleworld, method, EditPlan(sequence.captions[2], seed=2))
    again = replay(session, tmp_path / "b", littleworld)
    for old, new in zip(session.turns(), again.turns(), strict=True):
        assert old.id == new.id
        assert all(session.contents(old, name) == again.contents(new, name) for name in old.files)


def test_the_dial_trades_obeying_for_preserving(littleworld: Backbone) -> None:
    """What is asked happens less and less, what was there stays more and more."""
    made = sequences(6, 1)
    before = [sequence.picture(0) for sequence in made]
    latent = littleworld.encode(before)
    request = EditRequest(
        original=latent,
        previous=latent,
        turn=1,
        source_prompts=[sequence.captions[0] for sequence in made],
        target_prompts=[sequence.captions[1] for sequence in made],
        words=[None] * len(made),
        seeds=range(len(made)),
    )
    changes, edits = [], []
    for value in (-1.0, 0.0, 1.0):
        method = turned(get("multi_turn", tuned=littleworld.tuned), value)
        pictures = littleworld.decode(method.edit(littleworld, request).latent)
        difference = [
            np.abs(np.asarray(a, float) - np.asarray(b, float)).mean() for a, b in zip(before, pictures, strict=True)
        ]
        changes.append(np.array(difference))
        edits.append(float(np.mean([score_turn(s, 1, p).asked for s, p in zip(made, pictures, strict=True)])))
    assert (changes[0] > 0.98 * changes[1]).all()  # what is asked has happened at the middle already: nearly level
    assert (changes[1] > changes[2]).all()
    assert edits[0] >= edits[1] > edits[2]
