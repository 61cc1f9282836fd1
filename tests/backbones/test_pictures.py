"""Padding, packing and the way from a picture to a latent and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support import golden
from tests.support.closeness import assert_rounded
from tests.support.tiny_flux import ENCODER_OPERATIONS
from undrift.backbones import Backbone, Geometry, Latent
from undrift.backbones.geometry import geometry_of, image_ids, pack, unpack
from undrift.backbones.pictures import to_images, to_tensor
from undrift.errors import InputError, ModelError


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@given(st.integers(1, 70), st.integers(1, 70))
@settings(max_examples=60, deadline=None)
def test_padding_repeats_the_edge_and_cropping_undoes_it_to_the_bit(width: int, height: int) -> None:
    source = picture(width, height)
    geometry = geometry_of(height, width, 16)
    padded = to_tensor([source], geometry, 16)
    assert padded.shape == (1, 3, 16 * geometry.rows, 16 * geometry.columns)
    assert 0 <= padded.shape[2] - height < 16
    assert 0 <= padded.shape[3] - width < 16
    assert torch.equal(
        padded[..., height:, :], padded[..., height - 1 : height, :].expand_as(padded[..., height:, :])
    )
    assert torch.equal(padded[..., width:], padded[..., width - 1 : width].expand_as(padded[..., width:]))
    assert np.array_equal(np.asarray(to_images(padded, geometry)[0]), np.asarray(source))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_other_colour_modes_become_rgb(mode: str) -> None:
    source = picture(9, 5).convert(mode)
    geometry = geometry_of(5, 9, 8)
    (image,) = to_images(to_tensor([source], geometry, 8), geometry)
    assert np.array_equal(np.asarray(image), np.asarray(source.convert("RGB")))


def test_values_are_rounded_and_clamped_to_bytes() -> None:
    levels = torch.tensor([-1.5, -1.0, -1.0 + 0.49 / 127.5, -1.0 + 0.51 / 127.5, 1.0, 1.5])
    geometry = Geometry(height=1, width=6, rows=1, columns=1, token_side=16)
    (image,) = to_images(levels.expand(1, 3, 1, 6), geometry)
    assert np.asarray(image)[0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]


def test_packing_is_the_pipelines() -> None:
    from diffusers import FluxPipeline

    latent = torch.randn(2, 3, 10, 6)
    geometry = Geometry(height=80, width=48, rows=5, columns=3, token_side=16)
    packed = pack(latent)
    assert torch.equal(packed, FluxPipeline._pack_latents(latent, 2, 3, 10, 6))
    assert torch.equal(unpack(packed, geometry), latent)
    ids = FluxPipeline._prepare_latent_image_ids(2, 5, 3, "cpu", torch.float32)
    assert torch.equal(image_ids(geometry), ids)


def test_unpacking_another_number_of_tokens_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"\(1, 12, 8\), expected \(batch, 15, channels\) for a grid of 5 x 3 tokens"
    ):
        unpack(torch.zeros(1, 12, 8), Geometry(40, 24, 5, 3, 8))


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 8), (33, 12), (7, 50)])
def test_a_latent_decodes_to_the_size_of_the_picture(tiny_flux: Backbone, size: tuple[int, int]) -> None:
    latent = tiny_flux.encode([picture(*size), picture(*size, seed=1)])
    geometry = latent.geometry
    assert (geometry.width, geometry.height) == size
    assert latent.packed.shape == (2, geometry.tokens, 16)
    assert latent.packed.dtype == torch.float32
    decoded = tiny_flux.decode(latent)
    assert [image.size for image in decoded] == [size, size]
    assert [image.mode for image in decoded] == ["RGB", "RGB"]


def test_encoding_is_the_scaled_posterior_mean(tiny_flux: Backbone) -> None:
    source = picture(16, 24)
    latent = tiny_flux.encode([source])
    vae = tiny_flux._autoencoder.vae  # type: ignore[attr-defined]
    pixels = torch.from_numpy(np.array(source)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        mean = vae.encode(pixels).latent_dist.mean
        decoded = vae.decode(mean).sample
    assert_rounded(unpack(latent.packed, latent.geometry), (mean - 0.1) * 0.7, ENCODER_OPERATIONS)
    expected = ((decoded[0] / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    got = np.asarray(tiny_flux.decode(latent)[0], dtype=np.float32)
    assert np.abs(got - expected).max() <= 1  # a value on the border of two levels may round either way


def test_a_batch_encodes_as_its_rows(tiny_flux: Backbone) -> None:
    images = [picture(20, 12, seed) for seed in range(3)]
    batch = tiny_flux.encode(images)
    singles = torch.cat([tiny_flux.encode([image]).packed for image in images])
    assert_rounded(batch.packed, singles, ENCODER_OPERATIONS)


def test_pictures_of_two_sizes_are_refused(tiny_flux: Backbone) -> None:
    with pytest.raises(InputError, match="must have one size, got 8 x 9 and 9 x 8: encode them in separate batches"):
        tiny_flux.encode([picture(9, 8), picture(8, 9)])
    with pytest.raises(InputError, match="no picture to encode"):
        tiny_flux.encode([])


def test_a_bare_transformer_says_what_it_lacks() -> None:
    backbone = golden.backbone()
    with pytest.raises(ModelError, match="built without a VAE: load a full pipeline"):
        backbone.encode([picture(8, 8)])
    with pytest.raises(ModelError, match="built without a VAE: load a full pipeline"):
        backbone.decode(Latent(torch.zeros(1, 64, 64), golden.GRID))
