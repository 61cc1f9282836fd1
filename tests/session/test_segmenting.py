"""Clicks answered by Segment Anything: a tiny random one, against transformers' own processor and model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import SamConfig, SamImageProcessorPil, SamModel, SamProcessor

from tests.support.toy import toy_picture
from undrift.errors import InputError, ModelError
from undrift.session.segmenting import Segmenter

SIDE = 64
POINT = (31.0, 9.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    vision: dict[str, Any] = {
        "hidden_size": 16,
        "output_channels": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    vision |= {"image_size": SIDE, "patch_size": 8, "mlp_dim": 32, "global_attn_indexes": [0], "window_size": 4}
    prompts = {"hidden_size": 32, "image_size": SIDE, "patch_size": 8}
    decoder = {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
    config = SamConfig(
        vision_config={**vision, "num_pos_feats": 16}, prompt_encoder_config=prompts, mask_decoder_config=decoder
    )
    path = tmp_path_factory.mktemp("sam")
    SamModel(config).save_pretrained(path)
    SamImageProcessorPil(size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE}).save_pretrained(path)
    return path


def test_a_click_gets_what_transformers_answers(folder: Path) -> None:
    model, processor = (
        SamModel.from_pretrained(folder).eval(),
        SamProcessor(SamImageProcessorPil.from_pretrained(folder)),
    )
    given = processor(images=toy_picture(), input_points=[[list(POINT)]], return_tensors="pt")
    with torch.no_grad():
        found = model(**given)
    sizes = given["original_sizes"], given["reshaped_input_sizes"]
    masks = processor.image_processor.post_process_masks(found.pred_masks, *sizes)[0][0].numpy()
    seen = Segmenter(folder).see(toy_picture())
    assert (seen.thing_at(POINT) == masks[int(found.iou_scores.argmax())]).all()
    areas = masks.sum(axis=(1, 2))
    assert len(set(areas.tolist())) > 1
    assert (seen.thing_at(POINT, 0.1) == masks[areas.argmin()]).all()
    assert (seen.thing_at(POINT, 0.9) == masks[areas.argmax()]).all()
    assert seen.thing_at(POINT).shape == (32, 40)
    assert seen.thing_at(POINT).dtype == np.bool_


def test_a_point_beside_the_picture_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="the point 40,3 is not in the picture of 40x32 pixels"):
        Segmenter(folder).see(toy_picture()).thing_at((40, 3))


def unpacked(path: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_file(path / "model.safetensors")
    return tensors


def halve(path: Path) -> None:
    data = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(data[: len(data) // 2])


def drop_weights(path: Path) -> None:
    tensors = {name: one for name, one in unpacked(path).items() if not name.startswith("mask_decoder")}
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})


def narrow_weights(path: Path) -> None:
    tensors = {name: one[:1].contiguous() for name, one in unpacked(path).items()}
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})


def configure(**changed: object) -> Callable[[Path], object]:
    def run(path: Path) -> None:
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps(config | changed))

    return run


def without(name: str) -> Callable[[Path], object]:
    return lambda path: (path / name).unlink()


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (without("config.json"), r"has no readable config\.json"),
        (without("preprocessor_config.json"), r"has no readable preprocessor_config\.json"),
        (
            lambda path: (path / "preprocessor_config.json").write_text("[1]"),
            r"no readable preprocessor_config\.json",
        ),
        (without("model.safetensors"), "cannot be loaded: "),
        (halve, "cannot be loaded: "),
        (drop_weights, r"lacks \d+ of its weights: fetch it again"),
        (narrow_weights, "cannot be loaded: "),
        (configure(vision_config=3), "cannot be loaded: "),
        (configure(model_type="clip"), "holds a model of the type 'clip': expected 'sam'"),
        (configure(model_type="sam2"), "holds a model of the type 'sam2', which transformers reads with torchvision"),
    ],
)
def test_what_is_no_whole_sam_is_one_line(
    folder: Path, tmp_path: Path, harm: Callable[[Path], object], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "sam"
    shutil.copytree(folder, copied)
    harm(copied)
    with pytest.raises(ModelError, match=told) as refused:
        Segmenter(copied)
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")
