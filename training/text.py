"""Tokenizers and text encoders of LittleWorld: the classes and file formats of FLUX, at toy size."""

from __future__ import annotations

import random
import string

import torch
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from undrift.littleworld.captions import VOCABULARY

T5_WIDTH = 96
CLIP_WIDTH = 64
T5_LENGTH = 24
"""Text tokens of the flow: the longest caption has 21 words, and a full stop and </s> may follow.

Padding attends, as in FLUX, so prompts are always padded to this length.
"""
CLIP_LENGTH = 24
"""The longest caption has 21 words; a full stop, start and end make it 24."""
_CHARACTERS = string.ascii_letters + string.digits + ".,;:!?'\"()-"
_CAPITALISED = ("A", "An", "The")


def build_t5_tokenizer() -> T5Tokenizer:
    """A Unigram tokenizer with one piece for every caption word; other words fall apart into characters."""
    words = [f"▁{word}" for word in (*VOCABULARY, *_CAPITALISED) if len(word) > 1]
    specials = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces = [(word, -2.0) for word in [*words, "▁a", "▁A"]]
    characters = [(character, -20.0) for character in ["▁", *_CHARACTERS]]
    vocab = [*specials, *dict([*pieces, *characters]).items()]
    return T5Tokenizer(vocab=vocab, extra_ids=0, additional_special_tokens=[], model_max_length=T5_LENGTH)


def build_clip_tokenizer() -> CLIPTokenizer:
    """A byte-pair tokenizer whose merges build every caption word; other words fall apart into characters."""
    characters = [c for c in _CHARACTERS if not c.isupper()]
    symbols = [*characters, *(f"{c}</w>" for c in characters)]
    merges: list[tuple[str, str]] = []
    for word in VOCABULARY:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            # From the right: a merge ends in "</w>", so that no merge of one word applies inside another.
            pair = (parts[-2], parts[-1])
            if pair not in merges:
                merges.append(pair)
            parts[-2:] = ["".join(pair)]
    tokens = list(dict.fromkeys([*symbols, *("".join(pair) for pair in merges)]))
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {token: index for index, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=CLIP_LENGTH)


def build_t5(tokenizer: T5Tokenizer) -> T5EncoderModel:
    """An untrained T5 encoder."""
    return T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=T5_WIDTH,
            d_kv=32,
            d_ff=2 * T5_WIDTH,
            num_layers=2,
            num_heads=3,
            relative_attention_num_buckets=16,
            relative_attention_max_distance=24,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            is_encoder_decoder=False,
            use_cache=False,
        )
    )


def build_clip(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained CLIP text encoder; FLUX uses its pooled output alone."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=CLIP_WIDTH,
            intermediate_size=4 * CLIP_WIDTH,
            projection_dim=CLIP_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=CLIP_LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def tokenise(tokenizer: T5Tokenizer | CLIPTokenizer, texts: list[str], length: int) -> Tensor:
    """Token ids of shape (len(texts), length), padded as `FluxPipeline` pads them."""
    batch = tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    ids: Tensor = batch.input_ids
    return ids.to(torch.int16)


def varied(caption: str, rng: random.Random) -> str:
    """The caption as people may type it: now and then with a capital letter or a full stop."""
    if rng.random() < 0.2:
        caption = caption[0].upper() + caption[1:]
    return f"{caption}." if rng.random() < 0.1 else caption
