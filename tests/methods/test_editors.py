"""What the editors claim of themselves: exact reconstruction, exact anchors, masks, costs and wrapped methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.flow.mixture import Mixture
from tests.support.closeness import assert_rounded
from tests.support.toy import ToyBackbone, toy_picture
from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone, Geometry
from undrift.backbones.flux_architecture import FLUX_1
from undrift.errors import InputError
from undrift.flow import (
    Euler,
    Observer,
    ReusedImplicitEuler,
    Solver,
    Step,
    VelocityField,
    integrate,
    inverted,
    linear_sigmas,
)
from undrift.methods.base import EditMethod, EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.from_original import FromOriginal
from undrift.methods.registry import get
from undrift.methods.revert_unchanged import RevertUnchanged, RevertUnchangedParams, reverted
from undrift.methods.steerflow import SteeredField, SteerFlowParams, closed, soft_mask
from undrift.methods.uniedit_flow import RegionGuidedField, min_max


@pytest.mark.parametrize(
    ("name", "preset", "evaluations"),
    [
        ("multi_turn", "faithful", 32),
        ("rf_inversion", "default", 56),
        ("rf_solver", "default", 100),
        ("fireflow", "default", 18),
        ("flowedit", "default", 48),
        ("dec_flowedit", "default", 96),
        ("dec_flowedit", "short", 60),
        ("direct_edit", "default", 60),
        ("flow_align", "default", 99),
        ("stable_flow", "default", 100),
        ("steerflow", "default", 31),
        ("steerflow", "sd3", 61),
        ("uniedit_flow", "default", 28),
        ("uniedit_flow", "alpha-0.8", 37),
        ("no_edit", "default", 0),
    ],
)
def test_defaults_cost_what_the_papers_say(name: str, preset: str, evaluations: int) -> None:
    assert get(name, preset).cost(FLUX_1).evaluations == evaluations


def test_what_a_turn_keeps_at_1024_pixels() -> None:
    # 18 blocks, 2 evaluations, 5 steps, (512 + 4096) tokens of 3072 numbers of 2 bytes.
    assert kept(get("rf_solver")) == 18 * 2 * 5 * 4608 * 3072 * 2
    # 16 states of 4096 tokens of 64 numbers of 4 bytes; with the wrapper's method the same.
    assert kept(get("steerflow")) == 16 * 4096 * 64 * 4
    assert kept(get("from_original", overrides={"method": "rf_solver"})) == kept(get("rf_solver"))


def kept(method: EditMethod) -> int:
    return method.cost(FLUX_1).kept_bytes(FLUX_1)


def _first_turn(backbone: Backbone, target: str = "a blue cat") -> EditRequest:
    latent = backbone.encode([toy_picture()])
    return EditRequest(latent, latent, 1, ["a red cat"], [target], [None], [7])


def test_steerflow_retraces_the_inversion_where_the_target_stays_out() -> None:
    backbone = ToyBackbone()
    request = _first_turn(backbone)
    result = get("steerflow", overrides={"alpha": 0}).edit(backbone, request)
    assert_rounded(result.latent.packed, request.original.packed, 30 * 20)


def test_steerflow_follows_the_target_where_it_differs_and_the_source_elsewhere() -> None:
    states = [torch.zeros(1, 16, 2), torch.ones(1, 16, 2)]
    source = torch.ones(1, 16, 2)
    target = source.clone()
    target[:, 5] = 21.0
    params = SteerFlowParams(closing=1, quantile=1.0)
    field = SteeredField(lambda x, sigma: target, states, Geometry(64, 64, 4, 4, 16), params)
    field.begin(Step(index=0, count=1, sigma=1.0, sigma_next=0.0))
    inside = float(torch.sigmoid(torch.tensor(6.5)))
    expected = source + inside * (target - source)
    assert_rounded(field(states[1], 1.0), expected, 10)


@pytest.mark.parametrize("agreement", [True, False])
def test_steerflow_is_its_formulas_token_by_token(agreement: bool) -> None:
    """A turn worked out in float64 with loops over tokens; the field is a curved one with a closed form."""

    def velocity(prompt: float, x: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
        return np.asarray(np.sin(3.0 * x + prompt) * (1.0 + sigma) + prompt * np.cos(np.arange(16.0))[:, None])

    grid = [0.0, 0.3, 0.7, 1.0]
    start = np.random.default_rng(3).normal(size=(16, 4))
    states, carry = [start], velocity(0.2, start, 0.0)
    for low, high in pairwise(grid):
        carry = velocity(0.2, states[-1] + (high - low) * carry, high)
        states.append(states[-1] + (high - low) * carry)
    x = states[-1]
    for index in (3, 2, 1):
        sigma, after = grid[index], grid[index - 1]
        source, target = (states[index] - states[index - 1]) / (sigma - after), velocity(0.9, x, sigma)
        gap = [float(np.sqrt(((t - s) ** 2).sum())) for t, s in zip(target, source, strict=True)]
        low, high = np.quantile(gap, 0.2), np.quantile(gap, 0.8)
        soft = np.array([1.0 / (1.0 + np.exp(-13.0 * ((g - low) / (high - low) - 0.5))) for g in gap]).reshape(4, 4)
        mask = _around(_around(soft, max), min).reshape(16, 1)
        cosine = np.mean([t @ s / np.linalg.norm(t) / np.linalg.norm(s) for t, s in zip(target, source, strict=True)])
        share = (1.0 - after**5) * (cosine if agreement else 1.0)
        x = x + (after - sigma) * (source + share * mask * (target - source))

    def field(prompt: float) -> VelocityField:
        return lambda state, sigma: torch.from_numpy(velocity(prompt, state[0].numpy(), sigma))[None]

    params = SteerFlowParams(closing=3, agreement=agreement)
    up = integrate(
        field(0.2),
        ReusedImplicitEuler(),
        torch.from_numpy(start)[None],
        torch.tensor(grid, dtype=torch.float64),
        record=True,
    )
    steered = SteeredField(field(0.9), up.states, Geometry(64, 64, 4, 4, 16), params)
    down = integrate(steered, Euler(), up.final, torch.tensor(grid[::-1], dtype=torch.float64), observers=[steered])
    assert_rounded(down.final[0].numpy(), x, 1000)


def _around(grid: NDArray[np.float64], choose: Callable[[NDArray[np.float64]], float]) -> NDArray[np.float64]:
    """``choose`` of each cell and those around it that exist."""
    rows, columns = grid.shape
    cells = [
        [choose(grid[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].ravel()) for c in range(columns)]
        for r in range(rows)
    ]
    return np.array(cells)


def test_the_soft_mask_spans_the_quantiles_of_each_row() -> None:
    geometry = Geometry(160, 160, 10, 10, 16)
    size = torch.stack([torch.linspace(0, 1, 100), torch.linspace(0, 50, 100)])
    mask = soft_mask(size, geometry, SteerFlowParams(closing=1))
    # Quantiles of a line lie on it: between 0.2 and 0.8 it is mapped to -6.5 ... 6.5.
    expected = torch.sigmoid(13 * ((torch.linspace(0, 1, 100) - 0.2) / 0.6 - 0.5))
    for row in mask:
        assert_rounded(row, expected, 20, size=13.0)


def test_closing_fills_holes_and_keeps_the_outline() -> None:
    block = torch.zeros(1, 1, 9, 12)
    block[..., 2:7, 3:9] = 1.0
    pierced = block.clone()
    pierced[..., 4, 5] = 0.0
    assert torch.equal(closed(pierced, 3), block)


def test_min_max_of_a_constant_row_is_zero() -> None:
    assert torch.equal(
        min_max(torch.tensor([[2.0, 2.0, 2.0], [0.0, 1.0, 4.0]])), torch.tensor([[0, 0, 0], [0, 0.25, 1]])
    )


def test_uniedit_guides_each_token_by_how_much_the_prompts_disagree_there() -> None:
    target = torch.tensor([[[0.0, 0.0], [1.0, -1.0], [3.0, 3.0]]])
    field = RegionGuidedField(lambda x, sigma: torch.zeros_like(x), lambda x, sigma: target, omega=5.0)
    # m is 0, 1/3 and 1, and with v_S = 0 the velocity is (m + 5 (1 + m)) v_T.
    expected = target * torch.tensor([5.0, 7.0, 11.0])[:, None]
    assert_rounded(field(torch.ones(1, 3, 2), 0.5), expected, 10)


@pytest.mark.parametrize("omega", [0.0, 5.0])
def test_uniedit_with_one_prompt_is_plain_implicit_inversion_and_euler(omega: float) -> None:
    backbone = ToyBackbone()
    request = _first_turn(backbone, target="a red cat")
    method = get("uniedit_flow", overrides={"omega": omega, "null_source": False})
    result = method.edit(backbone, request)
    geometry, packed = request.original.geometry, request.original.packed
    field = backbone.velocity_field(backbone.embed(["a red cat"]), geometry, 1.0)
    grid = backbone.sigmas(15, geometry)[6:]
    up = integrate(field, ReusedImplicitEuler(), packed, inverted(grid))
    assert_rounded(result.latent.packed, integrate(field, Euler(), up.final, grid).final, 28 * 20)
    assert result.evaluations == 28


def test_implicit_inversion_is_reconstructed_by_euler_far_better_than_euler_s_own() -> None:
    mixture, grid = Mixture.of(4), linear_sigmas(30) * 0.9
    field, start = mixture.velocity, mixture.samples(64)

    def lost(solver: Solver) -> float:
        up = integrate(field, solver, start, inverted(grid))
        return float((integrate(field, Euler(), up.final, grid).final - start).abs().mean())

    assert lost(ReusedImplicitEuler()) < lost(Euler()) / 4


def test_full_pull_in_every_step_lands_rf_inversion_on_the_picture() -> None:
    backbone = ToyBackbone()
    request = _first_turn(backbone)
    result = get("rf_inversion", overrides={"gain": 1.0, "stop": 1.0}).edit(backbone, request)
    assert_rounded(result.latent.packed, request.previous.packed, 28 * 20)


def test_flowedit_refuses_counts_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="need n_min <= n_max <= steps, got 0, 24, 8"):
        get("flowedit", overrides={"steps": 8})


class Spy(EditMethod):
    """Keeps the request it is given and returns the previous latent a little brighter on the left."""

    paper: ClassVar[str] = "none"
    title: ClassVar[str] = "Spy"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType({"default": Params()})
    asked: ClassVar[list[EditRequest]] = []

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        return Cost()

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        self.asked.append(request)
        (image,) = backbone.decode(request.previous)
        pixels = np.asarray(image).astype(int)
        pixels[:, :16] += 40
        pixels[:, 16:] += 2
        changed = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        return EditResult(backbone.encode([changed]))


def _second_turn(backbone: Backbone) -> EditRequest:
    first, second = toy_picture(), toy_picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return EditRequest(
        original=backbone.encode([first]),
        previous=backbone.encode([second]),
        turn=2,
        source_prompts=["a red cat"],
        target_prompts=["a red cat in the snow"],
        words=[None],
        seeds=[7],
        original_prompts=["a cat"],
        previous_images=[second],
    )


def test_from_original_replays_on_the_first_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, method = ToyBackbone(), FromOriginal()
    monkeypatch.setattr(FromOriginal, "inner", lambda self: Spy())
    request = _second_turn(backbone)
    method.edit(backbone, request)
    asked = Spy.asked.pop()
    assert asked.previous is request.original
    assert (list(asked.source_prompts), list(asked.target_prompts)) == (["a cat"], ["a red cat in the snow"])
    assert (asked.turn, asked.previous_images) == (1, ())
    with pytest.raises(InputError, match="caption of the original picture"):
        method.edit(backbone, replace(request, original_prompts=()))


def test_revert_unchanged_returns_untouched_pixels_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, method = ToyBackbone(), RevertUnchanged()
    monkeypatch.setattr(RevertUnchanged, "inner", lambda self: Spy())
    request = _second_turn(backbone)
    result = method.edit(backbone, request)
    assert result.images is not None
    before, after = np.asarray(request.previous_images[0]), np.asarray(result.images[0])
    assert np.array_equal(after[:, 18:], before[:, 18:])
    assert (after[:, :14] != before[:, :14]).any(-1).all()
    assert backbone.decode(result.latent)[0].tobytes() == result.images[0].tobytes()


def test_reverting_judges_the_change_at_its_threshold() -> None:
    before = Image.new("RGB", (9, 7), (100, 100, 100))
    after = Image.new("RGB", (9, 7), (110, 110, 110))
    assert reverted(before, after, 11 / 255, 3).tobytes() == before.tobytes()
    assert reverted(before, after, 9 / 255, 3).tobytes() == after.tobytes()


def test_a_wrapped_method_takes_parameters_as_json_and_the_model_s_tuned_values() -> None:
    given = {"method": "fireflow", "method_params": '{"steps": 4}'}
    method = get("from_original", overrides=given, tuned={"fireflow": {"steps": 6, "guidance": 1.5}})
    assert isinstance(method, FromOriginal)
    assert method.params.method_params["steps"] == 4
    assert method.params.method_params["guidance"] == 1.5
    assert method.cost(FLUX_1).evaluations == 10


def test_parameters_that_a_wrapper_lacks_are_those_of_the_method_inside() -> None:
    given = {"method": "fireflow", "steps": "5", "guidance": 3, "threshold": "0.1"}
    method = get("revert_unchanged", overrides=given, tuned={"fireflow": {"guidance": 9.0, "inject_steps": 2}})
    assert isinstance(method, RevertUnchanged)
    assert isinstance(method.params, RevertUnchangedParams)
    assert method.params.threshold == 0.1
    inside = method.params.method_params
    assert (inside["steps"], inside["guidance"], inside["inject_steps"]) == (5, 3.0, 2)
    assert method.cost(FLUX_1).evaluations == 12
    recorded = method.params.model_dump(mode="json")
    assert get("revert_unchanged", overrides={**recorded, "steps": 7}).cost(FLUX_1).evaluations == 16


def test_a_parameter_that_neither_wrapper_nor_method_has_is_refused() -> None:
    with pytest.raises(InputError, match="no parameter named 'strength', expected one of: steps, guidance"):
        get("from_original", overrides={"strength": "1"})
    with pytest.raises(InputError, match="parameter steps='many': input should be a valid integer"):
        get("from_original", overrides={"steps": "many"})


def test_wrappers_do_not_wrap_wrappers() -> None:
    with pytest.raises(InputError, match="'no_edit_at_all'"):
        get("from_original", overrides={"method": "no_edit_at_all"})
    with pytest.raises(InputError, match="wraps others itself"):
        get("from_original", overrides={"method": "revert_unchanged"})
