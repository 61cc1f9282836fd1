"""MasaCtrl (arXiv 2304.08465): the edit asks its own questions and gets the source's answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from undrift.attention.mutual import MutualAttention
from undrift.attention.sites import Site
from undrift.attention.summed import SumMaps, WordMaps
from undrift.attention.taps import AttentionTap
from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone, Conditioning
from undrift.flow import Euler, Observer, VelocityField, integrate
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.ddim import DDIMParams
from undrift.methods.needs import Need
from undrift.methods.pair import BesidePath, edited_columns, inverted_picture, paired, word_maps


class MasaCtrlParams(DDIMParams):
    """Parameters of ``masactrl``."""

    start_step: int = Field(4, ge=0, description="first step in which the target attends to the source (S)")
    layers: float = Field(
        0.625,
        ge=0,
        le=1,
        description="share of the self-attention layers, from the first, that stay alone (L: 10 of 16)",
    )
    source: Literal["empty", "caption"] = Field("empty", description="the source's prompt, inversion included")
    masked: bool = Field(False, description="the edit's words attend to the source's words, the rest to the rest")
    mask_threshold: float = Field(0.1, ge=0, le=1, description="of the words' maps, stretched to 0 to 1")


class MasaCtrl(EditMethod):
    """From step S and layer L on, Attention(Q_target, K_target, V_target) <- Attention(Q_target, K_source, V_source).

    In both branches of guidance, the negative target reads the negative source. With ``masked`` tokens where the
    target's words are attend to those where the source's are, the others to the others:
    f <- m f_object + (1 - m) f_background.

    Source: Cao et al. 2023, "MasaCtrl: Tuning-Free Mutual Self-Attention Control for Consistent Image Synthesis and
    Editing", arXiv 2304.08465, sections 3.2 and 3.3, equations 4 to 6. A real picture is inverted with the empty
    prompt, as in the released code.
    """

    name: ClassVar[str] = "masactrl"
    title: ClassVar[str] = "MasaCtrl"
    paper: ClassVar[str] = "MasaCtrl: Tuning-Free Mutual Self-Attention Control, arXiv 2304.08465"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {"default": MasaCtrlParams(), "masked": MasaCtrlParams(source="caption", masked=True)}
    )
    dial: ClassVar[Dial] = MappingProxyType({"start_step": (15, 0), "layers": (0.9, 0.3)})
    params: MasaCtrlParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p = self.params
        return Cost.of(model, (p.steps, p.inversion_guidance), (p.steps, (p.guidance, p.guidance)))

    def needs(self) -> tuple[Need, ...]:
        return needed(self.params)

    def steered_by_words(self) -> bool:
        return self.params.masked

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p, captions = self.params, source_prompts(self.params, request)
        noise = inverted_picture(backbone, request, captions, p.steps, p.inversion_guidance, observers).final
        prompts = paired(backbone, request, captions)
        field = backbone.velocity_field(prompts, request.previous.geometry, p.guidance)
        return mutual(p, backbone, request, prompts, field, noise, observers)


def needed(p: MasaCtrlParams) -> tuple[Need, ...]:
    """The layers that mutual attention cannot do without."""
    return (
        *((Need("sharing_sites", "set layers=1"),) if p.layers < 1 else ()),
        *((Need("map_sites", "set masked=false"),) if p.masked else ()),
    )


def source_prompts(p: MasaCtrlParams, request: EditRequest) -> list[str]:
    """What the sources are inverted and sampled with."""
    return [""] * len(request.seeds) if p.source == "empty" else list(request.source_prompts)


def mutual(
    p: MasaCtrlParams,
    backbone: Backbone,
    request: EditRequest,
    prompts: Conditioning,
    field: VelocityField,
    noise: Tensor,
    observers: Sequence[Observer],
    states: Sequence[Tensor] | None = None,
) -> EditResult:
    """Sample the pairs, the targets with the keys and values of the sources; arguments as ``p2p.exchanged``."""
    geometry, rows = request.previous.geometry, len(request.seeds)
    maps = word_maps(edited_columns(prompts, request)) if p.masked else None
    beside = field if states is None else BesidePath(field, states)
    start = torch.cat([noise, noise]) if states is None else noise
    with backbone.tapped(*_taps(p, backbone, maps, (geometry.rows, geometry.columns))):
        sampling = integrate(beside, Euler(), start, backbone.sigmas(p.steps, geometry), observers=observers)
    mask = None if maps is None else maps.stretched_above(p.mask_threshold)
    return EditResult.of(geometry, sampling.final[:rows], None if mask is None else mask[:rows].float())


def _taps(
    p: MasaCtrlParams, backbone: Backbone, maps: WordMaps | None, grid: tuple[int, int]
) -> tuple[AttentionTap, ...]:
    tap = MutualAttention(sites(p, backbone.capabilities.sharing_sites), p.start_step, maps, grid, p.mask_threshold)
    return (tap,) if maps is None else (SumMaps(maps, backbone.capabilities.map_sites), tap)


def sites(p: MasaCtrlParams, sharing: Sequence[Site]) -> tuple[Site, ...]:
    """The layers behind the first ``layers`` of all that share features; one at least unless all stay alone."""
    alone = len(sharing) if p.layers == 1 else min(round(p.layers * len(sharing)), len(sharing) - 1)
    return tuple(sharing[max(0, alone) :])
