"""A FLUX pipeline folder with the real classes and tokenizers, random weights and a few thousand numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.support.closeness import flux_operations

WORDS = ("a", "the", "on", "in", "with", "red", "blue", "cat", "dog", "sitting", "grass", "hat", "snow", "field")
LETTERS = "abcdefghijklmnopqrstuvwxyz,."
T5_LIMIT = 20
CLIP_LIMIT = 12
LATENT_CHANNELS = 4
TEXT_WIDTH = 24
POOLED_WIDTH = 16
OPERATIONS = flux_operations(double=2, single=2, width=32, tokens=40)
"""Roundings of one evaluation of the transformer (see ``closeness.rounding``)."""
ENCODER_OPERATIONS = 12 * 3 * 3 * 8
"""Those of the autoencoder's half: some twelve convolutions of 3 x 3 over at most 8 channels."""


def t5_tokenizer() -> Any:
    """A unigram tokenizer of T5's class that knows ``WORDS`` whole and everything else by letters."""
    from transformers import T5TokenizerFast

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -4.0)]
    pieces += [(f"▁{word}", -2.0) for word in WORDS]
    pieces += [(letter, -5.0) for letter in LETTERS]
    return T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=T5_LIMIT)


def clip_tokenizer() -> Any:
    """A byte-pair tokenizer of CLIP's class that joins ``WORDS`` letter by letter and nothing else."""
    from transformers import CLIPTokenizer

    merges = list(dict.fromkeys(merge for word in WORDS for merge in _merges(word)))
    pieces = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    pieces = list(dict.fromkeys([*pieces, *(left + right for left, right in merges)]))
    vocab = {piece: number for number, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=CLIP_LIMIT)


def _merges(word: str) -> list[tuple[str, str]]:
    symbols = [*word[:-1], f"{word[-1]}</w>"]
    return [("".join(symbols[:i]), symbols[i]) for i in range(1, len(symbols))]


def transformer(guidance: bool = True) -> Any:
    """A FLUX transformer of 2 double and 2 single blocks."""
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

    return FluxTransformer2DModel(
        in_channels=4 * LATENT_CHANNELS,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=TEXT_WIDTH,
        pooled_projection_dim=POOLED_WIDTH,
        guidance_embeds=guidance,
        axes_dims_rope=(4, 6, 6),
    )


def vae() -> Any:
    """An autoencoder that shrinks sides by 4, so that a token covers 8 x 8 pixels."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(4, 8, 8),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=4,
        sample_size=32,
        scaling_factor=0.7,
        shift_factor=0.1,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
    )


def clip_config(vocabulary: int, **given: int) -> Any:
    """The configuration of a small CLIP, with ``given`` in place of what FLUX's stand-in has."""
    from transformers import CLIPTextConfig

    usual = {
        "hidden_size": POOLED_WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": CLIP_LIMIT,
    }
    return CLIPTextConfig(vocab_size=vocabulary, bos_token_id=0, eos_token_id=1, pad_token_id=1, **{**usual, **given})


def t5_config(vocabulary: int, width: int = TEXT_WIDTH) -> Any:
    """The configuration of a small T5 of one layer."""
    from transformers import T5Config

    return T5Config(
        vocab_size=vocabulary,
        d_model=width,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )


def text_encoders(clip_vocabulary: int, t5_vocabulary: int) -> tuple[Any, Any]:
    """(CLIP, T5)."""
    from transformers import CLIPTextModel, T5EncoderModel

    return CLIPTextModel(clip_config(clip_vocabulary)), T5EncoderModel(t5_config(t5_vocabulary))


def pipeline(guidance: bool = True, **scheduler: Any) -> Any:
    """diffusers' own pipeline over the tiny parts; the same weights every time."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer, tokenizer_2 = clip_tokenizer(), t5_tokenizer()
        clip, t5 = text_encoders(len(tokenizer), len(tokenizer_2))
        shift = {"shift": 3.0, "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}
        return FluxPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(**{**shift, **scheduler}),
            vae=vae().eval(),
            text_encoder=clip.eval(),
            tokenizer=tokenizer,
            text_encoder_2=t5.eval(),
            tokenizer_2=tokenizer_2,
            transformer=transformer(guidance).eval(),
        )


def save_tiny_flux(folder: Path, guidance: bool = True, **scheduler: Any) -> Path:
    """Write the tiny pipeline as ``FluxPipeline.save_pretrained`` does and return ``folder``."""
    pipeline(guidance, **scheduler).save_pretrained(folder, safe_serialization=True)
    return folder
