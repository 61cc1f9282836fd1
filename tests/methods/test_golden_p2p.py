"""Prompt-to-Prompt against the numbers of diffusers' community pipeline (tests/golden/README.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.golden import FOLDER, TOLERANCE, arrays, close
from tests.support.tiny_flux import clip_tokenizer
from undrift.backbones.base import Conditioning, Latent
from undrift.backbones.geometry import pack, unpack
from undrift.backbones.noise_levels import variance_preserving
from undrift.backbones.prompts import cut
from undrift.backbones.sd1 import StableDiffusionBackbone
from undrift.flow import Euler, integrate
from undrift.methods.base import EditRequest
from undrift.methods.p2p import P2PParams, exchanged
from undrift.methods.pair import paired

PROMPTS = {
    "a red cat sitting on the grass": "source",
    "a blue cat sitting in the snow": "target",
    "a red dog in a hat sitting on the grass": "longer",
    "": "empty",
}
SOURCE, TARGET, LONGER, _ = PROMPTS
STEPS, GUIDANCE, COLUMNS = 10, 3.0, 77
SIZE = (128, 128)


class Recorded:
    """The recorded embeddings, with the columns of the tokenizer that they were made with."""

    columns = COLUMNS

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        text = torch.cat([arrays("p2p")[f"txt_{PROMPTS[prompt]}"] for prompt in prompts])
        tokenizer = clip_tokenizer()
        return Conditioning({"text": text}, tuple(cut(tokenizer, prompt) for prompt in prompts), COLUMNS)


@pytest.fixture(scope="module")
def backbone() -> StableDiffusionBackbone:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(FOLDER / "unet", dtype=torch.float32)
    prompts: Any = Recorded()
    return StableDiffusionBackbone(unet, prompts=prompts)


def start(backbone: StableDiffusionBackbone) -> Tensor:
    """The recorded noise at the first of ten noise levels."""
    sigmas = backbone.sigmas(STEPS, backbone.geometry(SIZE))
    return pack(arrays("p2p")["z"]) / variance_preserving(float(sigmas[0]))


def test_the_source_is_the_pipeline_s(backbone: StableDiffusionBackbone) -> None:
    geometry = backbone.geometry(SIZE)
    field = backbone.velocity_field(backbone.embed([SOURCE]), geometry, GUIDANCE)
    final = integrate(field, Euler(), start(backbone), backbone.sigmas(STEPS, geometry)).final
    assert float((unpack(final, geometry) - arrays("p2p")["refine"][:1]).abs().max()) < TOLERANCE


@pytest.mark.parametrize(
    ("name", "target", "params"),
    [
        ("refine", LONGER, {"cross_share": 0.4, "self_share": 0.6}),
        pytest.param("refine_text", LONGER, {"cross_share": 0.8, "self_share": 0.0}, marks=pytest.mark.slow),
        ("replace", TARGET, {"cross_share": 0.4, "self_share": 0.6, "exchange": "replace"}),
    ],
)
def test_the_edit_is_the_pipeline_s(
    name: str, target: str, params: dict[str, Any], backbone: StableDiffusionBackbone
) -> None:
    geometry = backbone.geometry(SIZE)
    latent = Latent(start(backbone), geometry)
    asked = EditRequest(latent, latent, 1, [SOURCE], [target], [()], [0])
    p = P2PParams(steps=STEPS, guidance=GUIDANCE, reweight=1.0, blend=False, **params)
    prompts = paired(backbone, asked, [SOURCE])
    field = backbone.velocity_field(prompts, geometry, GUIDANCE)
    edited = unpack(exchanged(p, backbone, asked, prompts, field, latent.packed, []).latent.packed, geometry)
    recorded = arrays("p2p")[name]
    # Row 0 is the pipeline's source, which the test above is held to.
    close(torch.cat([recorded[:1], edited]), recorded)
    assert float((recorded[1:] - recorded[:1]).abs().max()) > 1000 * TOLERANCE
