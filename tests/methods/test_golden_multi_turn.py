"""multi_turn's faithful presets land on the latents of the released code, and the backbone on its velocities."""

from __future__ import annotations

import pytest
from torch import Tensor

from tests.support import golden
from tests.support.closeness import rounding
from tests.support.slow_cases import slow_but_for
from undrift.flow import combine_anchors
from undrift.methods.multi_turn import MultiTurn

RECORDED = golden.arrays("mtc")


def test_one_evaluation_of_the_network_is_the_recorded_one() -> None:
    backbone = golden.backbone()
    field = backbone.velocity_field(backbone.embed([golden.SOURCE]), golden.GRID, 3.5)
    golden.close(field(RECORDED["x0"], 0.7313), RECORDED["velocity_t0.7313_g3.5"])


@pytest.mark.parametrize("steps", [8, 15, 28])
@pytest.mark.parametrize(("tokens", "side"), [(64, 8), (1024, 32)])
def test_the_schedule_is_the_recorded_one(steps: int, tokens: int, side: int) -> None:
    from undrift.backbones.base import Geometry

    ours = golden.backbone().sigmas(steps, Geometry(16 * side, 16 * side, side, side, 16))
    # The recorded ones were computed in float32.
    golden.close(ours, RECORDED[f"sigmas_{steps}_n{tokens}"], tolerance=rounding(10))


@pytest.mark.parametrize(
    ("preset", "steps", "evaluations"),
    slow_but_for({("faithful-8", 8, 18)}, [("faithful-8", 8, 18), ("faithful", 15, 32)]),
)
def test_the_faithful_presets_land_on_the_recorded_latents(preset: str, steps: int, evaluations: int) -> None:
    method, backbone = MultiTurn(MultiTurn.presets[preset]), golden.backbone()
    source, target = backbone.embed([golden.SOURCE]), backbone.embed([golden.TARGET])
    noise = RECORDED[f"mtc_{steps}_noise"]
    inversion = method.invert(backbone, RECORDED["x0"], noise, source, golden.GRID)
    golden.close(inversion.final, RECORDED[f"mtc_{steps}_inverted"])
    for name, anchor in _anchors().items():
        for highlighted in (False, True):
            tap = method.highlighter(backbone, golden.request(), target) if highlighted else None
            sampling = method.sample(backbone, inversion.final, anchor, target, golden.GRID, tap)
            golden.close(sampling.final, RECORDED[f"mtc_{steps}_{name}_attn{int(highlighted)}"])
            assert inversion.calls + sampling.calls == method.cost(backbone).evaluations == evaluations


def _anchors() -> dict[str, Tensor]:
    first, previous = RECORDED["x0"], RECORDED["xp"]
    return {"single": first, "dual": combine_anchors([first, previous], [0.3, 0.7])}
