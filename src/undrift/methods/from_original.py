"""Every turn starts over from the original picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar

from undrift.backbones.base import Backbone
from undrift.errors import InputError
from undrift.flow import Observer
from undrift.methods.base import EditRequest, EditResult, Params
from undrift.methods.wrapper import Wrapper, WrapperParams


class FromOriginal(Wrapper):
    """X_k = edit(X_0, original caption -> target prompt of turn k): no error can accumulate, no edit is kept.

    Source: no paper; the baseline that chains of edits are to be measured against. The target prompt must describe
    the whole picture, all earlier edits included.
    """

    name: ClassVar[str] = "from_original"
    title: ClassVar[str] = "From the original"
    paper: ClassVar[str] = "none (a baseline for chained edits)"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType({"default": WrapperParams()})

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        captions = request.source_prompts if request.turn == 1 else request.original_prompts
        if len(captions) != len(request.target_prompts):
            raise InputError("from_original needs the caption of the original picture: start the session with one")
        afresh = replace(request, previous=request.original, turn=1, source_prompts=captions, previous_images=())
        return self.inner().edit(backbone, afresh, observers)
