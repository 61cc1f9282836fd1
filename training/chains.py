"""Chains of edits with known answers, run and scored: what `tune` searches with and `report` states."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image

from undrift.backbones import Backbone
from undrift.backbones.base import Latent
from undrift.littleworld.render import SIZE
from undrift.littleworld.scoring import TurnScore, score_turn
from undrift.littleworld.sequences import EditSequence, sample_sequence
from undrift.methods.base import EditMethod, EditRequest, EditResult


def sequences(first_seed: int, count: int, turns: int = 5) -> list[EditSequence]:
    """The sequences of the seeds from ``first_seed`` on."""
    return [sample_sequence(random.Random(first_seed + i), turns) for i in range(count)]


def scores(
    backbone: Backbone, editor: EditMethod, chain: Sequence[EditSequence], turns: int, size: int = SIZE
) -> Iterator[TurnScore]:
    """The scores of all sequences at turn 1, then at turn 2, and so on; all sequences are one batch."""
    for turn, images in enumerate(edited(backbone, editor, chain, turns, size), start=1):
        yield from (score_turn(s, turn, image) for s, image in zip(chain, images, strict=True))


def edited(
    backbone: Backbone, editor: EditMethod, chain: Sequence[EditSequence], turns: int, size: int = SIZE
) -> Iterator[list[Image.Image]]:
    """The pictures of all sequences after turn 1, then after turn 2, and so on, (size, size) each."""
    images = [s.picture(0, size) for s in chain]
    original = previous = backbone.encode(images)
    for turn in range(1, turns + 1):
        result: EditResult = editor.edit(backbone, _request(chain, original, previous, images, turn))
        previous = result.latent
        images = list(result.images or backbone.decode(previous))
        yield images


def _request(
    chain: Sequence[EditSequence], original: Latent, previous: Latent, images: Sequence[Any], turn: int
) -> EditRequest:
    return EditRequest(
        original=original,
        previous=previous,
        turn=turn,
        source_prompts=[s.captions[turn - 1] for s in chain],
        target_prompts=[s.captions[turn] for s in chain],
        words=[None] * len(chain),
        seeds=range(len(chain)),
        original_prompts=[s.captions[0] for s in chain],
        previous_images=images,
    )
