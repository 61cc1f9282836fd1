"""Pieces of work that share the network's batches are what they are alone, but for rounding."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NoReturn

import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.contracts.test_methods import RUNNING, quick, request
from tests.support.closeness import assert_rounded
from tests.support.tiny_flux import OPERATIONS
from tests.support.tiny_sd import OPERATIONS as OPERATIONS_SD
from tests.support.tiny_sd import tiny_sd
from tests.support.toy import ToyBackbone, toy_picture
from undrift.backbones import Backbone, Latent
from undrift.backbones.memory import VelocityMemory
from undrift.backbones.together import Share, together
from undrift.errors import Cancelled, InputError
from undrift.methods.base import EditResult

PATCHES = toy_picture(48, 40)
GUIDED = 3.0
"""The least guidance of a method here that takes two evaluations."""

Work = Callable[[Backbone], Tensor]


def edit(name: str, backbone: Backbone) -> EditResult:
    return quick(name, backbone).edit(backbone, request(backbone, 3))


def running(backbone: Backbone) -> list[str]:
    """The methods that run on a model."""
    found = []
    for name in RUNNING:
        try:
            quick(name, backbone).check(backbone)
        except InputError:
            continue
        found.append(name)
    return found


def check_all(backbone: Backbone, operations: int) -> dict[str, Share]:
    """Make an edit with every method, alone and beside all others; the shares of the latter."""
    names = running(backbone)
    alone = [edit(name, backbone) for name in names]
    before = backbone.counter.copy()
    shares = {}
    for number, result, share in together(backbone, [partial(edit, name) for name in names]):
        expected = alone[number]
        # Guidance adds a difference of velocities several times, which are as large as it and cancel.
        size = GUIDED * float(expected.latent.packed.abs().max())
        tolerated = operations * max(1, expected.evaluations)
        assert_rounded(result.latent.packed, expected.latent.packed, tolerated, size=size)
        for count in ("evaluations", "sample_evaluations", "backward_passes", "remembered"):
            assert getattr(result, count) == getattr(expected, count), (names[number], count)
        shares[names[number]] = share
    spent = backbone.counter.since(before).evaluations
    apart = sum(count for share in shares.values() for count in share.alone.values())
    assert spent < apart + sum(result.evaluations for result in alone) / 2
    assert backbone.taps == ()
    return shares


def test_every_method_makes_beside_all_others_what_it_makes_alone(tiny_flux: Backbone) -> None:
    shares = check_all(tiny_flux, OPERATIONS)
    looking = {name for name, share in shares.items() if share.alone}
    assert {"multi_turn", "rf_solver", "fireflow"} <= looking, "they look at attention, or pass values on"
    assert not {"undrift", "flowedit", "rf_inversion", "uniedit_flow"} & looking


@pytest.mark.slow
def test_so_it_is_on_a_model_of_two_evaluations_and_one_sigma_at_a_time() -> None:
    shares = check_all(tiny_sd(), OPERATIONS_SD)
    assert shares["null_text"].alone.keys() >= {"gradients"}
    assert not tiny_sd().mixes_sigmas


def asking(*questions: tuple[str, int, float]) -> Work:
    """Velocities of words at noise of a seed and a sigma, one after another."""

    def work(backbone: Backbone) -> Tensor:
        latent = backbone.encode([PATCHES])
        found = []
        for words, seed, sigma in questions:
            noise = torch.randn(latent.packed.shape, generator=torch.Generator().manual_seed(seed))
            field = backbone.velocity_field(backbone.embed([words]), latent.geometry, 3.5)
            found.append(field(noise, sigma))
        return torch.stack(found)

    return work


def test_rows_have_sigmas_prompts_and_ends_of_their_own(tiny_flux: Backbone) -> None:
    works = [
        asking(("a cat", 1, 0.9), ("a dog", 1, 0.7), ("a hat", 2, 0.1)),
        asking(("a red cat", 3, 0.4)),
        asking(("a cat", 4, 0.9), ("a cat", 5, 0.8)),
    ]
    expected = [work(tiny_flux) for work in works]
    before = tiny_flux.counter.copy()
    order = []
    for number, found, share in together(tiny_flux, works):
        assert_rounded(found, expected[number], OPERATIONS)
        order.append((number, share.counter.evaluations))
    assert order == [(1, 1), (2, 2), (0, 3)], "each is there as soon as it is over"
    spent = tiny_flux.counter.since(before)
    assert (spent.evaluations, spent.rows) == (3, 6)


def test_what_two_ask_alike_is_computed_once_and_belongs_to_each(tiny_flux: Backbone) -> None:
    before = tiny_flux.counter.copy()
    works = [asking(("a cat", 1, 0.9)), asking(("a cat", 1, 0.9)), asking(("a cat", 2, 0.9))]
    found = {number: made for number, made, _ in together(tiny_flux, works)}
    assert tiny_flux.counter.since(before).rows == 2
    assert torch.equal(found[0], found[1])
    assert found[0].data_ptr() != found[1].data_ptr()
    assert not torch.equal(found[0], found[2])


def test_a_memory_is_asked_and_learns_nothing_of_another_rounding(tiny_flux: Backbone) -> None:
    with tiny_flux.remembering(VelocityMemory()):
        known = asking(("a cat", 1, 0.9))(tiny_flux)
        assert tiny_flux.memory is not None
        held, before = tiny_flux.memory.held, tiny_flux.counter.copy()
        works = [asking(("a cat", 1, 0.9)), asking(("a dog", 2, 0.3))]
        found = {number: (made, share) for number, made, share in together(tiny_flux, works)}
        assert torch.equal(found[0][0], known)
        assert [found[number][1].counter.remembered for number in (0, 1)] == [1, 0]
        assert tiny_flux.counter.since(before).evaluations == 1
        assert tiny_flux.memory.held == held > 0


def test_the_turn_that_all_start_from_is_decoded_once(tiny_flux: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    latent = tiny_flux.encode([PATCHES])
    other = Latent(latent.packed + 1.0, latent.geometry)
    (expected,) = tiny_flux.decode(latent)
    decoded, decode = [], tiny_flux.decode

    def counted(asked: Latent) -> list[Image.Image]:
        decoded.append(len(asked.packed))
        return decode(asked)

    monkeypatch.setattr(tiny_flux, "decode", counted)

    def work(backbone: Backbone, own: Latent) -> list[Image.Image]:
        return backbone.decode(latent) + backbone.decode(own)

    made = dict(each[:2] for each in together(tiny_flux, [partial(work, own=own) for own in (latent, other, latent)]))
    assert decoded == [1, 1]
    assert [image.tobytes() for number in (0, 2) for image in made[number]] == [expected.tobytes()] * 4
    assert made[1][0].tobytes() == expected.tobytes() != made[1][1].tobytes()
    made[0][0].putpixel((0, 0), (1, 2, 3))
    assert made[2][0].tobytes() == expected.tobytes(), "each has a picture of its own"


def test_equal_rows_of_a_batch_are_decoded_as_one(tiny_flux: Backbone) -> None:
    latent = tiny_flux.encode([PATCHES])
    (alone,) = tiny_flux.decode(latent)
    same = tiny_flux.decode(Latent(latent.packed.repeat(3, 1, 1), latent.geometry))
    assert [image.tobytes() for image in same] == [alone.tobytes()] * 3
    same[0].putpixel((0, 0), (1, 2, 3))
    assert same[1].tobytes() == alone.tobytes()
    two = tiny_flux.decode(Latent(torch.cat([latent.packed, latent.packed + 1.0]), latent.geometry))
    assert two[0].tobytes() != two[1].tobytes()


class Fault(Exception):
    pass


@pytest.mark.parametrize("fault", [Fault("broken"), Cancelled("stopped")])
def test_one_that_fails_ends_the_others_and_its_own_failure_is_told(tiny_flux: Backbone, fault: Exception) -> None:
    ended = []

    def failing(backbone: Backbone) -> NoReturn:
        asking(("a cat", 1, 0.9))(backbone)
        raise fault

    def waiting(backbone: Backbone) -> Tensor:
        try:
            return asking(*[("a cat", seed, 0.5) for seed in range(9)])(backbone)
        except Cancelled:
            ended.append(True)
            raise

    with pytest.raises(type(fault), match=str(fault)):
        list(together(tiny_flux, [waiting, failing, waiting]))
    assert ended == [True, True]


def test_under_a_step_cache_it_is_refused_by_name() -> None:
    class Cached(ToyBackbone):
        @property
        def repeatable(self) -> bool:
            return False

    with pytest.raises(InputError, match="under a step cache an evaluation depends on those before it"):
        list(together(Cached(), [asking(("a cat", 1, 0.5))] * 2))
