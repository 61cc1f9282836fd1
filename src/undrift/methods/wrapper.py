"""Methods around another method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, field_validator

from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.errors import InputError
from undrift.from_json import from_json
from undrift.methods import registry
from undrift.methods.base import EditMethod, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.needs import Need


class WrapperParams(Params):
    """Parameters of the methods that wrap another one."""

    method: str = Field("multi_turn", description="the method inside")
    method_preset: str = Field("default", description="its preset")
    method_params: dict[str, Any] = Field(
        default_factory=dict, description='its parameters, as JSON: {"steps": 8}, or each by name'
    )

    @field_validator("method_params", mode="before")
    @classmethod
    def _parsed(cls, value: object) -> object:
        return from_json(value) if isinstance(value, str) else value

    def updated(self, overrides: Mapping[str, Any]) -> Self:
        """As for every method, but names that are none of the wrapper's own go to the method inside.

        ``steps=8`` is ``method_params={"steps": 8}``; whether the method inside has it, ``Wrapper.inner`` checks.
        """
        own = type(self).model_fields
        # Turns of before it had a name of its own record the preset inside as ``preset``.
        overrides = {"method_preset" if name == "preset" else name: value for name, value in overrides.items()}
        outside = super().updated({name: value for name, value in overrides.items() if name in own})
        inside = {name: value for name, value in overrides.items() if name not in own}
        return Params.updated(outside, {"method_params": {**outside.method_params, **inside}}) if inside else outside


class Wrapper(EditMethod):
    """Runs the method of its parameters; subclasses change what goes in or comes out."""

    params: WrapperParams

    def inner(self, tuned: Mapping[str, Mapping[str, Any]] | None = None) -> EditMethod:
        """The method inside, with the model's ``tuned`` values where given.

        Raises:
            InputError: an unknown method, preset or parameter, another wrapper, or a method that needs a region.
        """
        p = self.params
        method = registry.get(p.method, p.method_preset, p.method_params, tuned)
        if isinstance(method, Wrapper):
            raise InputError(f"method '{p.method}' wraps others itself: name the method that is to do the edit")
        if method.redraws:
            raise InputError(f"method '{p.method}' draws a region anew: there is no edit to go around")
        return method

    def resolved(self, tuned: Mapping[str, Mapping[str, Any]] | None = None) -> Self:
        inside = self.inner(tuned).params.model_dump(mode="json")
        params = self.params.updated({"method_params": inside})
        return type(self)(params, preset=self.preset, dial_value=self.dial_value)

    def pinned(self, backbone: Backbone) -> Self:
        inner = self.inner()
        return self._around(inner, inner.pinned(backbone))

    def rehearsed(self) -> Self | None:
        inner = self.inner()
        rehearsed = inner.rehearsed()
        return None if rehearsed is None else self._around(inner, rehearsed)

    def _around(self, inner: EditMethod, changed: EditMethod) -> Self:
        """This one with ``changed`` in the place of ``inner``."""
        if changed is inner:
            return self
        params = self.params.updated({"method_params": changed.params.model_dump(mode="json")})
        return type(self)(params, preset=self.preset, dial_value=self.dial_value)

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        return self.inner().cost(model, size)

    def needs(self) -> tuple[Need, ...]:
        return self.inner().needs()

    def check(self, backbone: Backbone) -> None:
        self.inner().check(backbone)

    def draws_noise(self) -> bool:
        return self.inner().draws_noise()

    def steered_by_words(self) -> bool:
        return self.inner().steered_by_words()

    def one_by_one(self) -> bool:
        return self.inner().one_by_one()
