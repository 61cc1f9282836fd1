"""Stable Flow lands on the latents of the authors' implementation; the corrected index retraces the source."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.support import golden
from undrift.flow import Observer, StepEnd
from undrift.methods.base import EditRequest
from undrift.methods.registry import get
from undrift.methods.stable_flow import BesideSource, StableFlow, StableFlowParams

RECORDED = golden.arrays("stableflow")


class States(Observer):
    """Keeps the states of the inversion."""

    def __init__(self) -> None:
        self.inverted: list[Tensor] = []

    def end(self, event: StepEnd) -> None:
        if event.step.inverting:
            self.inverted.append(event.x)


def _backbone() -> golden.GoldenBackbone:
    source = RECORDED["txt_src_512"], RECORDED["vec_src_512"]
    target = RECORDED["txt_tgt_512"], RECORDED["vec_tgt_512"]
    return golden.GoldenBackbone({golden.SOURCE: source, golden.TARGET: target})


@pytest.mark.slow
def test_stable_flow_lands_on_the_recorded_latents() -> None:
    method = StableFlow(StableFlowParams(steps=10, nudge=1.0, faithful_index=True))
    watch = States()
    result = method.edit(_backbone(), golden.request(RECORDED["x0_512"]), [watch])
    golden.close(torch.cat(watch.inverted), RECORDED["stableflow_10_inversion_list"])
    last_row = _unused_field([RECORDED["x0_512"], *watch.inverted], faithful=True).source(10)
    golden.close(last_row, RECORDED["stableflow_10_row0"])
    golden.close(result.latent.packed, RECORDED["stableflow_10_edited"])
    assert (result.evaluations, result.sample_evaluations) == (20, 30)


def test_the_vital_layers_are_those_of_the_paper_s_code() -> None:
    sites = StableFlow().layers(golden.backbone())
    assert [s.index for s in sites if s.kind == "double"] == [0, 1, 17, 18]
    assert [s.index for s in sites if s.kind == "single"] == [6, 9, 34, 35, 37]


def test_the_default_shows_the_source_row_the_state_of_its_own_sigma() -> None:
    states = [torch.full((1, 1, 1), float(i)) for i in range(4)]
    paired = _unused_field(states, faithful=False)
    assert [float(paired.source(i)) for i in range(4)] == [3.0, 2.0, 1.0, 0.0]


def test_any_text_length_and_grid_will_do() -> None:
    wide = golden.request()
    oblong = replace(golden.GRID, height=64, rows=4)
    latent = replace(wide.original, packed=wide.original.packed[:, :32], geometry=oblong)
    request: EditRequest = replace(wide, original=latent, previous=latent)
    result = get("stable_flow", overrides={"steps": 2}).edit(golden.backbone(), request)
    assert result.latent.packed.shape == (1, 32, 64)


def test_a_turn_of_fifty_steps_costs_150_sample_evaluations() -> None:
    # One evaluation of one row per inversion step, one of two rows per sampling step.
    cost = StableFlow().cost(golden.backbone())
    assert (cost.evaluations, cost.sample_evaluations) == (100, 150)
    short = get("stable_flow", overrides={"steps": 2}).edit(golden.backbone(), golden.request())
    assert short.sample_evaluations * 25 == 150


def _unused_field(states: list[Tensor], faithful: bool) -> BesideSource:
    return BesideSource(lambda x, sigma: x, states, faithful)
