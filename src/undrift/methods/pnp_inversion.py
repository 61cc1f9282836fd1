"""PnP Inversion, or direct inversion (arXiv 2310.01506): the source branch is put back on the inversion's path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.flow import Observer
from undrift.methods.base import Dial, EditMethod, EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.masactrl import MasaCtrlParams, mutual, needed, source_prompts
from undrift.methods.needs import Need
from undrift.methods.p2p import P2P, P2PParams, exchanged
from undrift.methods.pair import inverted_picture, paired


class PnPInversionParams(P2PParams, MasaCtrlParams):
    """Parameters of ``pnp_inversion``; those of the editor that is not chosen do nothing."""

    editor: Literal["p2p", "masactrl"] = Field("p2p", description="what edits beside the exact source")


class PnPInversion(EditMethod):
    """z_source <- z* of the inversion at every step, the target untouched; Prompt-to-Prompt or MasaCtrl edits beside.

    Adding the offset z*_{t-1} - z_{t-1} to the source branch, as the paper has it, is the same as putting it there,
    for no editor changes the source branch; it saves a pass over all steps.

    Source: Ju et al. 2023, "PnP Inversion: Boosting Diffusion-based Editing with 3 Lines of Code", arXiv 2310.01506,
    section 4, algorithm 1.
    """

    name: ClassVar[str] = "pnp_inversion"
    title: ClassVar[str] = "PnP Inversion"
    paper: ClassVar[str] = "PnP Inversion: Boosting Diffusion-based Editing with 3 Lines of Code, arXiv 2310.01506"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType(
        {"default": PnPInversionParams(), "masactrl": PnPInversionParams(editor="masactrl")}
    )
    dial: ClassVar[Dial] = MappingProxyType({**P2P.dial, "start_step": (15, 0), "layers": (0.9, 0.3)})
    params: PnPInversionParams

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        p = self.params
        sampling = (p.steps, (p.guidance, p.guidance))
        return Cost.of(model, (p.steps, p.inversion_guidance), sampling, kept_states=p.steps + 1)

    def needs(self) -> tuple[Need, ...]:
        return needed(self.params) if self._mutual else P2P(self.params).needs()

    def steered_by_words(self) -> bool:
        return self.params.masked if self._mutual else P2P(self.params).steered_by_words()

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        p = self.params
        captions = source_prompts(p, request) if self._mutual else list(request.source_prompts)
        inversion = inverted_picture(
            backbone, request, captions, p.steps, p.inversion_guidance, observers, record=True
        )
        prompts = paired(backbone, request, captions)
        field = backbone.velocity_field(prompts, request.previous.geometry, p.guidance)
        edit = mutual if self._mutual else exchanged
        return edit(p, backbone, request, prompts, field, inversion.final, observers, inversion.states)

    @property
    def _mutual(self) -> bool:
        return self.params.editor == "masactrl"
