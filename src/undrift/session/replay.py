"""A session's turns once more, in a new session: on another picture, seed, method or model, or as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from undrift.backbones.base import Backbone
from undrift.backbones.loading import tell_other_weights
from undrift.errors import InputError
from undrift.flow import Observer
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.session.carrying import Carried, carried_turns
from undrift.session.engine import EditPlan, import_picture, restore, run_turn, start_session
from undrift.session.model import Loaded, Turn, TurnSpec
from undrift.session.store import Session
from undrift.session.tree import Tree


def recorded_method(spec: TurnSpec) -> EditMethod:
    """The method of a recorded turn with exactly its parameters."""
    return registry.recorded(spec.method, spec.params, spec.preset, spec.dial or 0.0)


def replay(
    session: Session,
    into: str | Path,
    backbone: Backbone,
    *,
    image: Image.Image | None = None,
    prompt: str | None = None,
    seed: int | None = None,
    method: Callable[[TurnSpec], EditMethod] = recorded_method,
    model: Callable[[TurnSpec | Loaded], Backbone] | None = None,
    turn: str | None = None,
    observers: Sequence[Observer] = (),
    finished: Callable[[Turn], None] = lambda turn: None,
) -> Session:
    """Run a session's turns again, in a new session. With nothing changed, pictures and latents are the same bytes on
    the same machine with the same number of threads and versions; elsewhere they are the same but for rounding.

    Args:
        session: what to repeat.
        into: folder of the new session.
        backbone: the model to run on, the recorded one or another.
        image, prompt: another original picture and what it shows; None takes the recorded ones. What the turns ask
            for is said of what it shows, see ``carried_turns``.
        seed: for all turns; None takes the recorded ones.
        method: the method for a recorded turn.
        model: the model for a recorded turn, from whose first ``backbone`` is that of the original; None takes
            ``backbone`` for all.
        turn: repeat the path to this turn; None repeats the whole tree with its branches and head.
        observers: of every turn.
        finished: called with each new turn.

    Raises:
        InputError: ``image`` has another size than the pictures or regions that were put in by hand, or a turn has no
            sure meaning of a picture that shows ``prompt``.
    """
    tree = session.tree()
    turns = repeated_turns(tree, turn)
    original = session.picture(tree.original) if image is None else image
    check_size(turns, original.size)
    carried = {} if prompt is None else carried_turns(tree, turns, prompt)
    new = start_session(into, original, tree.original.prompt if prompt is None else prompt, backbone)
    ids = {tree.original.id: new.original.id}
    for old in turns[1:]:
        parent = ids[str(old.parent)]
        drawn = session.region(old)
        if old.spec is not None:
            backbone = backbone if model is None else model(old.spec)
            plan = replace(_again(old, old.spec, tree, parent, seed), region=drawn)
            plan = replace(plan, references=session.references(old), **_said(carried.get(old.id), plan))
            tell_other_weights(backbone.identity, old.spec.model, old.spec.weights_hash, f"turn {old.number}")
            made = run_turn(new, backbone, method(old.spec), plan, observers)
        elif old.restore is not None and drawn is not None:
            made = restore(new, backbone, drawn, ids[old.restore.anchor], parent)
        else:
            if model is not None and old.encoded_by is not None:
                backbone = model(old.encoded_by)
            made = import_picture(new, session.picture(old), old.prompt, backbone, parent)
        ids[old.id] = made.id
        finished(made)
    if turn is None:
        _restore_names(new, tree, ids)
    return new


def _restore_names(new: Session, old: Tree, ids: Mapping[str, str]) -> None:
    """Give ``new`` the branches and the head of ``old``."""
    new.place({name: ids[tip] for name, tip in old.branches.items()}, ids[old.head_id], old.branch)


def _again(old: Turn, spec: TurnSpec, tree: Tree, parent: str, seed: int | None) -> EditPlan:
    told = spec.source_prompt != tree.turns[str(old.parent)].prompt
    return EditPlan(
        prompt=spec.target_prompt,
        source_prompt=spec.source_prompt if told else None,
        instruction=spec.instruction,
        exchange=spec.exchange,
        words=spec.words,
        seed=spec.seed if seed is None else seed,
        handover=spec.handover,
        parent=parent,
    )


def _said(carried: Carried | None, plan: EditPlan) -> dict[str, Any]:
    """What is another in ``plan`` where it is said of another picture."""
    if carried is None or carried.prompt == plan.prompt:
        return {}
    # What a language model made of the instruction was of the other caption.
    return {**vars(carried), "exchange": None}


def repeated_turns(tree: Tree, turn: str | None = None) -> tuple[Turn, ...]:
    """The turns that ``replay`` makes again for ``turn``, with the original, oldest first.

    Raises:
        InputError: no such turn.
    """
    return tuple(tree.turns.values()) if turn is None else _needed(tree, tree.turn(turn))


def _needed(tree: Tree, turn: Turn) -> tuple[Turn, ...]:
    """The path to ``turn`` and to every turn that something on it was restored from, oldest first."""
    wanted: set[str] = set()
    open_ends = [turn]
    while open_ends:
        for step in tree.path(open_ends.pop()):
            if step.id not in wanted and step.restore is not None:
                open_ends.append(tree.turns[step.restore.anchor])
            wanted.add(step.id)
    return tuple(step for step in tree.turns.values() if step.id in wanted)


def check_size(turns: Sequence[Turn], size: tuple[int, int]) -> None:
    """Refuse an original picture of ``size`` for ``turns``, the first of which is the recorded one.

    Raises:
        InputError: some of them have pictures of another size.
    """
    old = turns[0]
    if size == (old.width, old.height) or all(
        t.spec and t.region_file is None and t.references_file is None for t in turns[1:]
    ):
        return
    given, wanted = (f"{width}x{height}" for width, height in (size, (old.width, old.height)))
    raise InputError(
        f"the picture is {given}, expected {wanted} pixels: some turns have pictures or masks of that size"
    )
