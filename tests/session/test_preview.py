"""A preview shows what is known of the result, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.toy import SPREAD, ToyBackbone, ToyMethod, ToyParams, toy_picture
from undrift.backbones import Backbone
from undrift.errors import Cancelled
from undrift.flow import Observer, StepEnd
from undrift.methods.base import EditMethod
from undrift.methods.registry import get
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.preview import Preview
from undrift.session.store import Session

Shown = list[tuple[Image.Image, int, int]]


def previewed(session: Session, backbone: Backbone, method: EditMethod, every: int = 1) -> tuple[Shown, bytes]:
    shown: Shown = []
    source = session.original
    preview = Preview(
        backbone, (source.width, source.height), lambda pictures, *at: shown.append((*pictures, *at)), every
    )
    turn = run_turn(session, backbone, method, EditPlan("a dog", seed=1, parent="original"), [preview])
    return shown, session.contents(turn, turn.image)


def test_it_is_x0_of_the_step_decoded(session: Session, backbone: ToyBackbone) -> None:
    expected: list[bytes] = []

    class Straight(Observer):
        def end(self, event: StepEnd) -> None:
            x0 = event.x - event.step.sigma_next * event.velocity
            pixels = (x0 @ backbone._basis.T).reshape(4, 5, 8, 8, 3).permute(0, 2, 1, 3, 4).reshape(32, 40, 3)
            levels = ((pixels + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
            expected.append(levels.numpy().tobytes())

    run_turn(session, backbone, ToyMethod(), EditPlan("a dog", seed=1, parent="original"), [Straight()])
    shown, _ = previewed(session, backbone, ToyMethod())
    assert [(step, steps) for _, step, steps in shown] == [(1, 4), (2, 4), (3, 4)]
    assert [picture.tobytes() for picture, _, _ in shown] == expected[:3]


def test_it_comes_nearer_to_the_result(session: Session, backbone: ToyBackbone) -> None:
    method = ToyMethod(ToyParams(steps=8, strength=1.0, masked=False))
    shown, _ = previewed(session, backbone, method)
    result = np.asarray(session.picture(session.head), dtype=float)
    distance = [np.abs(np.asarray(picture, dtype=float) - result).mean() for picture, _, _ in shown]
    assert distance == sorted(distance, reverse=True)
    assert distance[-1] < 255 * SPREAD / 4


@pytest.mark.parametrize("name", ["multi_turn", "flowedit", "stable_flow", "fireflow", "rf_inversion"])
def test_it_changes_no_bit_and_shows_the_sampling_alone(name: str, tiny_flux: Backbone, tmp_path: Path) -> None:
    session = start_session(tmp_path / "s", toy_picture(40, 24), "a cat", tiny_flux)
    more: dict[str, dict[str, Any]] = {"flowedit": {"n_max": 3}, "stable_flow": {"sites": ("double.0",)}}
    method = get(name, overrides={"steps": 3, **more.get(name, {})})
    plain = run_turn(session, tiny_flux, method, EditPlan("a dog", seed=1, parent="original"))
    shown, watched = previewed(session, tiny_flux, method)
    assert watched == session.contents(plain, plain.image)
    assert session.latent(session.head) == session.latent(plain)
    assert [step for _, step, _ in shown] == [1, 2]
    assert {picture.size for picture, _, _ in shown} == {(40, 24)}


def test_every_other_step(session: Session, backbone: ToyBackbone) -> None:
    shown, _ = previewed(session, backbone, ToyMethod(ToyParams(steps=7)), every=3)
    assert [step for _, step, _ in shown] == [3, 6]


def test_what_it_calls_may_cancel(session: Session, backbone: ToyBackbone) -> None:
    def stop(pictures: Sequence[Image.Image], step: int, steps: int) -> None:
        raise Cancelled("seen enough")

    with pytest.raises(Cancelled):
        run_turn(session, backbone, ToyMethod(), EditPlan("a dog", seed=1), [Preview(backbone, (40, 32), stop)])
    assert len(session.turns()) == 1
