"""What Prompt-to-Prompt does to attention weights, and MasaCtrl to keys and values, against worked examples."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.support.closeness import assert_rounded
from undrift.attention.columns import TextColumns
from undrift.attention.exchange import (
    PromptToPrompt,
    Schedule,
    aligned,
    refined,
    replaced,
    reweighted,
    words_of,
)
from undrift.attention.kernel import attention
from undrift.attention.mutual import MutualAttention
from undrift.attention.sites import Site
from undrift.attention.summed import WordMaps
from undrift.backbones.conditioning import PromptTokens
from undrift.errors import InputError
from undrift.flow import Step

SITE = Site("cross", 0)
COLUMNS, TOKENS, HEADS = 6, 9, 2


def tokens(prompt: str) -> PromptTokens:
    """Begin, a piece per half of each word of more than three letters, end."""
    pieces, spans, at = ["<s>"], [(0, 0)], 0
    for word in prompt.split():
        start = prompt.index(word, at)
        cuts = [0, len(word)] if len(word) <= 3 else [0, 3, len(word)]
        for a, b in zip(cuts, cuts[1:], strict=False):
            pieces.append(word[a:b])
            spans.append((start + a, start + b))
        at = start + len(word)
    return PromptTokens(prompt, (*pieces, "</s>"), (*spans, (0, 0)))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("a b c", "a b c", [0, 1, 2]),
        ("a b c", "a x b c", [0, None, 1, 2]),
        ("a b c", "a c", [0, 2]),
        ("a b c", "a x c", [0, None, 2]),
        ("a b", "x y", [None, None]),
        ("a red cat", "a blue cat on snow", [0, None, 2, None, None]),
        ("a b a c", "a c a b", [None, None, 0, 1]),
    ],
)
def test_tokens_are_aligned_by_a_longest_common_subsequence(
    source: str, target: str, expected: list[int | None]
) -> None:
    found = aligned(source.split(), target.split())
    assert sum(place is not None for place in found) == sum(place is not None for place in expected)
    kept = [place for place in found if place is not None]
    assert kept == sorted(set(kept))
    assert all(place is None or source.split()[place] == target.split()[j] for j, place in enumerate(found))
    if source != "a b a c":  # there two of length two exist
        assert found == expected


def weights(rows: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(rows, HEADS, TOKENS, COLUMNS, generator=generator).softmax(-1)


def test_refining_takes_shared_tokens_from_the_source_and_leaves_new_ones() -> None:
    exchange = refined([(["<s>", "a", "cat", "</s>"], ["<s>", "a", "red", "cat", "</s>"])], COLUMNS)
    source, own = weights(1), weights(1, 1)
    new = exchange.apply(source, own)
    for column, expected in enumerate([source[..., 0], source[..., 1], own[..., 2], source[..., 2], source[..., 3]]):
        assert torch.equal(new[..., column], expected)
    assert torch.equal(new[..., 5], source[..., 5]), "padding stays in place"


def test_refining_equal_prompts_is_the_source() -> None:
    pair = ["<s>", "a", "cat", "</s>"]
    assert torch.equal(refined([(pair, pair)], COLUMNS).apply(weights(1), weights(1, 1)), weights(1))


def test_replacing_goes_word_for_word_and_keeps_all_attention() -> None:
    source, target = tokens("a cat sat"), tokens("a hippo sat")
    assert words_of(target) == [[1], [2, 3], [4]]
    new = replaced([(source, target)], 8).source[0]
    assert new[:, 1].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    # Both halves of the new word have half of the old one's.
    assert new[2].tolist() == [0, 0, 0.5, 0.5, 0, 0, 0, 0]
    assert new[3].tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
    assert new[4].tolist() == [0, 0, 0, 0, 0, 1, 0, 0], "the end follows its words"


def test_replacing_needs_as_many_words() -> None:
    with pytest.raises(InputError, match=r"'a cat' has 2 words and 'a red cat' has 3: .* use exchange=refine"):
        replaced([(tokens("a cat"), tokens("a red cat"))], 8)


def test_reweighting_multiplies_columns_and_normalises_nothing() -> None:
    pair = ["<s>", "a", "cat", "</s>"]
    new = reweighted(refined([(pair, pair)], COLUMNS), [[2]], 3.0).apply(weights(1), weights(1, 1))
    assert_rounded(new[..., 2], 3 * weights(1)[..., 2], 2)
    assert torch.equal(new[..., 3], weights(1)[..., 3])


def sequence(rows: int, length: int, seed: int) -> Tensor:
    return torch.randn(rows, length, HEADS, 8, generator=torch.Generator().manual_seed(seed))


def p2p(
    text_steps: int = 0, image_steps: int = 0, most_tokens: int = 100, maps: WordMaps | None = None
) -> PromptToPrompt:
    pair = ["<s>", "a", "cat", "</s>"]
    schedule = Schedule(frozenset({SITE}), frozenset({SITE}), text_steps, image_steps, most_tokens)
    return PromptToPrompt(refined([(pair, pair)], COLUMNS), schedule, maps, [SITE])


def step(index: int) -> Step:
    return Step(index, 10, 1.0 - index / 10, 0.9 - index / 10)


def test_in_the_text_s_steps_the_target_attends_to_the_prompt_as_the_source_does() -> None:
    tap = p2p(text_steps=3)
    query, key, value = sequence(2, COLUMNS + TOKENS, 0), sequence(2, COLUMNS, 1), sequence(2, COLUMNS, 2)
    tap.begin(step(2))
    out = tap.attend(SITE, query, key, value, COLUMNS)
    assert out is not None
    crossed = attention(query[[1]], key[[1]], value[[0]])
    assert_rounded(out[0, COLUMNS:], crossed[0, COLUMNS:], 60)
    assert_rounded(out[1], attention(query, key, value)[1], 60)
    tap.begin(step(3))
    assert tap.attend(SITE, query, key, value, COLUMNS) is None


def test_in_the_image_s_steps_the_target_attends_to_itself_as_the_source_does_to_itself() -> None:
    query, key, value = (sequence(2, TOKENS, seed) for seed in range(3))
    tap = p2p(image_steps=3)
    tap.begin(step(0))
    out = tap.attend(SITE, query, key, value, 0)
    assert out is not None
    assert_rounded(out[0], attention(query[[1]], key[[1]], value[[0]])[0], 60)
    assert_rounded(out[1], attention(query, key, value)[1], 60)
    small = p2p(image_steps=3, most_tokens=TOKENS - 1)
    small.begin(step(0))
    assert small.attend(SITE, query, key, value, 0) is None, "the layer is finer than asked for"


def test_maps_are_of_the_weights_after_the_exchange() -> None:
    maps = WordMaps(TextColumns.of([[2], [2]]))
    tap = p2p(text_steps=3, maps=maps)
    tap.begin(step(0))
    query, key, value = sequence(2, COLUMNS + TOKENS, 0), sequence(2, COLUMNS, 1), sequence(2, COLUMNS, 2)
    tap.attend(SITE, query, key, value, COLUMNS)
    summed = maps.summed()
    assert summed is not None
    assert torch.equal(summed[0], summed[1])
    scores = query[1, COLUMNS:].transpose(0, 1) @ key[1].permute(1, 2, 0) / 8**0.5
    assert_rounded(summed[1], scores.softmax(-1)[..., 2].mean(0), 60)


def test_a_mask_is_where_the_widened_map_is_large_and_empty_without_words() -> None:
    maps = WordMaps(TextColumns.of([[0], []]))
    assert maps.near_the_largest((3, 3), 0.3) is None
    grid = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 0.29]]).flatten()
    maps.add(grid.reshape(1, 1, 9, 1).repeat(2, 1, 1, 1))
    found = maps.near_the_largest((3, 3), 0.3)
    assert found is not None
    assert found[0].reshape(3, 3).tolist() == [[True, True, False], [True, True, False], [False, False, False]]
    assert not bool(found[1].any())


def test_no_mask_of_words_is_empty() -> None:
    """It would bring back the source unsaid: not at the highest threshold, nor where the words have no weight."""
    maps = WordMaps(TextColumns.of([[0], [0]]))
    maps.add(torch.stack([torch.arange(9.0), torch.zeros(9)]).reshape(2, 1, 9, 1))
    found = maps.near_the_largest((3, 3), 1.0)
    assert found is not None
    assert found[0].nonzero().flatten().tolist() == [4, 5, 7, 8], "around the largest, which is the last"
    assert bool(found[1].all()), "there is no telling where"


def test_mutual_attention_asks_the_source_from_its_step_on() -> None:
    query, key, value = (sequence(4, TOKENS, seed) for seed in range(3))
    from undrift.attention.taps import Projections

    tap = MutualAttention([SITE], start_step=2)
    tap.begin(step(1))
    given = Projections(query, key, value, 0)
    assert tap.project(SITE, given) is given
    tap.begin(step(2))
    made = tap.project(SITE, given)
    assert torch.equal(made.query, query)
    for new, old in ((made.key, key), (made.value, value)):
        assert torch.equal(new, old[[2, 3, 2, 3]])


def test_masked_mutual_attention_is_the_object_s_and_the_background_s_attention_put_together() -> None:
    """f = m Attention(Q, K_s, V_s; M_s) + (1 - m) Attention(Q, K_s, V_s; 1 - M_s), equations 5 and 6 of the paper."""
    maps = WordMaps(TextColumns.of([[0], [0]]))
    target = torch.tensor([1.0, 1, 1, 0, 0, 0, 0, 0, 0])
    source = torch.tensor([0.0, 0, 0, 0, 0, 1, 1, 1, 1])
    maps.add(torch.stack([target, source]).reshape(2, 1, 9, 1))
    tap = MutualAttention([SITE], 0, maps, (3, 3), 0.5)
    tap.begin(step(0))
    query, key, value = (sequence(2, TOKENS, seed) for seed in range(3))
    out = tap.attend(SITE, query, key, value, 0)
    assert out is not None
    inside = source.bool()
    of_object = attention(query[:1], key[:1, inside], value[:1, inside])
    of_background = attention(query[:1], key[:1, ~inside], value[:1, ~inside])
    expected = torch.where(target.bool()[None, :, None, None], of_object, of_background)
    assert_rounded(out[:1], expected, 60)
    assert_rounded(out[1], attention(query, key, value)[1], 60)


def test_without_words_on_one_side_mutual_attention_sees_all_of_the_source() -> None:
    maps = WordMaps(TextColumns.of([[0], []]))
    maps.add(torch.rand(2, 1, TOKENS, 1, generator=torch.Generator().manual_seed(0)))
    tap = MutualAttention([SITE], 0, maps, (3, 3), 0.5)
    tap.begin(step(0))
    query, key, value = (sequence(2, TOKENS, seed) for seed in range(3))
    out = tap.attend(SITE, query, key, value, 0)
    assert out is not None
    assert_rounded(out, attention(query, key, value), 60)
