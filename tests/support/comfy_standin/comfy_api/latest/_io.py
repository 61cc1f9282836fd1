"""Inputs, outputs, schema and node; see the package."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Output:
    """An output socket."""

    id: str | None = None
    display_name: str | None = None
    tooltip: str | None = None
    is_output_list: bool = False
    io_type: str = ""


@dataclass
class Input:
    """An input: a socket or a widget."""

    id: str
    display_name: str | None = None
    optional: bool = False
    tooltip: str | None = None
    lazy: bool | None = None
    default: Any = None
    options: list[str] | None = None
    min: float | None = None
    max: float | None = None
    step: float | None = None
    multiline: bool = False
    control_after_generate: bool | None = None
    io_type: str = ""


def _kind(io_type: str, *allowed: str) -> type:
    plain = {"display_name", "optional", "tooltip", "lazy", *allowed}

    def make_input(id: str, **said: Any) -> Input:
        assert set(said) <= plain, f"{io_type}.Input has no {set(said) - plain}"
        return Input(id, io_type=io_type, **said)

    def make_output(id: str | None = None, display_name: str | None = None, tooltip: str | None = None) -> Output:
        return Output(id, display_name, tooltip, io_type=io_type)

    return type(io_type, (), {"Input": staticmethod(make_input), "Output": staticmethod(make_output)})


String = _kind("STRING", "default", "multiline", "placeholder")
Int = _kind("INT", "default", "min", "max", "step", "control_after_generate")
Float = _kind("FLOAT", "default", "min", "max", "step")
Combo = _kind("COMBO", "default", "options")
Image = _kind("IMAGE")
Mask = _kind("MASK")


def Custom(io_type: str) -> type:  # noqa: N802
    """A type of one's own."""
    return _kind(io_type)


@dataclass
class Schema:
    """What a node is."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    description: str = ""
    is_output_node: bool = False


class NodeOutput:
    """What a node gives."""

    def __init__(self, *args: Any, ui: Any = None) -> None:
        self.args = args
        self.ui = ui


class ComfyNode:
    """Base of the nodes."""

    @classmethod
    def define_schema(cls) -> Schema:
        """What the node is."""
        raise NotImplementedError

    @classmethod
    def execute(cls, **inputs: Any) -> NodeOutput:
        """Do its work."""
        raise NotImplementedError
