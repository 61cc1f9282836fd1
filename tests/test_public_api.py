"""The names that users import, and that they are there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import undrift
from tests.support.toy import ToyBackbone, toy_picture

NAMES = [
    "Backbone",
    "EditMethod",
    "EditPlan",
    "EditRequest",
    "EditResult",
    "Frame",
    "Look",
    "Reading",
    "Session",
    "Turn",
    "UndriftError",
    "__version__",
    "all_methods",
    "extend",
    "from_pipeline",
    "load",
    "method",
    "prepare",
    "read_picture",
    "run_together",
    "run_turn",
    "start_session",
    "understand",
]


def test_public_names_are_pinned() -> None:
    assert undrift.__all__ == NAMES
    assert dir(undrift) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_public_name_resolves(name: str) -> None:
    assert getattr(undrift, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'undrift' has no attribute 'nothing'"):
        getattr(undrift, "nothing")  # noqa: B009


class TunedToy(ToyBackbone):
    """A model with a value of its own for one method."""

    tuned: Mapping[str, Mapping[str, Any]] = MappingProxyType({"multi_turn": {"guidance": 2.0}})


def test_a_method_takes_the_models_values_unless_asked_not_to() -> None:
    model = TunedToy()

    def guidance(method: undrift.EditMethod) -> tuple[float, str]:
        return method.params.model_dump()["guidance"], method.preset

    assert guidance(undrift.method("multi_turn", model)) == (2.0, "default")
    assert guidance(undrift.method("multi_turn", model, tuned=False)) == (3.5, "default")
    assert guidance(undrift.method("multi_turn", model, preset="paper")) == (3.5, "paper")
    assert guidance(undrift.method("multi_turn", model, guidance=5)) == (5.0, "custom")
    assert undrift.method("multi_turn", model, dial=1.0).dial_value == 1.0
    assert undrift.method().name == "undrift"
    with pytest.raises(undrift.UndriftError, match="no parameter named 'stepps', expected one of: steps"):
        undrift.method("multi_turn", model, stepps=3)


def test_a_parameter_may_be_called_like_an_argument() -> None:
    wrapped = undrift.method("revert_unchanged", None, method="fireflow", method_preset="default", steps=4)
    params = wrapped.params.model_dump()
    assert (params["method"], params["method_params"]["steps"]) == ("fireflow", 4)


def test_seven_lines_edit_a_picture(tmp_path: Path) -> None:
    model = ToyBackbone()
    toy_picture().save(tmp_path / "photo.png")
    picture = undrift.read_picture(tmp_path / "photo.png")
    session = undrift.start_session(tmp_path / "session", picture, "a cat", model)
    turn = undrift.run_turn(session, model, undrift.method("no_edit", model), undrift.EditPlan("a dog"))
    assert (turn.number, session.picture(turn).size) == (1, picture.size)
