"""diffusers' pipelines of every family beside FLUX.1, in the published layout: real classes, tiny and random."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.support import tiny_flux
from tests.support.tiny_flux import T5_LIMIT, WORDS, clip_config, clip_tokenizer, t5_config, t5_tokenizer, vae
from undrift.backbones import Backbone, Geometry, from_pipeline, load
from undrift.backbones.geometry import pack, unpack
from undrift.backbones.qwen_prompts import BEFORE

TEXT_WIDTH = 24
CHAT_LIMIT = 48
DEV_LIMIT = 512
PICTURE = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>")
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *PICTURE)
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if not enable_thinking %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)
"""Qwen3's chat template where there is nothing but a user's turn."""


@dataclass(frozen=True)
class Family:
    """One family's tiny pipeline, and what its pipeline's call wants.

    Attributes:
        make: builds diffusers' pipeline, the same weights every time.
        guidance: the call's name for the guidance value.
        options: what else the call takes.
        timestep_scale: of what the transformer is fed, sigma being 1.
        to_pipeline, from_pipeline: between packed latents and those that the call takes and its callback shows.
    """

    make: Callable[[], Any]
    guidance: str
    options: Mapping[str, Any] = field(default_factory=dict)
    timestep_scale: float = 1.0
    to_pipeline: Callable[[Tensor, Geometry], Tensor] = lambda packed, _: packed
    from_pipeline: Callable[[Tensor], Tensor] = lambda latents: latents

    @staticmethod
    def as_grid(packed: Tensor, geometry: Geometry) -> Tensor:
        """(batch, channels of a token, rows, columns)."""
        return packed.mT.reshape(packed.shape[0], -1, geometry.rows, geometry.columns)


def seeded(make: Callable[[], Any]) -> Callable[[], Any]:
    """``make`` with the same random weights every time."""

    def made() -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            pipe = make()
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return made


@seeded
def sd3() -> Any:
    """Stable Diffusion 3.5's layout: three encoders, a block with a second attention, QK normalisation."""
    from diffusers import FlowMatchEulerDiscreteScheduler, StableDiffusion3Pipeline
    from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
    from transformers import CLIPTextModelWithProjection, T5EncoderModel

    tokenizer, tokenizer_3 = clip_tokenizer(), t5_tokenizer()
    config = clip_config(len(tokenizer), hidden_size=8, intermediate_size=16, projection_dim=8, num_hidden_layers=2)
    transformer = SD3Transformer2DModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        num_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=TEXT_WIDTH,
        caption_projection_dim=32,
        pooled_projection_dim=16,
        pos_embed_max_size=16,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    return StableDiffusion3Pipeline(
        transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae().eval(),
        text_encoder=CLIPTextModelWithProjection(config).eval(),
        tokenizer=tokenizer,
        text_encoder_2=CLIPTextModelWithProjection(config).eval(),
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=T5EncoderModel(t5_config(len(tokenizer_3), TEXT_WIDTH)).eval(),
        tokenizer_3=tokenizer_3,
    )


def flux2_parts(guidance_embeds: bool) -> tuple[Any, Any, Any]:
    """(transformer, vae, scheduler) of FLUX.2."""
    from diffusers import FlowMatchEulerDiscreteScheduler
    from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
    from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel

    transformer = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=TEXT_WIDTH,
        timestep_guidance_channels=32,
        mlp_ratio=2.0,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=guidance_embeds,
    )
    autoencoder = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(4, 8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=32,
        mid_block_add_attention=False,
    )
    autoencoder.bn.running_mean.copy_(torch.randn(16) * 0.1)
    autoencoder.bn.running_var.copy_(torch.rand(16) + 0.5)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    return transformer.eval(), autoencoder.eval(), scheduler


def qwen3(vocabulary: int, layers: int) -> Any:
    """A language model of many layers and hardly any width."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=TEXT_WIDTH // 3,
        intermediate_size=16,
        num_hidden_layers=layers,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=8,
    )
    return Qwen3ForCausalLM(config).eval()


def flux2_klein(distilled: bool = False) -> Any:
    """FLUX.2-klein-base's layout: Qwen3, of which the transformer takes layers 9, 18 and 27."""
    from diffusers import Flux2KleinPipeline

    transformer, autoencoder, scheduler = flux2_parts(guidance_embeds=False)
    tokenizer = qwen_tokenizer(CHAT_LIMIT)
    return Flux2KleinPipeline(
        scheduler=scheduler,
        vae=autoencoder,
        text_encoder=qwen3(len(tokenizer), layers=28),
        tokenizer=tokenizer,
        transformer=transformer,
        is_distilled=distilled,
    )


@seeded
def flux2_dev() -> Any:
    """FLUX.2-dev's layout, with a guidance embedding; Qwen3 stands for Mistral, whose layers 10, 20, 30 are taken."""
    from diffusers import Flux2Pipeline

    transformer, autoencoder, scheduler = flux2_parts(guidance_embeds=True)
    tokenizer = qwen_tokenizer(DEV_LIMIT)
    tokenizer.chat_template = CHAT.replace("message['content']", "message['content'][0]['text']")
    return Flux2Pipeline(
        scheduler=scheduler,
        vae=autoencoder,
        text_encoder=qwen3(len(tokenizer), layers=31),
        tokenizer=tokenizer,
        transformer=transformer,
    )


@seeded
def qwen_image() -> Any:
    """Qwen-Image's layout: a video's VAE and a vision-language model."""
    from diffusers import FlowMatchEulerDiscreteScheduler, QwenImagePipeline
    from diffusers.models.transformers.transformer_qwenimage import QwenImageTransformer2DModel

    tokenizer = qwen_tokenizer(2048)
    transformer = QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(4, 6, 6),
    )
    return QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.5, max_shift=0.9, max_image_seq_len=8192, shift_terminal=0.02
        ),
        vae=qwen_vae(),
        text_encoder=qwen_encoder(len(tokenizer)),
        tokenizer=tokenizer,
        transformer=transformer.eval(),
    )


def qwen_vae() -> Any:
    """Shrinks sides by 4, as ``tiny_flux.vae`` does."""
    from diffusers.models.autoencoders.autoencoder_kl_qwenimage import AutoencoderKLQwenImage

    return AutoencoderKLQwenImage(
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.1, -0.2, 0.05, 0.3],
        latents_std=[1.1, 0.8, 1.3, 0.9],
    ).eval()


def qwen_encoder(vocabulary: int) -> Any:
    """Qwen2.5-VL, its eyes included."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = {
        "vocab_size": vocabulary,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 2048,
        "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 10000.0},
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    tokens = {"vision_start_token_id": 3, "image_token_id": 4, "vision_end_token_id": 5, "video_token_id": 6}
    config = Qwen2_5_VLConfig(text_config=text, vision_config={**vision, "fullatt_block_indexes": [0]}, **tokens)
    return Qwen2_5_VLForConditionalGeneration(config).eval()


def qwen_tokenizer(limit: int) -> Any:
    """A byte-level tokenizer of Qwen's class that joins ``WORDS`` and those of the template, and nothing else."""
    from tokenizers import AddedToken
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    template = [word.strip(",:") for word in BEFORE.split("\n")[1].removesuffix("<|im_end|>").split(" ")]
    words = [*(f"Ġ{word}" for word in (*template[1:], *WORDS)), template[0], "system", "user", "assistant"]
    merges = list(dict.fromkeys((word[:end], word[end]) for word in words for end in range(1, len(word))))
    pieces = [*SPECIAL, *sorted(ByteLevel.alphabet()), *(left + right for left, right in merges)]
    vocab = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=merges, model_max_length=limit, padding_side="right")
    tokenizer.add_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.chat_template = CHAT
    return tokenizer


@seeded
def kontext() -> Any:
    """FLUX.1-Kontext's layout, which is FLUX.1's under another name."""
    from diffusers import FluxKontextPipeline

    parts = tiny_flux.pipeline().components
    return FluxKontextPipeline(**{name: part for name, part in parts.items() if part is not None})


@seeded
def qwen_edit() -> Any:
    """Qwen-Image-Edit-2509's layout: Qwen-Image's parts and a processor that shows the language model the picture."""
    from diffusers import QwenImageEditPlusPipeline

    parts = qwen_image().components
    return QwenImageEditPlusPipeline(processor=Reader(parts["tokenizer"]), **parts)


@seeded
def longcat_edit() -> Any:
    """LongCat-Image-Edit's layout: FLUX.1's blocks and VAE, Qwen2.5-VL for the text."""
    from diffusers import FlowMatchEulerDiscreteScheduler, LongCatImageEditPipeline
    from diffusers.models.transformers.transformer_longcat_image import LongCatImageTransformer2DModel

    tokenizer = qwen_tokenizer(2048)
    autoencoder = type(vae()).from_config({**vae().config, "latent_channels": 16})  # the pipeline knows no other
    transformer = LongCatImageTransformer2DModel(
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        axes_dims_rope=[4, 6, 6],
    )
    return LongCatImageEditPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=autoencoder.eval(),
        text_encoder=qwen_encoder(len(tokenizer)),
        tokenizer=tokenizer,
        text_processor=Reader(tokenizer),
        transformer=transformer.eval(),
    )


class Reader:
    """Qwen2-VL's processor without its video half, for which transformers wants torchvision."""

    def __init__(self, tokenizer: Any) -> None:
        from transformers import Qwen2VLImageProcessorPil

        self._tokenizer = tokenizer
        self._pictures = self.image_processor = Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=56 * 56)

    def __call__(self, text: list[str], images: list[Any], padding: bool, return_tensors: str) -> Any:
        seen = self._pictures(images=images, return_tensors=return_tensors)
        count = int(seen["image_grid_thw"][0].prod()) // self._pictures.merge_size**2
        chats = [chat.replace("<|image_pad|>", "<|image_pad|>" * count) for chat in text]
        seen.update(self._tokenizer(chats, padding=padding, return_tensors=return_tensors))
        return seen


FAMILIES: Mapping[str, Family] = {
    "sd3": Family(
        sd3,
        guidance="guidance_scale",
        options={"max_sequence_length": T5_LIMIT},
        timestep_scale=1000.0,
        to_pipeline=unpack,
        from_pipeline=pack,
    ),
    "flux2": Family(
        seeded(flux2_klein),
        guidance="guidance_scale",
        options={"max_sequence_length": CHAT_LIMIT},
        to_pipeline=Family.as_grid,
    ),
    "qwen_image": Family(qwen_image, guidance="true_cfg_scale", options={"negative_prompt": [""]}),
}


VARIANTS: Mapping[str, Family] = {
    "flux2, klein": Family(
        seeded(lambda: flux2_klein(distilled=True)),
        guidance="guidance_scale",
        options={"max_sequence_length": CHAT_LIMIT},
        to_pipeline=Family.as_grid,
    ),
    "flux2, dev": Family(
        flux2_dev,
        guidance="guidance_scale",
        options={"max_sequence_length": DEV_LIMIT},
        to_pipeline=Family.as_grid,
    ),
}
"""Other models of a family, with guidance of another kind."""

EVERY: Mapping[str, Family] = {**FAMILIES, **VARIANTS}


@cache
def loaded(name: str) -> Backbone:
    """A family's tiny pipeline saved, and loaded on the CPU in float32; a variant's as diffusers holds it."""
    if name in VARIANTS:
        return from_pipeline(VARIANTS[name].make(), name=name)
    with tempfile.TemporaryDirectory() as folder:
        return load(str(saved(name, Path(folder) / name)), device="cpu")


def saved(name: str, folder: Path) -> Path:
    """Write a family's pipeline as diffusers does, and return ``folder``."""
    FAMILIES[name].make().save_pretrained(folder, safe_serialization=True)
    return folder
