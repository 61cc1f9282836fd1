"""Reflow, RF-Solver, FireFlow and RF-Inversion land on the latents of their reference implementations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import pytest
from torch import Tensor

from tests.support import golden
from tests.support.slow_cases import slow_but_for
from undrift.flow import Observer, StepEnd
from undrift.methods import rf_inversion
from undrift.methods.base import EditRequest
from undrift.methods.registry import get

REFLOW = golden.arrays("mtc")
SHARED = golden.arrays("fireflow_rfsolver")
OFFICIAL = golden.arrays("rfinversion_flowedit")


class Inverted(Observer):
    """Keeps the state in which the inversion ends."""

    final: Tensor

    def end(self, event: StepEnd) -> None:
        if event.step.inverting:
            self.final = event.x


class Landing(NamedTuple):
    """What a method does, the archive with what it must give, and what it spends."""

    method: str
    overrides: Mapping[str, int]
    recorded: Mapping[str, Tensor]
    inverted: str
    evaluations: int


LANDINGS = {
    "euler_15_edited": Landing("reflow", {"steps": 15}, REFLOW, "euler_15_inverted", 30),
    "fireflow_8_inject0_from20": Landing("fireflow", {"inject_steps": 0}, SHARED, "fireflow_8_inverted", 18),
    "fireflow_8_inject1_from20": Landing("fireflow", {}, SHARED, "fireflow_8_inverted", 18),
    "fireflow_8_inject1_from0": Landing("fireflow", {"shared_blocks": 38}, SHARED, "fireflow_8_inverted", 18),
    "fireflow_8_inject2_from20": Landing("fireflow", {"inject_steps": 2}, SHARED, "fireflow_8_inverted", 18),
    **{
        f"rfsolver_10_inject{steps}_from20": Landing(
            "rf_solver", {"steps": 10, "inject_steps": steps}, SHARED, "rfsolver_10_inverted", 40
        )
        for steps in (0, 2, 5)
    },
}
"""By the name of the recorded result."""
QUICK = {"fireflow_8_inject1_from20"}


@pytest.mark.parametrize("edited", slow_but_for(QUICK, LANDINGS))
def test_inversion_and_edit_land_on_the_recorded_latents(edited: str) -> None:
    method, overrides, recorded, inverted, evaluations = LANDINGS[edited]
    watch = Inverted()
    result = get(method, overrides=overrides).edit(golden.backbone(), golden.request(), [watch])
    golden.close(watch.final, recorded[inverted])
    golden.close(result.latent.packed, recorded[edited])
    assert result.evaluations == evaluations


@pytest.mark.slow
def test_rf_inversion_lands_on_the_diffusers_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rf_inversion, "seeded_noise", lambda seeds, like: OFFICIAL["rfinv_28_noise"])
    watch = Inverted()
    result = get("rf_inversion").edit(golden.backbone(), golden.request(), [watch])
    golden.close(watch.final, OFFICIAL["rfinv_28_inverted"])
    golden.close(result.latent.packed, OFFICIAL["rfinv_28_eta0.9_stop0.25"])
    assert result.evaluations == 56
    full_pull = rf_inversion.RFInversion(rf_inversion.RFInversionParams(gain=1.0))
    sampling = full_pull.sample(golden.backbone(), golden.request(), watch.final)
    golden.close(sampling.final, OFFICIAL["rfinv_28_eta1.0_stop0.25"])


@pytest.mark.slow
def test_rf_inversion_lands_on_the_variant_of_the_multi_turn_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rf_inversion, "seeded_noise", lambda seeds, like: REFLOW["mtcrf_15_noise"])
    method = rf_inversion.RFInversion(rf_inversion.RFInversion.presets["mtc"])
    first, later = golden.request(), _later_turn()
    inversion = method.invert(golden.backbone(), first)
    golden.close(inversion.final, REFLOW["mtcrf_15_inverted"])
    single = method.sample(golden.backbone(), first, inversion.final)
    dual = method.sample(golden.backbone(), later, inversion.final)
    golden.close(single.final, REFLOW["mtcrf_15_single"])
    golden.close(dual.final, REFLOW["mtcrf_15_dual"])
    assert inversion.calls + single.calls == method.cost(golden.backbone()).evaluations == 30


def _later_turn() -> EditRequest:
    first = golden.request()
    return replace(first, previous=replace(first.previous, packed=REFLOW["xp"]), turn=2)
