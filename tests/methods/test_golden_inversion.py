"""Reflow, RF-Solver, FireFlow and RF-Inversion land on the latents of their reference implementations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from torch import Tensor

from tests.support import golden
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


@pytest.mark.parametrize(
    ("method", "overrides", "recorded", "inverted", "edited", "evaluations"),
    [
        ("reflow", {"steps": 15}, REFLOW, "euler_15_inverted", "euler_15_edited", 30),
        ("fireflow", {"inject_steps": 0}, SHARED, "fireflow_8_inverted", "fireflow_8_inject0_from20", 18),
        ("fireflow", {}, SHARED, "fireflow_8_inverted", "fireflow_8_inject1_from20", 18),
        ("fireflow", {"shared_blocks": 38}, SHARED, "fireflow_8_inverted", "fireflow_8_inject1_from0", 18),
        ("fireflow", {"inject_steps": 2}, SHARED, "fireflow_8_inverted", "fireflow_8_inject2_from20", 18),
        (
            "rf_solver",
            {"steps": 10, "inject_steps": 0},
            SHARED,
            "rfsolver_10_inverted",
            "rfsolver_10_inject0_from20",
            40,
        ),
        (
            "rf_solver",
            {"steps": 10, "inject_steps": 2},
            SHARED,
            "rfsolver_10_inverted",
            "rfsolver_10_inject2_from20",
            40,
        ),
        (
            "rf_solver",
            {"steps": 10, "inject_steps": 5},
            SHARED,
            "rfsolver_10_inverted",
            "rfsolver_10_inject5_from20",
            40,
        ),
    ],
)
def test_inversion_and_edit_land_on_the_recorded_latents(
    method: str,
    overrides: Mapping[str, int],
    recorded: Mapping[str, Tensor],
    inverted: str,
    edited: str,
    evaluations: int,
) -> None:
    watch = Inverted()
    result = get(method, overrides=overrides).edit(golden.backbone(), golden.request(), [watch])
    golden.close(watch.final, recorded[inverted])
    golden.close(result.latent.packed, recorded[edited])
    assert result.evaluations == evaluations


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
