"""The training of the small CLIP: its loss in closed form, its batches, and that it goes on where it stopped."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tests.support.closeness import rounding
from training import clip
from undrift.littleworld.clip.network import LittleClip, word_numbers


def test_the_loss_of_chance_and_of_certainty() -> None:
    unit = torch.eye(4)
    captions = ["a", "b", "c", "d"]
    same = torch.ones(4, 4) / 2
    assert clip.contrastive_loss(same, same, captions, torch.tensor(10.0)).item() == pytest.approx(math.log(4))
    certain = clip.contrastive_loss(unit, unit, captions, torch.tensor(50.0)).item()
    assert certain == pytest.approx(0.0, abs=rounding(5))


def test_equal_captions_are_no_wrong_answers() -> None:
    """Two pictures of one caption: half the weight on each, so that log 2 is the best that can be reached."""
    unit = torch.eye(3)[[0, 0, 1]]
    assert clip.contrastive_loss(unit, unit, ["a", "a", "b"], torch.tensor(50.0)).item() == pytest.approx(
        2 / 3 * math.log(2), abs=rounding(5)
    )


def test_a_batch_is_pictures_beside_their_captions() -> None:
    drawn = clip.sequences(7, count=2, edits=3)
    assert clip.shown(drawn).shape == (8, 3, 128, 128)
    assert clip.told(drawn) == [*drawn[0].captions, *drawn[1].captions]


def test_a_batch_is_half_of_the_plain_world_and_half_of_the_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def noted(pictures: torch.Tensor, texts: torch.Tensor, captions: list[str], scale: torch.Tensor) -> torch.Tensor:
        read.extend(captions)
        return torch.zeros(())

    monkeypatch.setattr(clip, "contrastive_loss", noted)
    monkeypatch.setattr(clip, "_SEQUENCES", 4)
    clip.ClipTrainer(LittleClip()).loss()
    plain, rich = clip.sequences(0, count=2), clip.rich_sequences(2, count=2)
    assert read == clip.told(plain) + clip.told(rich)
    assert {edit.type for sequence in rich for edit in sequence.edits} & {"material", "pose", "style"}


@pytest.mark.slow
def test_training_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip.ClipTrainer, "state", tmp_path / "clip.pt")
    monkeypatch.setattr(clip, "_SEQUENCES", 4)
    trainer = clip.started()
    trainer.advance()
    trainer.save()
    resumed = clip.started()
    assert resumed.step == 1
    assert resumed.advance() == trainer.advance()


def test_unknown_words_and_empty_prompts_are_read() -> None:
    numbers = word_numbers(["a red cat", "A Red, cat!", "a zebra", ""])
    assert numbers[0].tolist() == numbers[1].tolist()
    assert numbers[2, 1] == 1
    assert torch.isfinite(LittleClip().texts(["", "a zebra", "cat " * 50])).all()
