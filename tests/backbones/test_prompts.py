"""Prompts: the same embeddings as diffusers' pipeline, spans that point at the words, limits said clearly."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from tests.support import tiny_flux as tiny
from tests.support.closeness import assert_rounded
from undrift.backbones import Backbone, load, prompt_memory, prompts
from undrift.backbones.base import PromptTokens
from undrift.errors import InputError

PROMPT = "a red cat,  sitting on the grass"


def words(tokens: PromptTokens) -> list[tuple[str, str]]:
    return [(piece, tokens.prompt[slice(*span)]) for piece, span in zip(tokens.tokens, tokens.spans, strict=True)]


def test_embeddings_are_the_pipelines(tiny_flux: Backbone) -> None:
    given = [PROMPT, "", "a dog"]
    text, pooled, _ = tiny.pipeline().encode_prompt(given, max_sequence_length=tiny.T5_LIMIT)
    embedded = tiny_flux.embed(given)
    operations = 10 * tiny.TEXT_WIDTH  # one layer, a feed-forward part of 32 numbers included
    assert_rounded(embedded.tensors["text"], text, operations)
    assert_rounded(embedded.tensors["pooled"], pooled, operations)


def test_t5_spans_point_at_the_words(tiny_flux: Backbone) -> None:
    (tokens,) = tiny_flux.embed([PROMPT]).tokens
    assert words(tokens) == [
        ("▁a", "a"),
        ("▁red", "red"),
        ("▁cat", "cat"),
        (",", ","),
        ("▁sitting", "sitting"),
        ("▁on", "on"),
        ("▁the", "the"),
        ("▁grass", "grass"),
        ("</s>", ""),
    ]


def test_t5_pieces_of_an_unknown_word_stay_inside_it(tiny_flux: Backbone) -> None:
    (tokens,) = tiny_flux.embed(["the zebra"]).tokens
    start = "the zebra".index("zebra")
    inside = tokens.spans[1:-1]
    assert all(start <= a < b <= start + 5 for a, b in inside)
    assert {i for a, b in inside for i in range(a, b)} == set(range(start, start + 5))


def test_clip_spans_point_at_the_words_whatever_the_case() -> None:
    tokens = prompts.cut(tiny.clip_tokenizer(), "a Red  CAT, sitting")
    assert words(tokens) == [
        ("<|startoftext|>", ""),
        ("a</w>", "a"),
        ("red</w>", "Red"),
        ("cat</w>", "CAT"),
        (",</w>", ","),
        ("sitting</w>", "sitting"),
        ("<|endoftext|>", ""),
    ]


def test_the_empty_prompt_is_legal(tiny_flux: Backbone) -> None:
    embedded = tiny_flux.embed([""])
    assert embedded.tokens[0].tokens == ("</s>",)
    assert embedded.tokens[0].spans == ((0, 0),)
    assert embedded.tensors["text"].shape == (1, tiny.T5_LIMIT, tiny.TEXT_WIDTH)


def test_a_prompt_of_exactly_the_limit_passes_and_one_more_does_not(tiny_flux: Backbone) -> None:
    fits = "a " * (tiny.T5_LIMIT - 1)
    assert len(tiny_flux.embed([fits]).tokens[0].tokens) == tiny.T5_LIMIT
    with pytest.raises(InputError, match="has 21 tokens, the model takes 20: shorten it"):
        tiny_flux.embed([fits + "cat"])


def test_clip_sees_the_start_of_a_long_prompt_and_says_so_once(
    tiny_flux_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backbone = load(str(tiny_flux_folder), device="cpu")
    with caplog.at_level(logging.WARNING, "undrift"):
        backbone.embed(["a cat " * 6])
        backbone.embed(["a dog " * 6])
    tokens = prompts.cut(tiny.clip_tokenizer(), "a cat " * 6, tiny.CLIP_LIMIT)
    assert len(tokens.tokens) == tiny.CLIP_LIMIT
    assert tokens.tokens[-1] == "<|endoftext|>"
    assert [record.getMessage() for record in caplog.records] == [
        "a prompt has 14 tokens, the pooled text encoder sees its first 12 (T5 sees all)"
    ]


def test_no_prompt_is_refused(tiny_flux: Backbone) -> None:
    with pytest.raises(InputError, match="no prompt to embed, expected at least one"):
        tiny_flux.embed([])


def test_each_prompt_is_embedded_once_and_the_oldest_forgotten(
    tiny_flux_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = load(str(tiny_flux_folder), device="cpu")
    monkeypatch.setattr(prompt_memory, "CACHED_PROMPTS", 2)
    runs: list[int] = []
    t5 = backbone._prompts._t5  # type: ignore[attr-defined]
    t5.register_forward_hook(lambda *_: runs.append(1))
    first = backbone.embed(["a cat", "a dog", "a cat"])
    assert len(runs) == 2
    assert torch.equal(first.tensors["text"][0], first.tensors["text"][2])
    backbone.embed(["a cat"])
    backbone.embed(["a hat"])  # forgets the dog, which was used longest ago
    backbone.embed(["a cat"])
    assert len(runs) == 3
    backbone.embed(["a dog"])
    assert len(runs) == 4


def test_changing_an_embedding_in_place_does_not_spoil_the_memory(tiny_flux: Backbone) -> None:
    before = tiny_flux.embed([PROMPT]).tensors["text"].clone()
    tiny_flux.embed([PROMPT]).tensors["text"].zero_()
    assert torch.equal(tiny_flux.embed([PROMPT]).tensors["text"], before)
