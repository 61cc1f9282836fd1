"""Who hears of the steps: the field, the controller and the taps by themselves, each once, whatever wraps them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import pytest
import torch
from torch import Tensor

import undrift
from tests.support.toy import ToyBackbone, toy_picture
from undrift.attention.taps import AttentionTap
from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.errors import InputError
from undrift.flow import (
    Controller,
    Euler,
    Follower,
    Observer,
    Step,
    StepEnd,
    VelocityField,
    following,
    integrate,
    linear_sigmas,
)
from undrift.flow.retain import Chain
from undrift.methods.base import EditMethod, EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost

STEPS = 3


class Hears:
    """Notes the steps that begin and end."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def begin(self, step: Step) -> None:
        self.heard.append(("begin", step.index))

    def end(self, event: StepEnd) -> None:
        self.heard.append(("end", event.step.index))


EVERY_STEP = [(word, index) for index in range(STEPS) for word in ("begin", "end")]


class Field(Hears):
    """Wraps a field and follows the steps."""

    def __init__(self, inner: VelocityField) -> None:
        super().__init__()
        self._inner = inner

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self._inner(x, sigma)


class Control(Hears):
    """Follows the steps and leaves the velocity."""

    def adjust(self, x: Tensor, velocity: Tensor, step: Step) -> Tensor:
        return velocity


class Tap(Hears, AttentionTap):
    """Follows the steps and reads nothing."""


class Unwired(EditMethod):
    """Samples, with a field, a controller and a tap of its own, none of which it passes among the observers."""

    name, title, paper = "unwired", "Unwired", "none"
    presets = MappingProxyType({"default": Params()})

    def __init__(self) -> None:
        super().__init__()
        self.control, self.tap = Control(), Tap()

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        return Cost.of(model, (STEPS, 1.0))

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        geometry, start = request.previous.geometry, request.previous.packed
        self.field = Field(backbone.velocity_field(backbone.embed(request.target_prompts), geometry, 1.0))
        with backbone.tapped(self.tap):
            run = integrate(self.field, Euler(), start, backbone.sigmas(STEPS, geometry), controller=self.control)
        return EditResult.of(geometry, run.final)


@pytest.mark.parametrize("model", ["toy", "flux"])
def test_field_controller_and_tap_hear_every_step_of_a_method_that_wires_none(
    model: str, tiny_flux: Backbone
) -> None:
    backbone = ToyBackbone() if model == "toy" else tiny_flux
    latent, method = backbone.encode([toy_picture()]), Unwired()
    method.edit(backbone, EditRequest(latent, latent, 1, ["a cat"], ["a dog"], [None], [0]))
    assert method.field.heard == method.control.heard == method.tap.heard == EVERY_STEP


def test_an_end_without_a_begin_is_heard_too() -> None:
    class Ends:
        ended = 0

        def end(self, event: StepEnd) -> None:
            self.ended += 1

    with following(ends := Ends()):
        integrate(lambda x, sigma: -x, Euler(), torch.ones(1), linear_sigmas(STEPS))
    assert ends.ended == STEPS


def test_who_is_named_twice_hears_once() -> None:
    tap, field = Tap(), Field(lambda x, sigma: -x)
    with following(tap, tap):
        integrate(field, Euler(), torch.ones(1), linear_sigmas(STEPS), observers=[tap, tap])
    assert tap.heard == EVERY_STEP


def test_the_parts_of_fields_and_controllers_hear_too() -> None:
    inner, control = Field(lambda x, sigma: -x), Control()

    class Around:
        parts = (inner, lambda x, sigma: x)

        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            return inner(x, sigma)

    class Outermost:
        parts = (Around(),)

        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            return self.parts[0](x, sigma)

    chain: Controller = Chain((control, Chain((control,))))
    integrate(Outermost(), Euler(), torch.ones(1), linear_sigmas(STEPS), controller=chain)
    assert inner.heard == control.heard == EVERY_STEP


def test_a_tap_hears_the_steps_of_a_field_that_names_no_parts(tiny_flux: Backbone) -> None:
    latent, tap = tiny_flux.encode([toy_picture()]), Tap()
    field = tiny_flux.velocity_field(tiny_flux.embed(["a cat"]), latent.geometry, 1.0)
    with tiny_flux.tapped(tap):
        integrate(lambda x, sigma: 2.0 * field(x, sigma), Euler(), latent.packed, linear_sigmas(STEPS))
    assert tap.heard == EVERY_STEP
    integrate(field, Euler(), latent.packed, linear_sigmas(STEPS))
    assert tap.heard == EVERY_STEP, "nothing is heard once it is removed"


def test_listeners_are_gone_when_the_block_fails() -> None:
    tap = Tap()
    with pytest.raises(RuntimeError, match="inside"), following(tap):
        raise RuntimeError("inside")
    integrate(lambda x, sigma: -x, Euler(), torch.ones(1), linear_sigmas(STEPS))
    assert tap.heard == []


def test_the_listeners_are_told_in_order_and_the_field_before_its_evaluation() -> None:
    order: list[str] = []

    class Named(Observer):
        def __init__(self, name: str) -> None:
            self.name = name

        def begin(self, step: Step) -> None:
            order.append(self.name)

        def adjust(self, x: Tensor, velocity: Tensor, step: Step) -> Tensor:
            return velocity

    class NamedField(Named):
        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            order.append("evaluation")
            return -x

    with following(Named("tap")):
        integrate(
            NamedField("field"),
            Euler(),
            torch.ones(1),
            linear_sigmas(1),
            controller=Named("controller"),
            observers=[Named("observer")],
        )
    assert order == ["field", "controller", "tap", "observer", "evaluation"]


def test_a_follower_that_nobody_told_of_a_step_says_so() -> None:
    class Clocked(Follower):
        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            return x * self.step.index

    hidden = Clocked()
    with pytest.raises(InputError, match="Clocked works by the step under way and was told of none: hand it to"):
        integrate(lambda x, sigma: hidden(x, sigma), Euler(), torch.ones(1), linear_sigmas(STEPS))


def test_a_step_that_ended_answers_no_later_integration() -> None:
    """The field of one integration, hidden in another's: its last step must not stand in for that one's."""

    class Clocked(Follower):
        def __call__(self, x: Tensor, sigma: float) -> Tensor:
            return x * self.step.index

    field = Clocked()
    integrate(field, Euler(), torch.ones(1), linear_sigmas(STEPS))
    with pytest.raises(InputError, match="Clocked works by the step under way and was told of none"):
        integrate(lambda x, sigma: field(x, sigma), Euler(), torch.ones(1), linear_sigmas(STEPS))


SOURCE = Path(undrift.__file__).parent
LOOP = {"CountedField"}
"""What ``integrate`` itself wraps a field in, once it has asked it who hears of the steps."""


def test_every_field_that_is_made_of_fields_names_its_parts() -> None:
    """A field hidden in another would hear of no step; the classes are found by what they take and are."""
    silent = []
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and wraps_a_field(node) and node.name not in LOOP:
                silent += [node.name] if "parts = " not in ast.unparse(node) else []
            elif isinstance(node, ast.FunctionDef):
                silent += closures(node)
    assert silent == []


@pytest.mark.parametrize(
    "code",
    [
        "class A:\n def __init__(self, v: VelocityField): ...\n def __call__(self, x, sigma): ...",
        "def make(v):\n def field(x, sigma):\n  return v(x, sigma)\n return field",
    ],
)
def test_a_field_that_names_none_is_found(code: str) -> None:
    (node,) = ast.parse(code).body
    assert wraps_a_field(node) if isinstance(node, ast.ClassDef) else closures(node)


def wraps_a_field(node: ast.ClassDef) -> bool:
    """Whether it is called as a field is, and is made with one."""
    methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
    if "__call__" not in methods or [a.arg for a in methods["__call__"].args.args] != ["self", "x", "sigma"]:
        return False
    taken = methods["__init__"].args.args if "__init__" in methods else []
    return any(a.annotation is not None and "VelocityField" in ast.unparse(a.annotation) for a in taken)


def closures(node: ast.AST) -> list[str]:
    """Fields that are functions within another: they have no parts to name."""
    inner = [each for each in ast.walk(node) if isinstance(each, ast.FunctionDef) and each is not node]
    return [each.name for each in inner if [a.arg for a in each.args.args] == ["x", "sigma"]]
