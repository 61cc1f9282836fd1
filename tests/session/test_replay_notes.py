"""A replay says where it cannot make the recorded picture again."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.toy import ToyBackbone, ToyMethod, toy_picture
from undrift.backbones import load
from undrift.session.engine import EditPlan, run_turn, start_session
from undrift.session.replay import replay
from undrift.session.script import commands, python_script


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


def test_exported_scripts_and_commands_tell_other_weights(tmp_path: Path) -> None:
    """What they load is asked for with the weights that made the turn."""
    recorded = ToyBackbone("first-weights")
    session = start_session(tmp_path / "a", toy_picture(), "red", recorded)
    turn = run_turn(session, recorded, ToyMethod(), EditPlan("blue", seed=1))
    other = run_turn(session, ToyBackbone("others"), ToyMethod(), EditPlan("green", seed=1))
    (line,) = commands(session, turn)
    assert "--model toy --weights first-weights" in line
    assert python_script(session, turn).count("'weights': 'first-weights'") == 2
    assert "'weights': 'others'" in python_script(session, other)
    start, *edits = commands(session, other)
    assert [line.count("--weights first-weights") for line in (start, *edits)] == [1, 1, 0]


def test_loading_other_weights_is_told(tiny_flux_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = str(tiny_flux_folder)
    with caplog.at_level(logging.WARNING):
        made = load(name, device="cpu")
        load(name, device="cpu", weights=made.identity.weights_hash)
        assert caplog.messages == []
        load(name, device="cpu", weights="0" * 16)
    (told,) = caplog.messages
    assert told.startswith(f"the turn was made by other weights of '{name}' (0000000000000000, here ")
