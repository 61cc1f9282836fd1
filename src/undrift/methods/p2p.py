"""Prompt-to-Prompt (arXiv 2208.01626): the edit attends where its source attended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from undrift.attention.exchange import Exchange, PromptToPrompt, Schedule, refined, replaced, reweighted
from undrift.attention.summed import WordMaps
from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone, Conditioning, Geometry
from undrift.flow import Euler, Observer, VelocityField, integrate
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.ddim import DDIMParams
from undrift.methods.needs import Need
from undrift.methods.pair import BesidePath, LocalBlend, edited_columns, inverted_picture, paired, word_maps


class P2PParams(DDIMParams):
    """Parameters of ``p2p``, and of the methods that edit by it."""

    exchange: Literal["refine", "replace"] = Field(
        "refine", description="refine aligns tokens, new ones attend for themselves; replace goes word for word"
    )
    cross_share: float = Field(
        0.4, ge=0, le=1, description="share of the steps that take the source's text attention"
    )
    self_share: float = Field(0.6, ge=0, le=1, description="share of the steps that take the source's self-attention")
    self_fineness: int = Field(
        2, ge=1, description="in layers at most so many times as fine per side as the maps (SD at 512: 2 is 32 x 32)"
    )
    reweight: float = Field(2.0, ge=0, description="factor on the attention to the edit's words in the target")
    blend: bool = Field(True, description="keep the edit to where its words are (LocalBlend)")
    blend_threshold: float = Field(
        0.3, ge=0, le=1, description="share of the words' largest map that counts as there"
    )
    blend_start: float = Field(0.2, ge=0, le=1, description="share of the steps after which the blending begins")


class P2P(EditMethod):
    """Source and target run side by side from one inverted noise; the target takes the source's attention weights.

    M_j <- M_source,a(j) for tokens that both prompts have, M_j <- c_j M_j for the words of the edit, in the first
    ``cross_share`` of the steps; self-attention M <- M_source in the first ``self_share``; and
    x <- x_source + m (x - x_source) with m where the edit's words are.

    Source: Hertz et al. 2022, "Prompt-to-Prompt Image Editing with Cross Attention Control", arXiv 2208.01626,
    sections 3 and 4. The defaults are those with which PnP Inversion (arXiv 2310.01506) ran it on PIE-Bench:
    refinement for every pair of prompts, .4 and .6, the edit's words reweighted by 2.
    """

    name: ClassVar[str] = "p2p"
    title: ClassVar[str] = "Prompt-to-Prompt"
    paper: ClassVar[str] = "Prompt-to-Prompt Image Editing with Cross Attention Control, arXiv 2208.01626"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {
            "default": P2PParams(),
            "notebook": P2PParams(cross_share=0.8, self_share=0.4, self_fineness=1, reweight=1.0),
        }
    )
    dial: ClassVar[Dial] = MappingProxyType({"cross_share": (0.2, 0.8), "self_share": (0.2, 0.9)})
    params: P2PParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p = self.params
        return Cost.of(model, (p.steps, p.inversion_guidance), (p.steps, (p.guidance, p.guidance)))

    def needs(self) -> tuple[Need, ...]:
        p = self.params
        return (
            *((Need("text_sites", "set cross_share=0"),) if p.cross_share else ()),
            *((Need("sharing_sites", "set self_share=0"),) if p.self_share else ()),
            *((Need("map_sites", "set blend=false"),) if p.blend else ()),
        )

    def steered_by_words(self) -> bool:
        return self.params.blend or self.params.reweight != 1.0

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p = self.params
        noise = inverted_picture(
            backbone, request, request.source_prompts, p.steps, p.inversion_guidance, observers
        ).final
        prompts = paired(backbone, request, request.source_prompts)
        field = backbone.velocity_field(prompts, request.previous.geometry, p.guidance)
        return exchanged(p, backbone, request, prompts, field, noise, observers)


def exchanged(
    p: P2PParams,
    backbone: Backbone,
    request: EditRequest,
    prompts: Conditioning,
    field: VelocityField,
    noise: Tensor,
    observers: Sequence[Observer],
    states: Sequence[Tensor] | None = None,
) -> EditResult:
    """Sample the pairs with the sources' attention weights in the targets.

    Args:
        p: how.
        backbone, request, observers: the turn's.
        prompts: of targets and sources.
        field: their velocity.
        noise: where both begin, (R, tokens, channels).
        states: the inversion's, the picture first, which the sources are put on; None lets them sample.
    """
    geometry, rows = request.previous.geometry, len(request.seeds)
    columns = edited_columns(prompts, request)
    maps = word_maps(columns) if p.blend else None
    tap = _tap(p, backbone, geometry, prompts, columns[:rows], maps)
    blend = None
    if maps is not None:
        first, path = int(p.blend_start * p.steps), None if states is None else states[::-1]
        blend = LocalBlend(maps, (geometry.rows, geometry.columns), p.blend_threshold, first, path)
    beside = field if states is None else BesidePath(field, states)
    start = torch.cat([noise, noise]) if states is None else noise
    with backbone.tapped(tap):
        sampling = integrate(
            beside, Euler(), start, backbone.sigmas(p.steps, geometry), controller=blend, observers=observers
        )
    return EditResult.of(geometry, sampling.final[:rows], None if blend is None else blend.mask)


def _tap(
    p: P2PParams,
    backbone: Backbone,
    geometry: Geometry,
    prompts: Conditioning,
    columns: Sequence[Sequence[int]],
    maps: WordMaps | None,
) -> PromptToPrompt:
    can = backbone.capabilities
    schedule = Schedule(
        text_sites=frozenset(can.text_sites),
        image_sites=frozenset(can.sharing_sites),
        text_steps=int(p.cross_share * (p.steps + 1)),
        image_steps=int(p.self_share * p.steps),
        most_tokens=geometry.tokens * p.self_fineness**2,
    )
    exchange = reweighted(_exchange(p, prompts), columns, p.reweight)
    return PromptToPrompt(exchange, schedule, maps, can.map_sites)


def _exchange(p: P2PParams, prompts: Conditioning) -> Exchange:
    rows = len(prompts.tokens) // 2
    pairs = list(zip(prompts.tokens[rows:], prompts.tokens[:rows], strict=True))
    if p.exchange == "replace":
        return replaced(pairs, prompts.text_tokens)
    return refined([(source.tokens, target.tokens) for source, target in pairs], prompts.text_tokens)
