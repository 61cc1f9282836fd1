"""The later editors against what their formulas give: closed forms on Gaussian data, limits, and one prompt twice.

On ``ToyBackbone`` the data of a prompt are N(mean, SPREAD^2), the velocity is linear with slope c(sigma), and the
difference y of an edit and its source obeys, whatever the noise,

    FlowEdit:    dy/dsigma = c y - (1 + c (1 - sigma)) d        d = target mean - source mean,

whose solution from sigma 1 is y = (1 - sigma) d: a straight line, which any number of Euler steps follows exactly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.closeness import assert_rounded
from tests.support.small_joint import small_joint
from tests.support.tiny_flux import OPERATIONS
from tests.support.toy import PATCH, SPREAD, ToyBackbone, toy_picture
from undrift.backbones.base import Backbone, Conditioning, Geometry, NetworkInputs
from undrift.errors import InputError
from undrift.flow import Euler, integrate, linear_sigmas
from undrift.methods.base import EditRequest
from undrift.methods.dec_flowedit import DecFlowEditParams, WindowSum, soft_map, within
from undrift.methods.registry import get

RIVALS = ("dec_flowedit", "direct_edit", "flow_align")
SHORT: dict[str, dict[str, Any]] = {
    "dec_flowedit": {"steps": 8, "n_max": 8, "map_steps": 4},
    "direct_edit": {"steps": 6},
    "flow_align": {"steps": 6},
}


def asked(backbone: Backbone, source: str, target: str, region: Tensor | None = None) -> EditRequest:
    latent = backbone.encode([toy_picture()])
    return EditRequest(latent, latent, 1, [source], [target], [None], [7], editable_tokens=region)


def means_apart(backbone: ToyBackbone, source: str, target: str, geometry: Geometry) -> Tensor:
    """d, (1, tokens or 1, channels)."""
    means = [
        backbone.network_inputs(backbone.embed([prompt]), geometry, [1.0])["mean"] for prompt in (source, target)
    ]
    return torch.as_tensor(means[1] - means[0])


def slope(sigma: float) -> float:
    return float((sigma - (1 - sigma) * SPREAD**2) / ((1 - sigma) ** 2 * SPREAD**2 + sigma**2))


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("make", [ToyBackbone, small_joint])
def test_one_prompt_twice_changes_nothing(name: str, make: Any) -> None:
    backbone = make()
    equal = {"guidance": 1.0, "source_guidance": 1.0} if name == "dec_flowedit" else {"guidance": 1.0}
    request = asked(backbone, "a red cat", "a red cat")
    result = get(name, overrides={**SHORT[name], **equal}).edit(backbone, request)
    operations = result.evaluations * OPERATIONS
    assert_rounded(result.latent.packed, request.previous.packed, operations)


def test_flow_align_with_one_prompt_keeps_every_bit_at_any_guidance() -> None:
    backbone = small_joint()
    request = asked(backbone, "a red cat", "a red cat")
    assert torch.equal(get("flow_align").edit(backbone, request).latent.packed, request.previous.packed)


@pytest.mark.parametrize(("steps", "guidance"), [(1, 3.0), (2, 0.0), (7, 1.0), (7, 2.5)])
def test_flow_align_moves_a_gaussian_by_guidance_times_the_distance_of_the_means(steps: int, guidance: float) -> None:
    backbone = ToyBackbone()
    request = asked(backbone, "a red cat", "a blue cat")
    d = means_apart(backbone, "a red cat", "a blue cat", request.previous.geometry)
    given = {"steps": steps, "guidance": guidance, "alignment": 0.0}
    moved = get("flow_align", overrides=given).edit(backbone, request).latent.packed
    assert_rounded(moved, request.previous.packed + guidance * d, 20 * steps, size=20.0)


@pytest.mark.parametrize("alignment", [0.01, 0.2])
def test_flow_align_s_pull_is_its_formula(alignment: float) -> None:
    """y in units of d, step by step in float64: E[q0] - E[p0] = sigma (v_p - v_q) - y."""
    backbone, y = ToyBackbone(), 0.0
    request = asked(backbone, "a red cat", "a blue cat")
    for sigma, after in pairwise(np.linspace(1.0, 0.0, 7)):
        change = slope(sigma) * y - 3.0 * (1.0 + slope(sigma) * (1.0 - sigma))
        y += (after - sigma) * change + alignment * (sigma * change - y)
    d = means_apart(backbone, "a red cat", "a blue cat", request.previous.geometry)
    given = {"steps": 6, "guidance": 3.0, "alignment": alignment}
    moved = get("flow_align", overrides=given).edit(backbone, request).latent.packed
    assert y < 3.0
    assert_rounded(moved, request.previous.packed + y * d, 20 * 6, size=20.0)


def test_flow_align_without_guidance_and_pull_is_flowedit_at_equal_guidance() -> None:
    backbone = small_joint()
    request = asked(backbone, "a red cat", "a blue cat")
    aligned = get("flow_align", overrides={"steps": 5, "guidance": 1.0, "alignment": 0.0}).edit(backbone, request)
    equal = {"steps": 5, "n_max": 5, "source_guidance": 1.0, "guidance": 1.0}
    expected = get("flowedit", overrides=equal).edit(backbone, request).latent.packed
    assert float((expected - request.previous.packed).abs().max()) > 1e-2
    assert_rounded(aligned.latent.packed, expected, aligned.evaluations * OPERATIONS)


@pytest.mark.parametrize("steps", [3, 12])
def test_direct_edit_moves_a_gaussian_as_its_steps_do(steps: int) -> None:
    """y in units of d: y <- y + h (c y - (1 + c (1 - sigma_next))), c at sigma_next."""
    backbone, y = ToyBackbone(), 0.0
    request = asked(backbone, "a red cat", "a blue cat")
    for sigma, after in pairwise(np.linspace(1.0, 0.0, steps + 1)):
        y += (after - sigma) * (slope(after) * y - (1.0 + slope(after) * (1.0 - after)))
    d = means_apart(backbone, "a red cat", "a blue cat", request.previous.geometry)
    moved = get("direct_edit", overrides={"steps": steps}).edit(backbone, request).latent.packed
    # An Euler inversion of a Gaussian with SPREAD 0.2 passes through values of about 1 / SPREAD^2 of the picture's.
    assert_rounded(moved, request.previous.packed + y * d, 40 * steps, size=25.0)


def test_direct_edit_is_exact_where_euler_is_not() -> None:
    backbone = small_joint()
    request = asked(backbone, "a red cat", "a red cat")
    plain = {"steps": 4, "guidance": 1.0}
    direct = get("direct_edit", overrides=plain).edit(backbone, request).latent.packed
    euler = get("reflow", overrides=plain).edit(backbone, request).latent.packed
    lost, euler_lost = (float((made - request.previous.packed).abs().max()) for made in (direct, euler))
    # A thousandth is far above rounding and far below what four steps lose.
    assert lost < euler_lost / 1000


class HalvesBackbone(ToyBackbone):
    """A prompt "a|b" has the colour a in the left half of the tokens' columns and b in the right."""

    def embed(self, prompts: Any) -> Conditioning:
        left, right = (super(HalvesBackbone, self).embed([p.split("|")[side] for p in prompts]) for side in (0, 1))
        return Conditioning(
            {"left": left.tensors["colour"], "right": right.tensors["colour"]}, left.tokens, text_tokens=1
        )

    def network_inputs(self, conditioning: Conditioning, geometry: Geometry, guidance: Any) -> NetworkInputs:
        sides = [conditioning.tensors[side].repeat(1, PATCH**2)[:, None] @ self._basis for side in ("left", "right")]
        right = (torch.arange(geometry.tokens) % geometry.columns >= geometry.columns // 2)[None, :, None]
        return {"mean": torch.where(right, sides[1], sides[0])}


def test_dec_flowedit_edits_where_the_prompts_differ_by_the_map_s_share() -> None:
    """With a constant mask M the edit obeys dy = M (c y - (1 + c (1 - sigma)) d) per token: the recursion below."""
    backbone = HalvesBackbone()
    request = asked(backbone, "red|green", "red|blue")
    given = {**SHORT["dec_flowedit"], "smoothing": 1}
    result = get("dec_flowedit", overrides=given).edit(backbone, request)
    assert result.mask is not None
    inside, outside = (float(torch.sigmoid(torch.tensor(u).double())) for u in (0.45 / 0.08, -0.55 / 0.08))
    columns = request.previous.geometry.columns
    right = torch.arange(columns) >= columns // 2
    # Five digits: the map's contrast is of velocities that float32 rounds.
    assert result.mask[0, :, right].numpy() == pytest.approx(inside, abs=1e-5)
    # Likewise.
    assert result.mask[0, :, ~right].numpy() == pytest.approx(outside, abs=1e-5)
    y = 0.0
    for sigma, after in pairwise(np.linspace(1.0, 0.0, 9)):
        y += (after - sigma) * inside * (slope(sigma) * y - (1.0 + slope(sigma) * (1.0 - sigma)))
    d = means_apart(backbone, "red|green", "red|blue", request.previous.geometry)
    assert_rounded(result.latent.packed, request.previous.packed + y * d, 20 * 16, size=20.0)


def test_dec_flowedit_is_flowedit_to_the_bit_where_the_mask_is_full() -> None:
    backbone = small_joint()
    request = asked(backbone, "a red cat", "a blue cat")
    same = {"steps": 5, "n_max": 4, "guidance": 3.0}
    masked = get("dec_flowedit", overrides={**same, "map_steps": 2, "threshold": -10.0}).edit(backbone, request)
    assert masked.mask is not None
    assert bool((masked.mask == 1.0).all())
    assert torch.equal(masked.latent.packed, get("flowedit", overrides=same).edit(backbone, request).latent.packed)


def test_the_map_is_its_formula_token_by_token() -> None:
    """Norm, mean over 3 x 3 with a repeated border, quantiles, clip, sigmoid: worked out with loops in float64."""
    rows, columns = 5, 7
    total = np.random.default_rng(5).normal(size=(rows, columns, 4)) * np.arange(1, columns + 1)[None, :, None]
    size = np.sqrt((total**2).sum(-1))
    mean = np.array(
        [
            [
                np.mean(
                    [
                        size[min(max(r + i, 0), rows - 1), min(max(c + j, 0), columns - 1)]
                        for i in (-1, 0, 1)
                        for j in (-1, 0, 1)
                    ]
                )
                for c in range(columns)
            ]
            for r in range(rows)
        ]
    )
    low, high = np.quantile(mean, 0.1), np.quantile(mean, 0.9)
    expected = 1.0 / (1.0 + np.exp(-(((mean - low) / (high - low)).clip(0.0, 1.0) - 0.55) / 0.08))
    geometry = Geometry(16 * columns, 16 * rows, rows, columns, 16)
    given = torch.from_numpy(total).reshape(1, rows * columns, 4)
    mask = soft_map(given, geometry, DecFlowEditParams(smoothing=3))
    assert mask.reshape(rows, columns).numpy() == pytest.approx(expected)


def test_vectors_of_the_window_are_summed_before_they_are_measured() -> None:
    """Steps that cancel count as nothing, and what lies outside the window does not count at all."""
    summed = WindowSum((0.25, 0.75))

    def field(x: Tensor, sigma: float) -> Tensor:
        v = torch.zeros_like(x)
        v[:, 0] = 1.0 if 0.25 < sigma <= 0.75 else 100.0
        v[:, 1] = 1.0 if round(8 * sigma) % 2 else -1.0
        return v

    integrate(field, Euler(), torch.zeros(1, 3, 2), linear_sigmas(8), observers=[summed])
    assert torch.as_tensor(summed.total)[0, :, 0].tolist() == [4.0, 0.0, 0.0]
    assert [index for index in range(24) if within((0.25, 0.75), index, 24)] == list(range(6, 18))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"map_steps": 25}, "need map_steps <= n_max <= steps, got 25, 24, 28"),
        ({"quantiles": (0.9, 0.1)}, "need 0 <= low < high <= 1 as quantiles, got 0.9 and 0.1"),
        ({"map_steps": 1, "window": (0.0, 0.4)}, r"no middle of 1 steps lies within the window \[0.0, 0.4\]"),
    ],
)
def test_dec_flowedit_refuses_what_does_not_fit(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        get("dec_flowedit", overrides=given)


def test_what_must_stay_follows_the_path_of_direct_edit_s_inversion() -> None:
    backbone = small_joint()
    free = asked(backbone, "a red cat", "a blue cat")
    region = torch.zeros(1, free.previous.geometry.tokens)
    region[:, ::2] = 1.0
    held = get("direct_edit", overrides={"steps": 4}).edit(
        backbone, asked(backbone, "a red cat", "a blue cat", region)
    )
    moved = (held.latent.packed - free.previous.packed).abs()[0].amax(-1)
    assert_rounded(held.latent.packed[:, 1::2], free.previous.packed[:, 1::2], 8 * 20)
    assert float(moved[::2].min()) > 1e-3
