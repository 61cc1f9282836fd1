"""A replay says where it cannot make the recorded picture again."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.replay import replay


def test_other_weights_of_the_same_name_are_told_and_the_same_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = ToyBackbone("first-weights")
    session = start_session(tmp_path / "a", toy_picture(), "red", recorded)
    run_turn(session, recorded, ToyMethod(), EditPlan("blue", seed=1))
    with caplog.at_level(logging.WARNING):
        replay(session, tmp_path / "b", recorded, method=lambda spec: ToyMethod())
        assert caplog.messages == []
        replay(session, tmp_path / "c", ToyBackbone("others"), method=lambda spec: ToyMethod())
    (told,) = caplog.messages
    assert "turn 1 was made by other weights of 'toy' (first-weights, here others)" in told
