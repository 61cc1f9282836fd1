"""The embedded Stable Diffusion: an ordinary folder, and pictures that show what captions say."""

from __future__ import annotations

import json

import pytest

from training import data
from training.unet_save import samples, shares
from undrift.backbones import load
from undrift.backbones.sd1 import StableDiffusionBackbone
from undrift.littleworld.captions import VOCABULARY
from undrift.littleworld.weights import model_path

FOLDER = model_path("littleworld-sd")


def test_the_folder_is_small_and_names_no_place_of_the_machine_that_made_it() -> None:
    files = [file for file in FOLDER.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 16 * 2**20
    for file in FOLDER.rglob("*.json"):
        assert "_name_or_path" not in json.loads(file.read_text(encoding="utf-8"))
    assert json.loads((FOLDER / "model_index.json").read_text())["_class_name"] == "StableDiffusionPipeline"


def test_it_knows_the_words_of_its_world_and_guides_by_two_evaluations() -> None:
    backbone = load("littleworld-sd", device="cpu")
    assert backbone.capabilities.vocabulary == VOCABULARY
    assert backbone.capabilities.guidance == "two_evaluations"
    assert backbone.identity.name == "littleworld-sd"


@pytest.mark.slow
def test_nine_of_ten_subjects_are_those_of_the_caption() -> None:
    backbone = load("littleworld-sd", device="cpu")
    assert isinstance(backbone, StableDiffusionBackbone)
    captions = [data.text(data.HELD_OUT + index) for index in range(32)]
    assert shares(samples(backbone, captions, guidance=5.0, steps=20), data.HELD_OUT)["subject"] >= 0.9
