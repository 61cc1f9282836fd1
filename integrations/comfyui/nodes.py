"""The nodes. A turn on a wire is a session's folder and the turn's id; pictures and latents stay in the session.

A node that is run again with the same inputs gives the turn that its session holds already. ComfyUI runs nodes in
torch's inference mode, in which nothing that is loaded or made can be differentiated later: the nodes that load or
run a model leave it, since some methods need gradients.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import io
from PIL import ImageChops

from undrift import Backbone, Session, Turn, all_methods, load, start_session
from undrift.errors import InputError
from undrift.methods import registry
from undrift.session import engine
from undrift.session.compare import compare
from undrift.session.next_turn import carried, last_method
from undrift.session.repeated import restored_there, turn_there
from undrift.session.saying import heard, said_plan, told
from undrift.session.sheet import contact_sheet
from undrift.studio.session_folders import SessionFolders

from .convert import to_images, to_picture, to_region
from .watching import Watched

CATEGORY = "undrift"
AS_BEFORE = "as before"
READINGS = ("find out", "instruction", "caption")

Model = io.Custom("UNDRIFT_MODEL")
TurnWire = io.Custom("UNDRIFT_TURN")


@dataclass(frozen=True)
class At:
    """A turn on a wire."""

    folder: Path
    turn: str

    @property
    def session(self) -> Session:
        """Its session."""
        return Session.open(self.folder)


def sessions_folder() -> Path:
    """Where sessions go: ``undrift`` in ComfyUI's output folder."""
    folder = Path(folder_paths.get_output_directory()) / "undrift"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _turn_outputs() -> list[io.Output]:
    return [TurnWire.Output(display_name="turn"), io.Image.Output(display_name="image")]


def _given(session: Session, turn: Turn, *more: object) -> io.NodeOutput:
    return io.NodeOutput(At(session.folder, turn.id), to_images(session.picture(turn)), *more)


class LoadModel(io.ComfyNode):
    """Loads what edits: LittleWorld, or a FLUX pipeline."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="UndriftLoadModel",
            display_name="undrift: load model",
            category=CATEGORY,
            description="littleworld, a Hub id such as black-forest-labs/FLUX.1-dev, or a folder.",
            inputs=[
                io.String.Input("model", default="littleworld"),
                io.Combo.Input("dtype", options=["auto", "bf16", "fp16", "fp32"], default="auto"),
                io.String.Input("device", default="auto"),
                io.Combo.Input("offload", options=["none", "model", "group"], default="none"),
                io.Combo.Input("quantize", options=["none", "nf4", "int8", "fp8"], default="none"),
            ],
            outputs=[Model.Output(display_name="model")],
        )

    @classmethod
    @torch.inference_mode(False)
    def execute(cls, model: str, dtype: str, device: str, offload: str, quantize: str) -> io.NodeOutput:
        return io.NodeOutput(load(model, dtype=dtype, device=device, offload=offload, quantize=quantize))


class StartSession(io.ComfyNode):
    """Begins a session with a picture, or goes on with the one of that name and picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="UndriftStartSession",
            display_name="undrift: start session",
            category=CATEGORY,
            inputs=[
                Model.Input("model"),
                io.Image.Input("image"),
                io.String.Input("caption", multiline=True, default="", tooltip="What the picture shows."),
                io.String.Input("name", default="session"),
            ],
            outputs=_turn_outputs(),
        )

    @classmethod
    @torch.inference_mode(False)
    def execute(cls, model: Backbone, image: object, caption: str, name: str) -> io.NodeOutput:
        picture, folders = to_picture(image), SessionFolders(sessions_folder())
        wanted, count = name, 1
        while wanted in folders.names():
            session = folders.session(wanted)
            same = session.original.prompt == caption and session.picture(session.original).size == picture.size
            if same and ImageChops.difference(session.picture(session.original), picture).getbbox() is None:
                return _given(session, session.original)
            count += 1
            wanted = f"{name}-{count}"
        session = start_session(folders.new(wanted), picture, caption, model)
        return _given(session, session.original)


class EditTurn(io.ComfyNode):
    """Makes a turn from an instruction or a caption."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="UndriftEditTurn",
            display_name="undrift: edit turn",
            category=CATEGORY,
            description="An instruction such as 'make the hat blue', or all that the picture is to show.",
            inputs=[
                Model.Input("model"),
                TurnWire.Input("turn"),
                io.String.Input("text", multiline=True, default="make the dog blue"),
                io.Combo.Input("read_as", options=list(READINGS), default=READINGS[0]),
                io.Combo.Input("method", options=[AS_BEFORE, *all_methods()], default=AS_BEFORE),
                io.Float.Input("dial", default=0.0, min=-1.0, max=1.0, step=0.05, tooltip="-1 obeys, 1 preserves."),
                # No new seed by itself after every run: it would make the turns before this one anew as well.
                io.Int.Input("seed", default=0, min=0, max=2**32 - 1, control_after_generate=False),
                io.Mask.Input("mask", optional=True, tooltip="Where the picture may change."),
            ],
            outputs=[*_turn_outputs(), io.String.Output(display_name="caption")],
        )

    @classmethod
    @torch.inference_mode(False)
    def execute(
        cls,
        model: Backbone,
        turn: At,
        text: str,
        read_as: str,
        method: str,
        dial: float,
        seed: int,
        mask: object = None,
    ) -> io.NodeOutput:
        session = turn.session
        tree = session.tree()
        parent = tree.turn(turn.turn)
        region = to_region(mask, (parent.width, parent.height))
        name, preset = last_method(tree, parent) if method == AS_BEFORE else (method, "default")
        editor = registry.get(name, preset, carried(tree, parent, name), model.tuned, dial)
        made = turn_there(tree, parent, text, editor, model, seed, region)
        if made is None:
            listen = partial(heard, tree, text, parent.id, None, None if read_as == READINGS[0] else read_as)
            reading = told(listen, text, parent.prompt, editor)
            plan = replace(said_plan(reading, parent), seed=seed, region=region)
            watched = Watched(model, editor.cost(model).evaluations)
            made = engine.run_turn(session, model, editor, plan, [watched], tree)
        return _given(session, made, made.prompt)


class Restore(io.ComfyNode):
    """Puts an earlier picture back where a mask says."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="UndriftRestore",
            display_name="undrift: restore",
            category=CATEGORY,
            inputs=[
                Model.Input("model"),
                TurnWire.Input("turn"),
                io.Mask.Input("mask", tooltip="Where the earlier picture comes back."),
                io.String.Input("from_turn", default="original", tooltip="original, a number, an id or a branch."),
            ],
            outputs=_turn_outputs(),
        )

    @classmethod
    @torch.inference_mode(False)
    def execute(cls, model: Backbone, turn: At, mask: object, from_turn: str) -> io.NodeOutput:
        session = turn.session
        tree = session.tree()
        parent, anchor = tree.turn(turn.turn), tree.turn(from_turn)
        brush = to_region(mask, (parent.width, parent.height))
        if brush is None:
            raise InputError("connect a mask: it says where the earlier picture comes back")
        made = restored_there(tree, parent, anchor, brush)
        return _given(session, made or engine.restore(session, model, brush, anchor.id, parent.id))


class Tree(io.ComfyNode):
    """The history of a session: as text, and as one picture of the turns that led to this one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="UndriftTree",
            display_name="undrift: session tree",
            category=CATEGORY,
            inputs=[TurnWire.Input("turn")],
            outputs=[io.String.Output(display_name="tree"), io.Image.Output(display_name="sheet")],
        )

    @classmethod
    def execute(cls, turn: At) -> io.NodeOutput:
        session = turn.session
        tree = session.tree()
        sheet = contact_sheet(session, tree.path(tree.turn(turn.turn)))
        return io.NodeOutput(tree.text(), to_images(sheet))


class Compare(io.ComfyNode):
    """Two turns of one session: a map of where they differ, and how much."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="UndriftCompare",
            display_name="undrift: compare",
            category=CATEGORY,
            inputs=[TurnWire.Input("first"), TurnWire.Input("second")],
            outputs=[io.Image.Output(display_name="map"), io.String.Output(display_name="numbers")],
        )

    @classmethod
    def execute(cls, first: At, second: At) -> io.NodeOutput:
        if first.folder != second.folder:
            raise InputError("the turns are of two sessions: only turns of one can be compared")
        session = first.session
        found = compare(session, session.turn(first.turn), session.turn(second.turn))
        return io.NodeOutput(to_images(found.heat), found.numbers.text)


NODES = (LoadModel, StartSession, EditTurn, Restore, Tree, Compare)
