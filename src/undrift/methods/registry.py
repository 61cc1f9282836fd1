"""Finds the methods: every ``EditMethod`` with a name in a module of this package or of a plug-in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import ValidationError

from undrift import wording
from undrift.backbones.base import Backbone
from undrift.discovery import look_up, named_classes
from undrift.errors import InputError
from undrift.methods.base import CUSTOM, EditMethod, Params
from undrift.methods.dial import turned

DEFAULT = "undrift"
"""The method of a turn that names none."""

Tuned = Mapping[str, Mapping[str, Any]]
"""Parameters per method name, or ``NAME:PRESET`` for another than the default preset, as ``Backbone.tuned`` declares
them."""


@cache
def all_methods() -> Mapping[str, type[EditMethod]]:
    """Every method by name, sorted."""
    return named_classes("undrift.methods", EditMethod, "undrift.methods")  # type: ignore[type-abstract]


@dataclass(frozen=True)
class Chosen:
    """A method that was looked up and accepts what is asked of it; the model may be loaded afterwards.

    Attributes:
        method, usual: the class, and the parameters of the chosen preset.
        preset: its name.
        overrides: parameters by name; strings are parsed.
        dial: -1 to 1, see ``undrift.methods.dial``.
    """

    method: type[EditMethod]
    usual: Params
    preset: str = "default"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    dial: float = 0.0

    def fitted(self, tuned: Tuned | None = None) -> EditMethod:
        """The method with the preset's parameters, the model's ``tuned`` values, the overrides, then the dial.

        A method's ``tuned`` values apply to its preset ``default`` and the presets that vary it
        (``EditMethod.variations``) alone, since others may promise a source's exact numbers; those that a model
        declares for ``NAME:PRESET`` apply to that preset.

        Raises:
            InputError: a parameter that does not exist, a value out of range, or a dial that turns nothing.
        """
        params = self._suited(tuned or {})
        usual = self.method(params, preset=self.preset).resolved(tuned)
        if not self.overrides:
            return turned(usual, self.dial)
        made = self.method(params.updated(self.overrides)).resolved(tuned)
        return turned(usual if made.params == usual.params else made, self.dial)

    def _suited(self, tuned: Tuned) -> Params:
        """The preset's parameters with the model's values, wherever these apply to it."""
        name, default = self.method.name, self.method.presets["default"]
        own = tuned.get(f"{name}:{self.preset}", {})
        if self.preset == "default":
            return default.updated(tuned.get(name, {}))
        if self.preset not in self.method.variations:
            return self.usual.updated(own)
        differing = {key: value for key, value in self.usual if value != getattr(default, key)}
        return default.updated({**tuned.get(name, {}), **differing, **own})


@dataclass(frozen=True)
class Exactly:
    """A method that no model's tuned values change."""

    method: EditMethod

    def fitted(self, tuned: Tuned | None = None) -> EditMethod:
        """The method as it is."""
        return self.method


def choose(
    name: str = DEFAULT,
    preset: str = "default",
    overrides: Mapping[str, Any] | None = None,
    dial: float = 0.0,
) -> Chosen:
    """Look a method up and check what is asked of it, before a model is loaded for it.

    Raises:
        InputError: no such method, preset or parameter, or a value out of range; the message says what exists.
    """
    chosen = _looked_up(name, preset, overrides, dial)
    chosen.fitted()
    return chosen


def get(
    name: str = DEFAULT,
    preset: str = "default",
    overrides: Mapping[str, Any] | None = None,
    tuned: Tuned | None = None,
    dial: float = 0.0,
) -> EditMethod:
    """The method for a model that is known already; see ``Chosen`` for the arguments.

    Raises:
        InputError: as ``choose``.
    """
    return _looked_up(name, preset, overrides, dial).fitted(tuned)


def method(
    name: str = DEFAULT,
    model: Backbone | None = None,
    /,
    *,
    preset: str = "default",
    dial: float = 0.0,
    tuned: bool = True,
    **params: Any,
) -> EditMethod:
    """An editor by name, ready to run on ``model``: the preset, the model's tuned values, then ``params``.

    Args:
        name: see ``undrift methods`` or ``all_methods``.
        model: what it is to run on; None, or ``tuned=False``, leaves the model's own values out.
        preset: one of the method's presets; a model's values apply to the one that it declares them for.
        dial: from -1, obey the prompt, over 0, the method as it is, to 1, preserve the picture.
        tuned: whether the values that were found best for ``model`` are taken.
        params: any of the method's parameters.

    Raises:
        InputError: no such method, preset or parameter, or a value out of range; the message says what exists.
    """
    return get(name, preset, params, model.tuned if model is not None and tuned else None, dial).chosen_here()


def check_recorded(name: str, params: Mapping[str, Any]) -> None:
    """Refuse a record's parameters that the method cannot have had: values of another type, or out of range.

    A method that is not known here is not looked into, nor a parameter that it does not have: another version or a
    plug-in had them. ``recorded`` refuses both, once a turn is to be made with them.

    Raises:
        InputError: the message names the parameter.
    """
    known = all_methods().get(name)
    if known is None:
        return
    usual = known.presets["default"]
    values = {each: value for each, value in params.items() if each in type(usual).model_fields}
    try:
        # Strictly and as JSON: what a record holds is what the parameters were written as.
        type(usual).model_validate_json(json.dumps({**usual.model_dump(mode="json"), **values}), strict=True)
    except ValidationError as error:
        raise InputError(f"parameter {wording.problem(error)}") from None


def recorded(name: str, params: Mapping[str, Any], preset: str = CUSTOM, dial: float = 0.0) -> EditMethod:
    """A method with exactly the parameters of a record, and the preset and dial that the record says they are.

    Raises:
        InputError: a method or a parameter that is not known here.
    """
    method = look_up("method", name, all_methods())
    return method(method.presets["default"].updated(params), preset=preset, dial_value=dial)


def _looked_up(name: str, preset: str, overrides: Mapping[str, Any] | None, dial: float) -> Chosen:
    method = look_up("method", name, all_methods())
    return Chosen(method, look_up(f"preset of {name}", preset, method.presets), preset, overrides or {}, dial)
