"""Taps in a FLUX transformer: harmless, in the right place with the right tensors, and gone afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as torch_functional
from torch import Tensor

from tests.support import golden, tiny_flux
from tests.support.closeness import assert_rounded
from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap, Projections
from undrift.backbones import from_pipeline
from undrift.backbones.flux import FluxBackbone
from undrift.errors import InputError


class Recorder(AttentionTap):
    """Changes nothing and notes what it is told."""

    def __init__(self, wanted: Callable[[Site], bool] = lambda site: True) -> None:
        self._wanted = wanted
        self.sigmas: list[float] = []
        self.projected: dict[Site, Projections] = {}
        self.rotated: dict[Site, tuple[Tensor, Tensor]] = {}

    def wants(self, site: Site) -> bool:
        return self._wanted(site)

    def evaluation(self, sigma: float) -> None:
        self.sigmas.append(sigma)

    def project(self, site: Site, projections: Projections) -> Projections:
        self.projected[site] = projections
        return projections

    def attend(
        self, site: Site, query: Tensor, key: Tensor, value: Tensor, text_tokens: int, mask: Tensor | None = None
    ) -> Tensor | None:
        self.rotated[site] = (query, key)
        return None


class Attends(AttentionTap):
    """Plain attention of its own, times a factor."""

    def __init__(self, factor: float = 1.0) -> None:
        self._factor = factor

    def attend(
        self, site: Site, query: Tensor, key: Tensor, value: Tensor, text_tokens: int, mask: Tensor | None = None
    ) -> Tensor | None:
        q, k, v = (t.transpose(1, 2) for t in (query, key, value))
        return self._factor * torch_functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)


class Negates(AttentionTap):
    def project(self, site: Site, projections: Projections) -> Projections:
        p = projections
        return Projections(p.query, p.key, -p.value, p.text_tokens)


@pytest.fixture
def backbone() -> FluxBackbone:
    return golden.backbone()


def velocity(backbone: FluxBackbone, sigma: float = 0.7) -> Tensor:
    field = backbone.velocity_field(backbone.embed([golden.SOURCE]), golden.GRID, 3.5)
    return field(golden.arrays("mtc")["x0"], sigma)


def processors(backbone: FluxBackbone) -> list[object]:
    return [layer.processor for layer in backbone._layers.values()]


def test_the_sites_are_the_blocks_in_order(backbone: FluxBackbone) -> None:
    expected = [Site("double", i) for i in range(19)] + [Site("single", i) for i in range(38)]
    assert list(backbone.sites) == expected


def test_taps_that_change_nothing_change_no_bit(backbone: FluxBackbone) -> None:
    plain = velocity(backbone)
    with backbone.tapped(Recorder(), AttentionTap()):
        tapped = velocity(backbone)
    assert torch.equal(plain, tapped)


def test_taps_see_every_site_and_evaluation(backbone: FluxBackbone) -> None:
    recorder = Recorder()
    with backbone.tapped(recorder):
        velocity(backbone, 0.7)
        velocity(backbone, 0.25)
    assert recorder.sigmas == [0.7, 0.25]
    assert list(recorder.projected) == list(backbone.sites)
    for site in backbone.sites:
        projections = recorder.projected[site]
        assert projections.text_tokens == 24
        assert projections.value.shape == (1, 24 + 64, 2, 16)
        query, _ = recorder.rotated[site]
        # Text stands at position zero, which rotates nothing; all image tokens but the first are turned.
        assert torch.equal(query[:, :24], projections.query[:, :24])
        assert (query[:, 25:] - projections.query[:, 25:]).abs().amax(dim=(0, 2, 3)).min() > 1e-3


def test_only_wanted_sites_are_touched(backbone: FluxBackbone) -> None:
    before = processors(backbone)
    site = Site("single", 3)
    recorder = Recorder(lambda candidate: candidate == site)
    with backbone.tapped(recorder):
        changed = [s for s, a, b in zip(backbone.sites, before, processors(backbone), strict=True) if a is not b]
        velocity(backbone)
    assert changed == [site]
    assert list(recorder.projected) == [site]


def test_processors_come_back_after_an_exception_and_after_nesting(backbone: FluxBackbone) -> None:
    before = processors(backbone)
    outer, inner = Recorder(), Recorder()
    with pytest.raises(RuntimeError, match="inside"), backbone.tapped(outer):
        _work_and_fail(backbone, inner)
    assert all(a is b for a, b in zip(before, processors(backbone), strict=True))
    velocity(backbone, 0.3)
    assert outer.sigmas == [0.5, 0.4]
    assert inner.sigmas == [0.5]


def _work_and_fail(backbone: FluxBackbone, inner: Recorder) -> None:
    with backbone.tapped(inner):
        velocity(backbone, 0.5)
    velocity(backbone, 0.4)
    raise RuntimeError("inside")


def test_a_tap_whose_wish_fails_leaves_nothing_behind(backbone: FluxBackbone) -> None:
    def wish(site: Site) -> bool:
        if site.kind == "single":
            raise RuntimeError("undecided")
        return True

    before = processors(backbone)
    with pytest.raises(RuntimeError, match="undecided"), backbone.tapped(Recorder(wish)):
        pass
    assert all(a is b for a, b in zip(before, processors(backbone), strict=True))


def test_a_tap_can_replace_the_attention(backbone: FluxBackbone) -> None:
    plain = velocity(backbone)
    with backbone.tapped(Attends()):
        same = velocity(backbone)
    with backbone.tapped(Attends(factor=-1.0)):
        turned = velocity(backbone)
    with backbone.tapped(Negates()):
        negated = velocity(backbone)
    assert_rounded(same, plain, golden.OPERATIONS)
    assert (turned - plain).abs().max() > 1e-2
    # Attention is linear in the values, so negating them before equals negating the output after.
    assert_rounded(negated, turned, golden.OPERATIONS)


def test_taps_project_in_the_order_of_installation(backbone: FluxBackbone) -> None:
    recorder = Recorder()
    with backbone.tapped(Negates()), backbone.tapped(recorder, Negates()):
        twice = velocity(backbone)
    plain_recorder = Recorder()
    with backbone.tapped(plain_recorder):
        plain = velocity(backbone)
    first = backbone.sites[0]
    assert torch.equal(recorder.projected[first].value, -plain_recorder.projected[first].value)
    assert torch.equal(twice, plain)


def test_two_answers_at_one_site_are_refused(backbone: FluxBackbone) -> None:
    message = "Attends and Attends both replace the attention of double block 0: install one of them"
    with backbone.tapped(Attends(), Attends()), pytest.raises(InputError, match=message):
        velocity(backbone)


def test_a_backend_chosen_through_diffusers_runs_where_no_tap_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers.models import attention_dispatch
    from diffusers.models.transformers import transformer_flux

    pipe = tiny_flux.pipeline()
    # Choosing one for a model chooses it for the process as well, which ends with the block.
    with attention_dispatch.attention_backend():
        pipe.transformer.set_attention_backend("_native_math")
    dispatch: Any = attention_dispatch.dispatch_attention_fn
    asked: set[str] = set()

    def heard(*given: Any, backend: Any = None, **more: Any) -> Any:
        asked.add(getattr(backend, "value", backend))
        return dispatch(*given, backend=backend, **more)

    for module in (attention_dispatch, transformer_flux):
        monkeypatch.setattr(module, "dispatch_attention_fn", heard)
    backbone = from_pipeline(pipe, name="tiny")
    geometry = backbone.geometry((24, 40))
    noise = torch.randn(1, geometry.tokens, 16, generator=torch.Generator().manual_seed(6))
    backbone.velocity_field(backbone.embed(["a red cat"]), geometry, 1.0)(noise, 0.6)
    assert asked == {"_native_math"}
