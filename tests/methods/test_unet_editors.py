"""Identities of the editors of Stable Diffusion, on a tiny random one: what each is with its parts switched off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.contracts.test_methods import picture
from tests.support.closeness import assert_rounded
from tests.support.slow_cases import slow_but_for
from tests.support.tiny_sd import OPERATIONS, tiny_sd
from undrift.attention.columns import TextColumns
from undrift.attention.sites import Site
from undrift.attention.summed import WordMaps
from undrift.errors import InputError
from undrift.flow import Euler, Step, integrate
from undrift.methods import pair
from undrift.methods.base import EditRequest, EditResult
from undrift.methods.masactrl import MasaCtrlParams, sites
from undrift.methods.null_text import NullText, NullTextParams, Optimised
from undrift.methods.pair import LocalBlend, inverted_picture
from undrift.methods.registry import get

SOURCE, TARGET = "a red cat sitting on the grass", "a blue cat sitting on the grass"
SIZE = (48, 32)
STEPS, GUIDANCE = 5, 3.0
ROUNDED = STEPS * 3 * OPERATIONS
PLAIN: dict[str, Any] = {"steps": STEPS, "guidance": GUIDANCE}
UNBLENDED: dict[str, Any] = {**PLAIN, "blend": False, "reweight": 1.0}


def request(source: str = SOURCE, target: str = TARGET, words: tuple[str, ...] | None = None) -> EditRequest:
    latent = tiny_sd().encode([picture(4, SIZE)])
    return EditRequest(latent, latent, 1, [source], [target], [words], [0])


def edit(name: str, asked: EditRequest, **params: Any) -> EditResult:
    return get(name, overrides=params).edit(tiny_sd(), asked)


def same(one: EditResult, other: EditResult) -> None:
    assert_rounded(one.latent.packed, other.latent.packed, ROUNDED)


def differ(one: EditResult, other: EditResult) -> None:
    assert float((one.latent.packed - other.latent.packed).abs().max()) > 1e-3


def test_p2p_with_equal_prompts_is_the_plain_sample() -> None:
    asked = request(target=SOURCE)
    plain = edit("ddim", asked, **PLAIN)
    same(edit("p2p", asked, **PLAIN), plain)
    same(edit("p2p", asked, **PLAIN, exchange="replace"), plain)


@pytest.mark.slow
def test_p2p_that_exchanges_nothing_is_ddim_and_one_that_does_is_not() -> None:
    plain = edit("ddim", request(), **PLAIN)
    off = {**UNBLENDED, "cross_share": 0.0, "self_share": 0.0}
    same(edit("p2p", request(), **off), plain)
    for on in ({"cross_share": 0.5}, {"self_share": 0.5}, {"cross_share": 0.5, "reweight": 4.0}):
        differ(edit("p2p", request(), **{**off, **on}), plain)


@pytest.mark.slow
def test_refining_and_replacing_agree_on_what_did_not_change() -> None:
    """Of "red" to "blue" replacing gives the new word the old one's attention, refining its own."""
    both = [edit("p2p", request(), **UNBLENDED, cross_share=0.6, exchange=name) for name in ("refine", "replace")]
    differ(*both)
    for name in ("refine", "replace"):
        one = edit("p2p", request(target=SOURCE), **UNBLENDED, cross_share=1.0, self_share=1.0, exchange=name)
        same(one, edit("ddim", request(target=SOURCE), **PLAIN))


def test_words_that_are_not_in_the_prompt_are_refused_and_never_return_the_source() -> None:
    for name in ("p2p", "pnp_inversion"):
        with pytest.raises(InputError, match="word 'horse' is not in the prompt"):
            edit(name, request(words=("horse",)), **PLAIN)


@pytest.mark.slow
def test_without_words_there_is_no_blend() -> None:
    """ "red" left out, nothing new, and words=(): neither gives an empty mask, which would be the source."""
    unnamed = edit("p2p", request(words=()), **{**PLAIN, "reweight": 1.0})
    same(unnamed, edit("p2p", request(), **UNBLENDED))
    assert unnamed.mask is None
    left_out = edit("p2p", request(target="a cat sitting on the grass"), **PLAIN)
    assert left_out.mask is not None
    assert float(left_out.mask.max()) == 1.0


def maps_of(target: Tensor, source: Tensor, columns: tuple[list[int], list[int]]) -> WordMaps:
    maps = WordMaps(TextColumns.of(columns))
    maps.add(torch.stack([target, source]).reshape(2, 1, -1, 1))
    return maps


STEP = Step(3, 5, 0.6, 0.4)


@pytest.mark.parametrize("known", [False, True])
def test_a_blend_takes_the_source_s_next_state_outside_of_the_words(known: bool) -> None:
    target, source, velocity = torch.randn(3, 2, 9, 4, generator=torch.Generator().manual_seed(0)).unbind(0)[:3]
    x, path = torch.cat([target[:1], source[:1]]), None
    h = STEP.sigma_next - STEP.sigma
    there = source[:1] + h * velocity[1:]
    if known:
        x, velocity, path = x[:1], velocity[:1], [there] * 6
    corner = torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0, 0])
    blend = LocalBlend(maps_of(corner, 0 * corner, ([1], [])), (3, 3), 0.3, 3, path)
    moved = (x + h * blend.adjust(x, velocity, STEP))[0]
    inside = [0, 1, 3, 4]
    outside = [2, 5, 6, 7, 8]
    assert_rounded(moved[outside], there[0, outside], 10)
    assert_rounded(moved[inside], (x + h * velocity)[0, inside], 10)
    assert blend.mask is not None
    assert blend.mask[0].nonzero().flatten().tolist() == inside


def test_a_blend_waits_and_where_no_row_has_words_changes_nothing() -> None:
    x, velocity = torch.randn(2, 2, 9, 4, generator=torch.Generator().manual_seed(0)).unbind(0)
    flat = torch.ones(9)
    early = LocalBlend(maps_of(flat, flat, ([1], [1])), (3, 3), 0.3, 4)
    assert early.adjust(x, velocity, STEP) is velocity
    unnamed = LocalBlend(maps_of(flat, flat, ([], [])), (3, 3), 0.3, 0)
    assert_rounded(unnamed.adjust(x, velocity, STEP), velocity, 4)


@pytest.mark.slow
def test_masactrl_that_shares_nothing_is_ddim_of_the_empty_source() -> None:
    plain = edit("ddim", request(source=""), **PLAIN)
    same(edit("masactrl", request(), **PLAIN, start_step=STEPS, layers=0.0), plain)
    same(edit("masactrl", request(), **PLAIN, start_step=0, layers=1.0), plain)
    differ(edit("masactrl", request(), **PLAIN, start_step=0, layers=0.5), plain)


@pytest.mark.slow
def test_masactrl_with_equal_prompts_is_the_source() -> None:
    asked = request(target=SOURCE)
    plain = edit("ddim", asked, **PLAIN)
    same(edit("masactrl", asked, **PLAIN, source="caption", start_step=0, layers=0.0), plain)


@pytest.mark.slow
def test_masactrl_shares_in_the_negative_branch_too() -> None:
    """At guidance 0 the velocity is the negative branch's alone; sharing in the other one could change nothing."""
    asked = request()
    alone = edit("masactrl", asked, steps=STEPS, guidance=0.0, start_step=STEPS, source="caption", layers=0.0)
    shared = edit("masactrl", asked, steps=STEPS, guidance=0.0, start_step=0, source="caption", layers=0.0)
    # Both halves of that branch are the empty prompt at one state: what is shared is the same.
    same(alone, shared)
    exact = {"editor": "masactrl", "source": "caption", "layers": 0.0, "steps": STEPS, "guidance": 0.0}
    differ(
        edit("pnp_inversion", asked, **exact, start_step=0), edit("pnp_inversion", asked, **exact, start_step=STEPS)
    )


class Spy:
    """Keeps the sources that the network is shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sources: list[Tensor] = []
        made = pair.BesidePath.__call__

        def spied(field: Any, x: Tensor, sigma: float) -> Tensor:
            inside = field._field

            def shown(both: Tensor, at: float) -> Tensor:
                self.sources.append(both[x.shape[0] :])
                velocity: Tensor = inside(both, at)
                return velocity

            field._field = shown
            try:
                return made(field, x, sigma)
            finally:
                field._field = inside

        monkeypatch.setattr(pair.BesidePath, "__call__", spied)


@pytest.mark.parametrize("editor", slow_but_for({"p2p"}, ["p2p", "masactrl"]))
def test_pnp_inversion_keeps_the_source_on_the_inversion_bit_for_bit(
    editor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy, asked = Spy(monkeypatch), request()
    edit("pnp_inversion", asked, **PLAIN, editor=editor)
    captions = [SOURCE] if editor == "p2p" else [""]
    states = inverted_picture(tiny_sd(), asked, captions, STEPS, 1.0, [], record=True).states
    assert len(spy.sources) == STEPS
    assert all(torch.equal(seen, states[-1 - i]) for i, seen in enumerate(spy.sources))


def test_putting_the_source_back_is_adding_the_paper_s_offsets() -> None:
    """Algorithm 1 as printed: z_source + o_t with o_t = z*_{t-1} - DDIM(z*_t), in a loop of its own."""
    asked, backbone = request(), tiny_sd()
    off = {**UNBLENDED, "self_share": 0.6, "cross_share": 0.4}
    ours = edit("pnp_inversion", asked, **off).latent.packed
    states = inverted_picture(backbone, asked, [SOURCE], STEPS, 1.0, [], record=True).states[::-1]
    geometry = asked.previous.geometry
    sigmas = backbone.sigmas(STEPS, geometry).tolist()
    alone = backbone.velocity_field(backbone.embed([SOURCE]), geometry, GUIDANCE)
    offsets = [
        there - (here + (after - before) * alone(here, before))
        for here, there, before, after in zip(states, states[1:], sigmas, sigmas[1:], strict=False)
    ]

    class Offset:
        def adjust(self, x: Tensor, velocity: Tensor, step: Step) -> Tensor:
            h = step.sigma_next - step.sigma
            return torch.cat([velocity[:1], velocity[1:] + offsets[step.index] / h])

    method = get("p2p", overrides=off)
    from undrift.methods import p2p

    prompts = pair.paired(backbone, asked, [SOURCE])
    tap = p2p._tap(method.params, backbone, geometry, prompts, [()], None)  # type: ignore[arg-type]
    field = backbone.velocity_field(prompts, geometry, GUIDANCE)
    with backbone.tapped(tap):
        both = integrate(
            field, Euler(), torch.cat([states[0]] * 2), backbone.sigmas(STEPS, geometry), controller=Offset()
        ).final
    assert_rounded(both[1:], states[-1], ROUNDED)
    assert_rounded(ours, both[:1], ROUNDED)


def fitted(inner_steps: int, **params: Any) -> tuple[Optimised, Tensor, Tensor]:
    """The optimised field after a pass, where the pass ended, and the picture."""
    p = NullTextParams(steps=STEPS, guidance=GUIDANCE, inner_steps=inner_steps, stop_below=0.0, **params)
    backbone, asked = tiny_sd(), request()
    geometry = asked.previous.geometry
    inversion = inverted_picture(backbone, asked, [SOURCE], STEPS, 1.0, [], record=True)
    field = Optimised(backbone, backbone.embed([SOURCE]), backbone.embed([""]), geometry, p, inversion.states[::-1])
    final = integrate(field, Euler(), inversion.final, backbone.sigmas(STEPS, geometry)).final
    return field, final, asked.previous.packed


@pytest.mark.slow
def test_null_text_s_loss_falls_at_every_step_and_the_picture_comes_back() -> None:
    field, final, image = fitted(10)
    assert all(float(losses[-1]) < float(losses[0]) for losses in field.losses)
    _, drifted, _ = fitted(0)
    assert float((final - image).square().mean()) < float((drifted - image).square().mean())


@pytest.mark.slow
def test_null_text_s_loss_is_of_the_path_s_next_state() -> None:
    """The first loss is |z - z*|^2 with the plain empty prompt, z being the state as DDIM's own variables have it."""
    field, _, _ = fitted(1)
    backbone, asked = tiny_sd(), request()
    geometry = asked.previous.geometry
    states = inverted_picture(backbone, asked, [SOURCE], STEPS, 1.0, [], record=True).states[::-1]
    sigmas = backbone.sigmas(STEPS, geometry)
    guided = backbone.velocity_field(backbone.embed([SOURCE]), geometry, GUIDANCE)(states[0], float(sigmas[0]))
    missed = states[0] + float(sigmas[1] - sigmas[0]) * guided - states[1]
    missed = missed / float((1.0 - sigmas[1]) ** 2 + sigmas[1] ** 2) ** 0.5
    size = float(guided.abs().max()) ** 2
    assert_rounded(field.losses[0][0][0], missed.square().mean(), 2 * OPERATIONS, size=size)


@pytest.mark.slow
def test_null_text_without_inner_steps_is_p2p() -> None:
    same(edit("null_text", request(), **UNBLENDED, inner_steps=0), edit("p2p", request(), **UNBLENDED))


@pytest.mark.slow
def test_null_text_stops_each_row_where_its_loss_is_low_enough() -> None:
    asked = request()
    everything = get("null_text", overrides={**PLAIN, "inner_steps": 3, "stop_below": 1000.0})
    made = everything.edit(tiny_sd(), asked)
    assert made.backward_passes == STEPS, "one inner step each"
    assert made.evaluations == everything.cost(tiny_sd()).evaluations - 2 * STEPS


def test_null_text_says_what_it_needs() -> None:
    with pytest.raises(InputError, match="null_text at guidance 1 has no empty prompt to fit"):
        edit("null_text", request(), steps=2, guidance=1.0)
    bare = tiny_sd()
    bare_guidance = replace(bare.capabilities, guidance="embedded")
    try:
        before, bare.capabilities = bare.capabilities, bare_guidance
        with pytest.raises(InputError, match="'null_text' fits the empty prompt of guidance by two evaluations"):
            NullText().check(bare)
    finally:
        bare.capabilities = before


@pytest.mark.slow
def test_ddim_comes_back_at_guidance_one_the_better_the_more_steps() -> None:
    asked = request(target=SOURCE)

    def gap(steps: int) -> float:
        back = edit("ddim", asked, steps=steps, guidance=1.0).latent.packed
        return float((back - asked.previous.packed).square().mean().sqrt())

    assert gap(40) < gap(10)


@pytest.mark.parametrize(
    ("layers", "of", "first"), [(0.625, 16, 10), (0.625, 1, 0), (0.99, 4, 3), (1.0, 4, 4), (0.0, 4, 0), (0.5, 0, 0)]
)
def test_masactrl_shares_in_one_layer_at_least_unless_told_to_share_in_none(
    layers: float, of: int, first: int
) -> None:
    sharing = tuple(Site("self", number) for number in range(of))
    assert sites(MasaCtrlParams(layers=layers), sharing) == sharing[first:]
