"""PIE-Bench's metrics: how compat and corrected differ is known; the networks are tiny, read in the real formats."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.bench.metrics.outcomes import PhotoCase, noise, numbers, scored, single
from tests.bench.metrics.tiny_weights import squeezenet, tiny_clip, tiny_dino
from tests.support.closeness import rounding
from undrift.bench.case import Mask
from undrift.bench.metrics.lpips import SqueezeNet
from undrift.bench.metrics.pixels import pixels
from undrift.bench.metrics.registry import all_metrics, get
from undrift.bench.metrics.similarity import mirrored, ssim_map
from undrift.bench.metrics.structure import prepared
from undrift.errors import ModelError

MASKED = ("pie-psnr", "pie-mse", "pie-ssim", "pie-lpips-squeeze")
BY_PIXELS = MASKED[:3]


def left(share: float, size: int = 128) -> Mask:
    mask = np.zeros((size, size), dtype=bool)
    mask[:, : int(share * size)] = True
    return mask


def brighter(picture: Image.Image, by: int) -> Image.Image:
    return picture.point(lambda value: value + by)


def dim(seed: int, size: int = 128) -> Image.Image:
    return noise(seed, (size, size)).point(lambda value: 20 + value // 2)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_compat_dilutes_the_error_by_the_backgrounds_share(share: float) -> None:
    turn = single(PhotoCase(dim(0), left(share)), 1, brighter(dim(0), 20), dim(0))
    error, background = (20 / 255) ** 2, 1 - share
    assert numbers("pie-mse", [turn]) == [pytest.approx(1e4 * error)]
    assert numbers("pie-mse-compat", [turn]) == [pytest.approx(1e4 * error * background)]
    assert numbers("pie-psnr", [turn]) == [pytest.approx(-10 * math.log10(error))]
    assert numbers("pie-psnr-compat", [turn]) == [pytest.approx(-10 * math.log10(error * background))]


def test_ssim_of_two_constants_in_closed_form() -> None:
    a, b = (np.full((20, 30, 3), 255.0 * value) for value in (0.4, 0.6))
    expected = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    assert ssim_map(a, b) == pytest.approx(np.full((10, 20), expected))


def test_ssim_is_torchmetrics_own() -> None:
    image = pytest.importorskip("torchmetrics.functional.image")
    a, b = dim(0), dim(1)
    tensors = [torch.from_numpy(pixels(p) / 255).permute(2, 0, 1)[None] for p in (a, b)]
    expected = float(image.structural_similarity_index_measure(*tensors, data_range=1.0))
    ours = float(ssim_map(*(mirrored(pixels(p)) for p in (a, b))).mean())
    assert ours == pytest.approx(expected, abs=rounding(11 * 11))  # windows of 11 x 11


def test_ssim_counts_black_windows_as_right_in_compat_only() -> None:
    """Constant pictures: beyond the 5 pixels at the border, every window is either all mask or all background."""
    case = PhotoCase(Image.new("RGB", (128, 128), (102, 102, 102)), left(0.5))
    turn = single(case, 1, Image.new("RGB", (128, 128), (153, 153, 153)), case.original())
    outside = 100 * (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    assert numbers("pie-ssim", [turn]) == [pytest.approx(outside)]
    black, clear, mixed = 59 / 128, 59 / 128, 10 / 128
    low, high = (100 * black + outside * clear + at * mixed for at in (outside - 30, 100))
    assert low < numbers("pie-ssim-compat", [turn])[0] < high


@pytest.mark.parametrize("name", [*BY_PIXELS, *(f"{name}-compat" for name in BY_PIXELS)])
def test_nothing_inside_the_mask_counts(name: str) -> None:
    values = np.asarray(dim(0)).copy()
    values[:, :64] = 255 - values[:, :64]
    turn = single(PhotoCase(dim(0), left(0.5)), 1, Image.fromarray(values), dim(0))
    assert numbers(name, [turn]) == [{"dB": 99.0, "10⁻⁴": 0.0, "10⁻²": pytest.approx(100.0)}[get(name).unit]]


@pytest.mark.parametrize("name", [*MASKED, *(f"{name}-compat" for name in MASKED)])
def test_without_a_background_there_is_no_number(name: str, empty: Path) -> None:
    full, unknown = PhotoCase(dim(0), left(1.0)), PhotoCase(dim(0))
    assert scored(name, [single(case, 1, dim(1), dim(0)) for case in (full, unknown)]) == [None, None]


def test_the_squeezenet_is_the_published_one() -> None:
    network = SqueezeNet()
    assert sum(p.numel() for p in network.parameters()) == 1_235_496 - 513_000  # torchvision's, less the classifier
    shapes = [tuple(stage.shape[1:]) for stage in network(torch.zeros(1, 3, 224, 224))]
    assert shapes == [
        (64, 111, 111),
        (128, 55, 55),
        (256, 27, 27),
        (384, 13, 13),
        (384, 13, 13),
        *[(512, 13, 13)] * 2,
    ]
    assert {"features.0.weight", "features.3.expand1x1.bias", "features.12.squeeze.weight"} <= set(
        network.state_dict()
    )


def test_lpips_is_torchmetrics_own(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their code, heads and scaling, over the same backbone."""
    module: Any = pytest.importorskip("torchmetrics.functional.image.lpips")
    state = torch.load(squeezenet(empty / "squeezenet1_1-b8a52dc0.pth"), weights_only=True)
    backbone = SqueezeNet()
    backbone.load_state_dict({name: value for name, value in state.items() if name.startswith("features")})
    monkeypatch.setattr(module, "_get_tv_model_features", lambda *args: backbone.features)
    network = module._NoTrainLpips(net="squeeze", pnet_rand=True)
    turn = single(PhotoCase(dim(0), left(0.5)), 1, dim(1), dim(0))
    black = [
        torch.from_numpy(pixels(p) * ~left(0.5)[..., None] / 255).permute(2, 0, 1)[None].float()
        for p in (dim(1), dim(0))
    ]
    expected = float(network(*black, normalize=True))
    assert expected > 0
    operations = 8 * (512 + 9 * 64)  # eight blocks: squeezed from at most 512 channels, widened by 3 x 3 over 64
    assert numbers("pie-lpips-squeeze-compat", [turn]) == [pytest.approx(1000 * expected, rel=rounding(operations))]


def test_corrected_lpips_is_per_background(empty: Path) -> None:
    """The same error everywhere: the corrected number hardly depends on the mask, compat follows the background."""
    pytest.importorskip("torchmetrics")
    squeezenet(empty / "squeezenet1_1-b8a52dc0.pth")
    found = {}
    for share in (0.25, 0.75):
        turn = single(PhotoCase(dim(0), left(share)), 1, dim(1), dim(0))
        found[share] = [numbers(name, [turn])[0] for name in ("pie-lpips-squeeze", "pie-lpips-squeeze-compat")]
    assert found[0.25][0] == pytest.approx(found[0.75][0], rel=0.15)  # what the two backgrounds differ by
    assert found[0.25][1] > 2 * found[0.75][1]
    still = single(PhotoCase(dim(0), left(0.25)), 1, dim(0), dim(0))
    assert numbers("pie-lpips-squeeze", [still]) == [0.0]


def test_dino_is_given_raw_values_in_compat_only() -> None:
    white = Image.new("RGB", (512, 512), "white")
    mean, deviation = 0.485, 0.229
    assert float(prepared(white, compat=True)[0, 0].mean()) == pytest.approx((255 - mean) / deviation)
    assert float(prepared(white, compat=False)[0, 0].mean()) == pytest.approx((1 - mean) / deviation)
    sizes = [(512, 512), (300, 1200), (448, 336)]
    assert [tuple(prepared(Image.new("RGB", size), compat=False).shape[2:]) for size in sizes] == [
        (224, 224),
        (480, 120),
        (224, 298),
    ]


@pytest.mark.parametrize("compat", [True, False])
def test_structure_distance_from_the_keys_of_the_last_block(compat: bool, empty: Path) -> None:
    """The keys worked out by hand: what enters the last block, through its first norm and its key weights."""
    from transformers import ViTModel

    network = ViTModel.from_pretrained(tiny_dino(empty / "dino-vitb8"), add_pooling_layer=False)
    similar: list[NDArray[np.float64]] = []
    for picture in (dim(1, 224), dim(0, 224)):
        with torch.inference_mode():
            states = network(pixel_values=prepared(picture, compat), output_hidden_states=True).hidden_states
            block = network.layers[-1]
            keys = block.attention.k_proj(block.layernorm_before(states[-2]))[0].double().numpy()
        assert keys.shape == (50, 32)  # 7 x 7 patches and the class token, 4 heads of 8
        unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
        similar.append(unit @ unit.T)
    expected = 1000 * float(np.mean((similar[0] - similar[1]) ** 2))
    turn = single(PhotoCase(dim(0, 224)), 1, dim(1, 224), dim(0, 224))
    name = "pie-structure-compat" if compat else "pie-structure"
    # A mean of squared differences of cosines from float32 keys.
    assert numbers(name, [turn]) == [pytest.approx(expected, rel=1e-3)]
    assert numbers(name, [single(PhotoCase(dim(0, 224)), 1, dim(0, 224), dim(2, 224))]) == [0.0]


def test_clip_looks_at_the_whole_the_blackened_and_the_cropped_picture(empty: Path) -> None:
    tiny_clip(empty / "clip-vit-large-patch14")
    mask = np.zeros((128, 128), dtype=bool)
    mask[32:96, 16:80] = True
    case = PhotoCase(dim(0), mask)
    black = Image.new("RGB", (128, 128))
    black.paste(dim(1).crop((16, 32, 80, 96)), (16, 32))
    shown = {
        "pie-clip-whole-vit-l14": dim(1),
        "pie-clip-edited-vit-l14-compat": black,
        "pie-clip-edited-vit-l14": dim(1).crop((16, 32, 80, 96)),
    }
    for name, picture in shown.items():
        expected = numbers("clip-t-vit-l14", [single(case, 1, picture, dim(0))])
        assert numbers(name, [single(case, 1, dim(1), dim(0))]) == pytest.approx(expected, abs=rounding(1000, 100.0))
    assert scored("pie-clip-edited-vit-l14", [single(PhotoCase(dim(0)), 1, dim(1), dim(0))]) == [None]


NETWORKS = {
    "pie-structure": "facebook/dino-vitb8",
    "pie-lpips-squeeze": "squeezenet1_1-b8a52dc0.pth",
    "pie-clip-edited-vit-l14": "openai/clip-vit-large-patch14",
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_missing_weights_are_named_and_those_of_pixels_need_none(name: str, empty: Path) -> None:
    if "lpips" in name:
        pytest.importorskip("torchmetrics")
    assert f"put {'https' if 'lpips' in name else NETWORKS[name]}" in (get(name).missing() or "")
    assert NETWORKS[name] in (get(name).missing() or "")
    assert all(get(other).missing() is None for other in all_metrics() if other.removesuffix("-compat") in BY_PIXELS)


def test_a_pickle_that_runs_something_is_refused(empty: Path) -> None:
    pytest.importorskip("torchmetrics")
    torch.save({"features.0.weight": Path("/")}, empty / "squeezenet1_1-b8a52dc0.pth")
    with pytest.raises(
        ModelError, match=r"holds no weights that can be read safely: fetch https://download\.pytorch\.org"
    ):
        numbers("pie-lpips-squeeze", [single(PhotoCase(dim(0), left(0.5)), 1, dim(1), dim(0))])
