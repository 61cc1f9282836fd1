"""Sessions, turns and methods as the JSON that the page shows."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from undrift.backbones.base import Backbone
from undrift.errors import UndriftError
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.methods.dial import can_turn
from undrift.session import drift
from undrift.session.maker import maker
from undrift.session.model import Turn
from undrift.session.prompts import prompt_diff, steering_words
from undrift.session.store import Session
from undrift.session.tree import Tree
from undrift.studio.session_folders import SessionFolders


def session_view(name: str, session: Session) -> dict[str, Any]:
    """A session with all of its turns, oldest first."""
    tree = session.tree()
    return {
        "name": name,
        "folder": str(session.folder),
        "model": session_model(session, tree.original.id),
        "width": tree.original.width,
        "height": tree.original.height,
        "head": tree.head_id,
        "branch": tree.branch,
        "branches": dict(tree.branches),
        "trail": dict(tree.trail),
        "turns": [turn_view(turn, tree) for turn in tree.turns.values()],
    }


def turn_view(turn: Turn, tree: Tree) -> dict[str, Any]:
    """A turn as recorded, with what the page says about it."""
    shown = turn.model_dump(
        mode="json", exclude={"latent", "latent_hash", "image", "mask", "region_file", "references_file"}
    )
    parent = tree.turns.get(turn.parent or "")
    return {
        **shown,
        "has_mask": turn.mask is not None,
        "has_region": turn.region_file is not None,
        "has_references": turn.references_file is not None,
        "changes": None if parent is None else diff_view(parent.prompt, turn.prompt),
        "warning": drift.warning(turn),
    }


@lru_cache(maxsize=4096)
def diff_view(source: str, target: str) -> dict[str, Any]:
    """What changes from one prompt to the next, piece by piece, and the words that steer if nobody chooses others.

    Kept, because the page asks for all turns of a session whenever it has another one: not to be changed.
    """
    steering = steering_words(source, target)
    return {"words": prompt_diff(source, target), "steering": steering}


def card_view(name: str, folders: SessionFolders) -> dict[str, Any]:
    """A session in the list of sessions; one that cannot be opened says why."""
    try:
        tree = folders.session(name).tree()
    except UndriftError as error:
        return {"name": name, "error": str(error)}
    head = tree.head
    return {
        "name": name,
        "turns": len(tree.turns) - 1,
        "prompt": head.prompt,
        "head": head.id,
        "hash": head.image_hash,
        "changed": max(turn.created for turn in tree.turns.values()),
    }


def methods_view(backbone: Backbone) -> list[dict[str, Any]]:
    """Every method with its presets' parameters as this model would run them, and its parameters' schema."""
    return [_method_view(method, backbone) for method in registry.all_methods().values()]


@lru_cache(maxsize=64)
def session_model(session: Session, turn_id: str) -> str | None:
    """The model that made a turn; None if nothing says it."""
    made_by = maker(session, session.turn(turn_id))
    return None if made_by is None else made_by.name


def _method_view(method: type[EditMethod], backbone: Backbone) -> dict[str, Any]:
    presets = {name: registry.get(method.name, name, tuned=backbone.tuned) for name in method.presets}
    return {
        "name": method.name,
        "title": method.title,
        "paper": method.paper,
        "takes_references": method.takes_references,
        "redraws": method.redraws,
        "presets": {
            name: {"params": made.params.model_dump(mode="json"), "evaluations": made.cost(backbone).evaluations}
            for name, made in presets.items()
        },
        "has_dial": {name: can_turn(made) for name, made in presets.items()},
        "draws_noise": {name: made.draws_noise() for name, made in presets.items()},
        "parameters": type(method.presets["default"]).model_json_schema()["properties"],
    }
