"""CLIP-T and CLIP-I: LittleWorld's own on pictures it must tell apart, the real code on a tiny model from disk."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.bench.metrics.outcomes import (
    PhotoCase,
    noise,
    numbers,
    outcome,
    played,
    quick,
    rich,
    right,
    scored,
    shuffled,
    single,
    untouched,
)
from tests.bench.metrics.tiny_weights import tiny_clip
from tests.support.closeness import rounding
from undrift.bench.metrics.registry import get
from undrift.errors import InputError, ModelError
from undrift.littleworld.captions import VOCABULARY
from undrift.littleworld.clip import embed_pictures, embed_texts
from undrift.littleworld.clip.loader import REPORT, WEIGHTS
from undrift.littleworld.clip.network import word_numbers

REAL = ("clip-t-vit-l14", "clip-i-vit-l14", "clip-i-vit-l14-previous")


def test_the_truth_fits_its_captions_and_other_pictures_do_not() -> None:
    mean = {shown: fmean(numbers("clip-t-littleworld", played(shown))) for shown in (right, untouched, shuffled)}
    assert mean[right] > mean[untouched] + 5 > mean[shuffled]


def test_doing_nothing_wins_clip_i_and_the_edit_costs_a_little() -> None:
    for name in ("clip-i-littleworld", "clip-i-littleworld-previous"):
        assert numbers(name, played(untouched)) == [pytest.approx(1.0)] * 32
        assert fmean(numbers(name, played(shuffled))) < fmean(numbers(name, played(right))) < 0.95


def test_littleworlds_clip_finds_the_caption_of_new_pictures() -> None:
    """64 captions of the benchmark's own sequences, which it was not trained on; its report says what it reached."""
    pairs = [(case.truth(turn), case.sequence.captions[turn]) for case in quick() for turn in range(case.turns + 1)]
    cosines = embed_pictures([picture for picture, _ in pairs]) @ embed_texts([text for _, text in pairs]).mT
    found = float((cosines.argmax(1) == torch.arange(len(pairs))).float().mean())
    assert found >= 0.95
    assert json.loads(REPORT.read_text())["retrieval_1_of_64"]["caption_of_picture"] >= 0.95
    assert json.loads(REPORT.read_text())["rich"]["retrieval_1_of_64"]["caption_of_picture"] >= 0.95


def test_littleworlds_clip_knows_every_word_of_its_captions() -> None:
    """No word of the world is an unknown one to it, and the unknown one is none of them."""
    known = len(load_file(WEIGHTS)["text.words.weight"])
    read = {number for word in VOCABULARY for number in word_numbers([word]).flatten().tolist()}
    assert read == {0, *range(2, known)}, "filling, and every word but the unknown one"


def test_littleworlds_clip_tells_patterns_poses_and_styles() -> None:
    """An edited picture is nearer to its caption than to the one before the edit: 95 % of 1280 held-out edits."""
    turns = [(case, turn) for case in rich() for turn in range(1, case.turns + 1)]
    pictures = embed_pictures([case.truth(turn) for case, turn in turns])
    told = [[case.sequence.captions[turn + back] for case, turn in turns] for back in (-1, 0)]
    before, after = ((pictures * embed_texts(captions)).sum(-1) for captions in told)
    assert (after > before).float().mean() >= 0.88, "three deviations of 80 edits below"
    assert json.loads(REPORT.read_text())["rich"]["edit_told_from_no_edit"] >= 0.94


def test_littleworlds_clip_reads_its_own_world_only() -> None:
    mixed = [single(PhotoCase(noise(0)), 1, noise(1), noise(0)), outcome(quick()[0], 1, right)]
    for name in ("clip-t-littleworld", "clip-i-littleworld"):
        assert [value is None for value in scored(name, mixed)] == [True, False]
    with pytest.raises(InputError, match="got a picture of 64x32 pixels; it reads only 128x128"):
        embed_pictures([noise(0, (64, 32))])


@pytest.mark.parametrize("name", REAL)
def test_missing_weights_are_named_with_where_to_put_them(name: str, empty: Path) -> None:
    expected = f"put openai/clip-vit-large-patch14 into {empty}/clip-vit-large-patch14, or allow its download"
    assert (get(name).missing() or "").startswith(expected)
    with pytest.raises(ModelError, match="no weights of openai/clip-vit-large-patch14 here: put"):
        numbers(name, [single(PhotoCase(noise(0)), 1, noise(1), noise(0))])


def test_a_real_clip_is_read_from_disk_and_asked_as_transformers_defines_it(empty: Path) -> None:
    folder = tiny_clip(empty / "clip-vit-large-patch14")
    case = PhotoCase(noise(0, (80, 60)))
    turn = single(case, 2, noise(1, (80, 60)), noise(2, (80, 60)))
    assert [get(name).missing() for name in REAL] == [None] * 3
    picture, original, previous = (image_vector(folder, p) for p in (turn.picture, turn.original, turn.previous))
    text = text_vector(folder, case.tasks[1].target_prompt)
    expected = [100 * max(0.0, float(text @ picture)), float(original @ picture), float(previous @ picture)]
    assert [numbers(name, [turn])[0] for name in REAL] == pytest.approx(expected, abs=rounding(1000, 100.0))


def test_a_prompt_that_is_too_long_is_cut_off(empty: Path) -> None:
    tiny_clip(empty / "clip-vit-large-patch14")
    case = PhotoCase(noise(0))
    case.tasks = (case.tasks[0].__class__("a dog", "a cat " * 60, "object"),)
    assert numbers("clip-t-vit-l14", [single(case, 1, noise(1), noise(0))])[0] >= 0


def test_a_damaged_folder_is_one_clear_line(empty: Path) -> None:
    """transformers alone would put random numbers where weights are missing, and score with them."""
    folder = tiny_clip(empty / "clip-vit-large-patch14")
    turn = single(PhotoCase(noise(0)), 1, noise(1), noise(0))
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if "layers.1.mlp" not in name}, folder / "model.safetensors"
    )
    with pytest.raises(ModelError, match=r"lacks 8 weights of a CLIPModel: fetch it again"):
        numbers("clip-t-vit-l14", [turn])
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"is no CLIPModel that transformers can read"):
        numbers("clip-t-vit-l14", [turn])


def test_the_score_is_torchmetrics_own(empty: Path) -> None:
    """torchmetrics with the model passed as a callable, which also works around its trouble with transformers 5."""
    multimodal = pytest.importorskip("torchmetrics.functional.multimodal")
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPProcessor, CLIPTokenizer

    folder = tiny_clip(empty / "clip-vit-large-patch14")
    turn = single(PhotoCase(noise(0, (64, 64))), 1, noise(1, (64, 64)), noise(0, (64, 64)))
    model = CLIPModel.from_pretrained(folder).requires_grad_(False)
    for kind in ("get_image_features", "get_text_features"):
        setattr(model, kind, unwrapped(getattr(model, kind)))
    processor = CLIPProcessor(CLIPImageProcessorPil.from_pretrained(folder), CLIPTokenizer.from_pretrained(folder))
    pixels = torch.tensor(list(turn.picture.tobytes()), dtype=torch.uint8).view(64, 64, 3).permute(2, 0, 1)
    prompt = turn.record.target_prompt
    expected = multimodal.clip_score(pixels, prompt, model_name_or_path=lambda: (model, processor))
    assert numbers("clip-t-vit-l14", [turn])[0] == pytest.approx(float(expected), abs=rounding(1000, 100.0))


def unwrapped(method: Any) -> Any:
    return lambda *args, **kwargs: method(*args, **kwargs).pooler_output


def image_vector(folder: Path, picture: Image.Image) -> torch.Tensor:
    from transformers import CLIPImageProcessorPil, CLIPModel

    shown = CLIPImageProcessorPil.from_pretrained(folder)(images=[picture], return_tensors="pt")
    with torch.inference_mode():
        vector: torch.Tensor = CLIPModel.from_pretrained(folder).get_image_features(**shown).pooler_output[0]
    unit: torch.Tensor = vector / vector.norm()
    return unit


def text_vector(folder: Path, text: str) -> torch.Tensor:
    from transformers import CLIPModel, CLIPTokenizer

    tokens = CLIPTokenizer.from_pretrained(folder)([text], return_tensors="pt")
    with torch.inference_mode():
        vector: torch.Tensor = CLIPModel.from_pretrained(folder).get_text_features(**tokens).pooler_output[0]
    unit: torch.Tensor = vector / vector.norm()
    return unit
