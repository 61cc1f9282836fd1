"""Taps that work by the step under way say so where there is none, instead of doing nothing or what the first step
asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.support.toy import toy_picture
from undrift.attention import AdaptiveHighlight, AttentionTap, TextColumns
from undrift.attention.exchange import PromptToPrompt, Schedule, refined
from undrift.attention.inject import FeatureStore, InjectFeatures, StoreFeatures
from undrift.attention.mutual import MutualAttention
from undrift.backbones import Backbone
from undrift.errors import InputError

PROMPTS = ["a dog", "a cat"]


def highlight(backbone: Backbone) -> AttentionTap:
    columns = TextColumns.of([[0], [1]])
    return AdaptiveHighlight(columns, columns, backbone.capabilities.map_sites)


def prompt_to_prompt(backbone: Backbone) -> AttentionTap:
    exchange = refined([(("a", "cat"), ("a", "dog"))], backbone.embed(PROMPTS).text_tokens)
    sites = frozenset(backbone.sites)
    return PromptToPrompt(exchange, Schedule(sites, sites, 1, 1, 10_000))


TAPS: Mapping[str, Callable[[Backbone], AttentionTap]] = {
    "AdaptiveHighlight": highlight,
    "PromptToPrompt": prompt_to_prompt,
    "MutualAttention": lambda backbone: MutualAttention(backbone.sites, 0),
    "StoreFeatures": lambda backbone: StoreFeatures(FeatureStore(), backbone.sites, ["value"], range(3)),
    "InjectFeatures": lambda backbone: InjectFeatures(FeatureStore(), backbone.sites, {"value": "replace"}, range(3)),
}


@pytest.mark.parametrize("name", TAPS)
def test_an_evaluation_outside_an_integration_is_refused(name: str, tiny_flux: Backbone) -> None:
    latent = tiny_flux.encode([toy_picture()] * 2)
    field = tiny_flux.velocity_field(tiny_flux.embed(PROMPTS), latent.geometry, 1.0)
    with (
        tiny_flux.tapped(TAPS[name](tiny_flux)),
        pytest.raises(InputError, match=f"{name} works by the step under way .* install it around integrate"),
    ):
        field(latent.packed, 0.5)
