"""Evaluations of some tokens against evaluations of all: equal where nothing differs, as cheap as promised."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tests.support.closeness import assert_rounded
from tests.support.tiny_flux import OPERATIONS
from tests.support.tiny_pipelines import flux2_dev, loaded
from undrift.attention import MapCapture, TextColumns
from undrift.backbones import Backbone, from_pipeline
from undrift.backbones.conditioning import PromptTokens
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.placement import Placement
from undrift.backbones.prompts import conditioning_of
from undrift.backbones.sparse import SparsePair
from undrift.errors import InputError

SIZE = 48, 40
SOURCES = ["a red cat on the grass", "a dog in the snow"]
TARGETS = ["a blue cat on the grass", "a dog in the field"]
TOKENS = [torch.tensor([7, 3, 12, 4]), torch.tensor([0, 1, 8, 20, 21, 22])]
GUIDANCE = 1.5, 5.5


@cache
def dev() -> Backbone:
    return from_pipeline(flux2_dev(), name="dev")


@pytest.fixture(params=["flux", "flux2"])
def backbone(request: pytest.FixtureRequest, tiny_flux: Backbone) -> Backbone:
    return tiny_flux if request.param == "flux" else dev()


def states(backbone: Backbone, number: int = 0) -> Tensor:
    shape = 2, backbone.geometry(SIZE).tokens, 16
    return torch.randn(shape, generator=torch.Generator().manual_seed(number))


def pair_of(
    backbone: Backbone, sources: list[str], targets: list[str], tokens: list[Tensor], guidance: tuple[float, float]
) -> SparsePair:
    embedded = backbone.embed(sources), backbone.embed(targets)
    return SparsePair(backbone, *embedded, backbone.geometry(SIZE), guidance, tokens)


def velocity(backbone: Backbone, prompts: list[str], x: Tensor, guidance: float) -> Tensor:
    return backbone.velocity_field(backbone.embed(prompts), backbone.geometry(SIZE), guidance)(x, 0.6)


def test_some_tokens_come_out_as_among_all_where_source_and_target_are_one(backbone: Backbone) -> None:
    x = states(backbone)
    pair = pair_of(backbone, SOURCES, SOURCES, TOKENS, (GUIDANCE[0], GUIDANCE[0]))
    with pair.fields() as (source, target):
        whole, some = source(x, 0.6), target(x, 0.6)
    assert torch.equal(whole, velocity(backbone, SOURCES, x, GUIDANCE[0])), (
        "sharing keys changes no bit of the source"
    )
    assert_rounded(some, whole, OPERATIONS)
    for row, tokens in enumerate(TOKENS):
        changed = (some[row] != whole[row]).any(-1).nonzero().flatten()
        assert set(changed.tolist()) <= set(tokens.tolist()), "elsewhere it is the source's velocity to the bit"


def test_with_every_token_it_is_the_target_whatever_the_source(backbone: Backbone) -> None:
    count = backbone.geometry(SIZE).tokens
    shuffled = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    pair = pair_of(backbone, SOURCES, TARGETS, [torch.arange(count), shuffled], GUIDANCE)
    with pair.fields() as (source, target):
        source(states(backbone), 0.6)
        made = target(states(backbone, 1), 0.6)
    expected = velocity(backbone, TARGETS, states(backbone, 1), GUIDANCE[1])
    assert_rounded(made, expected, OPERATIONS)
    assert (expected - velocity(backbone, SOURCES, states(backbone), GUIDANCE[0])).abs().max() > 0.05


def test_only_the_chosen_tokens_are_evaluated_and_one_step_is_kept(backbone: Backbone) -> None:
    pair, x = pair_of(backbone, SOURCES, TARGETS, TOKENS, GUIDANCE), states(backbone)
    count, before = x.shape[1], backbone.counter.copy()
    one, two = (backbone.feature_bytes(backbone.sites[0], backbone.geometry((side, 8))) for side in (8, 16))
    with pair.fields() as (source, target):
        for _ in range(2):
            source(x, 0.6)
            absent = 2 * count - sum(map(len, TOKENS))
            assert pair.kept_bytes == 2 * len(backbone.sites) * absent * (two - one)
            target(x, 0.6)
            assert pair.kept_bytes == 0
    spent = backbone.counter.since(before)
    assert (spent.evaluations, spent.rows) == (2 * 3, 2 * 4)
    assert spent.tokens == 2 * (2 * count + sum(map(len, TOKENS)))


def test_a_row_comes_out_as_it_does_alone(backbone: Backbone) -> None:
    x, y = states(backbone), states(backbone, 1)
    with pair_of(backbone, SOURCES, TARGETS, TOKENS, GUIDANCE).fields() as (source, target):
        source(x, 0.6)
        together = target(y, 0.6)
    with pair_of(backbone, SOURCES[1:], TARGETS[1:], TOKENS[1:], GUIDANCE).fields() as (source, target):
        source(x[1:], 0.6)
        assert_rounded(together[1:], target(y[1:], 0.6), OPERATIONS)


def test_a_row_without_tokens_costs_nothing(backbone: Backbone) -> None:
    none = torch.tensor([], dtype=torch.int64)
    pair, before = pair_of(backbone, SOURCES, TARGETS, [none, none], GUIDANCE), backbone.counter.copy()
    with pair.fields() as (source, target):
        assert torch.equal(source(states(backbone), 0.6), target(states(backbone, 1), 0.6))
    assert backbone.counter.since(before).evaluations == 1


def test_the_target_is_refused_without_the_source_of_its_sigma(backbone: Backbone) -> None:
    x = states(backbone)
    with pair_of(backbone, SOURCES, TARGETS, TOKENS, GUIDANCE).fields() as (source, target):
        source(x, 0.6)
        with pytest.raises(InputError, match=r"the target at sigma 0\.5 needs the source's evaluation at that sigma"):
            target(x, 0.5)


def test_taps_that_know_all_tokens_only_are_refused_by_name(backbone: Backbone) -> None:
    tap = MapCapture(TextColumns.of([[1], [1]]), backbone.capabilities.map_sites)
    with (
        backbone.tapped(tap),
        pytest.raises(InputError, match="MapCapture knows evaluations of all tokens only: set sparse=false"),
        pair_of(backbone, SOURCES, TARGETS, TOKENS, GUIDANCE).fields(),
    ):
        pass


@pytest.mark.parametrize("name", ["sd3", "flux2"])
def test_a_model_that_takes_no_part_of_the_tokens_is_refused(name: str) -> None:
    """Stable Diffusion 3 knows places by the whole grid; klein-base has a second evaluation, with keys of its own."""
    with pytest.raises(InputError, match="cannot be evaluated at some of its tokens alone"):
        pair_of(loaded(name), SOURCES, TARGETS, TOKENS, GUIDANCE)


def test_a_quarter_of_the_tokens_costs_less_than_half_at_flux_1_s_width() -> None:
    """Operations of one double and two single blocks of 24 heads of 128, 4096 image tokens and 512 of text."""
    with torch.device("meta"):
        network = FluxTransformer2DModel(guidance_embeds=True, num_layers=1, num_single_layers=2)
    backbone = FluxBackbone(network, placement=Placement(torch.device("meta"), torch.bfloat16))
    geometry = backbone.geometry((1024, 1024))
    text, pooled = (torch.zeros(1, *shape, device="meta") for shape in ((512, 4096), (768,)))
    prompt = conditioning_of(text, pooled, (PromptTokens("", (), ()),))
    x = torch.zeros(1, geometry.tokens, 64, device="meta")
    pair = SparsePair(backbone, prompt, prompt, geometry, GUIDANCE, [torch.arange(geometry.tokens // 4)])
    with pair.fields() as (source, target):
        with FlopCounterMode(display=False) as whole:
            source(x, 0.6)
        with FlopCounterMode(display=False) as some:
            target(x, 0.6)
    assert whole.get_total_flops() > 3e12, (
        "three blocks of 4608 tokens, counted by hand: 24 * 3 * 3072^2 * 4608 = 3.1e12"
    )
    assert some.get_total_flops() <= 0.45 * whole.get_total_flops()
