"""One dial between obeying the prompt and preserving the picture, for every method that says what it turns."""

from __future__ import annotations

from typing import Any

from undrift.errors import InputError
from undrift.methods.base import EditMethod


def turned(method: EditMethod, value: float) -> EditMethod:
    """``method`` with its parameters turned towards obeying (-1) or preserving (+1); 0 leaves all as they are.

    Each parameter of ``EditMethod.dial`` moves from its current value c linearly to the end on that side,
    c + |value| (end - c). Whole numbers are rounded, tuples move elementwise. A parameter that is off (None) or
    already beyond the end stays where it is.

    Args:
        method: with the parameters that 0 stands for.
        value: -1 to 1.

    Raises:
        InputError: out of range, or the method declares nothing to turn.
    """
    if not -1.0 <= value <= 1.0:
        raise InputError(f"the dial is at {value}, expected -1 (obey the prompt) to 1 (preserve the picture)")
    if value == 0.0:
        return method
    if not can_turn(method):
        raise InputError(f"method '{method.name}' has nothing that the dial turns here: set its parameters instead")
    current = method.params.model_dump()
    moved = {
        name: _moved(current[name], ends[value > 0], ends[value < 0], abs(value))
        for name, ends in method.dial.items()
        if current[name] is not None
    }
    try:
        made = type(method)(method.params.updated(moved), dial_value=value)
    except InputError as error:
        raise InputError(f"the dial at {value} goes further than the other parameters allow: {error}") from None
    made.turned_from = method
    return made


def can_turn(method: EditMethod) -> bool:
    """Whether ``turned`` changes anything: the method declares a dial, and what it turns is not switched off."""
    return any(getattr(method.params, name) is not None for name in method.dial)


def _moved(current: Any, end: Any, other_end: Any, share: float) -> Any:
    if isinstance(current, tuple | list):
        return tuple(_moved(*parts, share) for parts in zip(current, end, other_end, strict=True))
    beyond = (end - current) * (end - other_end) <= 0
    value = current if beyond else current + share * (end - current)
    return round(value) if isinstance(current, int) else round(value, 6)
