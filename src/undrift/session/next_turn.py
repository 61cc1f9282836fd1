"""What the turn after this one can be: with which method, in how many variants, anew from the original; and which of
the variants the session goes on with. Everything is decided from one reading of the tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from undrift.errors import InputError
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.methods.dial import can_turn, turned
from undrift.methods.registry import Tuned
from undrift.session.engine import EditPlan, check_seed
from undrift.session.model import Turn
from undrift.session.seeds import SEEDS, seeds
from undrift.session.store import Session
from undrift.session.tree import Tree

DIALS = (0.0, -0.5, 0.5, -1.0, 1.0, -0.25, 0.25, -0.75, 0.75)
"""Where the dial stands for one candidate after another."""


def last_method(tree: Tree, turn: Turn) -> tuple[str, str]:
    """Method and preset that ``turn`` or the last edit before it was made with: a next turn goes on with them.

    Changed parameters hold for one turn, a turned dial too, so that turns do not add up to extremes, and so does a
    method that draws a region anew. Before the first edit, and for a method or preset that is not known here, the
    defaults.
    """
    known = registry.all_methods()
    once = {name for name, method in known.items() if method.redraws}
    specs = [step.spec for step in tree.path(turn) if step.spec is not None and step.spec.method not in once]
    if not specs or specs[-1].method not in known:
        return registry.DEFAULT, "default"
    method, preset = specs[-1].method, specs[-1].preset
    return method, preset if preset in known[method].presets else "default"


def carried(tree: Tree, turn: Turn, method: str) -> dict[str, Any]:
    """Parameters that ``method`` goes on with from the last edit that it made on the way to ``turn``."""
    known = registry.all_methods().get(method)
    specs = [step.spec for step in tree.path(turn) if step.spec is not None and step.spec.method == method]
    if known is None or not specs:
        return {}
    return {name: specs[-1].params[name] for name in known.carried if specs[-1].params.get(name)}


def usual_method(tree: Tree, turn: Turn, tuned: Tuned) -> EditMethod:
    """The method of a next turn that names none, with a model's ``tuned`` values.

    Raises:
        InputError: a recorded parameter that it does not take.
    """
    name, preset = last_method(tree, turn)
    return registry.get(name, preset, carried(tree, turn, name), tuned)


def rebase_plan(tree: Tree, turn: str = "head") -> EditPlan:
    """The plan that makes the prompt of ``turn`` anew from the original picture: no earlier turn's errors remain.

    Raises:
        InputError: ``turn`` is the original.
    """
    wanted = tree.turn(turn)
    if wanted.id == tree.original.id:
        raise InputError("this is the original picture already: there is nothing to rebase")
    return EditPlan(wanted.prompt, parent=tree.original.id)


def candidates(method: EditMethod, seed: int, count: int) -> list[tuple[EditMethod, int]]:
    """``count`` variants of one turn, the first of them ``method`` with ``seed`` itself; seeds count up from there.

    Where seeds make no difference (``EditMethod.draws_noise``), the others differ by the dial as well: a half
    towards obeying, a half towards preserving, then all the way, then what lies between. Where the dial was turned
    already, they stand at these places too, not that much further.

    Raises:
        InputError: a count out of range, or variants of a method that neither draws noise nor has a dial.
    """
    if not 1 <= count <= len(DIALS):
        raise InputError(f"{count} candidates were asked for, expected 1 to {len(DIALS)}")
    seeds = [(seed + number) % SEEDS for number in range(count)]
    if count == 1 or method.draws_noise():
        return [(method, each) for each in seeds]
    if not can_turn(method):
        raise InputError(
            f"candidates of '{method.name}' would all be one picture: it draws no noise and has no dial; "
            "make them with --set or another method"
        )
    unturned = method.turned_from or method
    places = [dial for dial in DIALS if dial != method.dial_value][: count - 1]
    return list(zip([method, *(turned(unturned, dial) for dial in places)], seeds, strict=True))


def candidate_plans(tree: Tree, method: EditMethod, plan: EditPlan, count: int) -> list[tuple[EditMethod, EditPlan]]:
    """What to run for ``candidates`` of ``plan``: siblings, of which the head follows the first alone.

    The parent is settled here, once: the head that moves to the first candidate is not what the second is made from.

    Raises:
        InputError: as ``candidates``, no such parent, or a seed out of range.
    """
    check_seed(plan.seed)
    settled = replace(plan, parent=tree.turn(plan.parent).id)
    seed = seeds.drawn(settled.parent) if plan.seed is None else plan.seed
    return [
        (variant, replace(settled, seed=each, move_head=plan.move_head and number == 0))
        for number, (variant, each) in enumerate(candidates(method, seed, count))
    ]


def beside(
    turns: Sequence[tuple[EditMethod, EditPlan]], others: Sequence[EditMethod]
) -> list[tuple[EditMethod, EditPlan]]:
    """``turns`` of ``candidate_plans``, and the first one's plan with each of ``others``, its seed included.

    Raises:
        InputError: more than can be told apart side by side, or the same one twice.
    """
    found = [*turns, *((other, replace(turns[0][1], move_head=False)) for other in others)]
    if len(found) > len(DIALS):
        raise InputError(f"{len(found)} candidates were asked for, expected 1 to {len(DIALS)}")
    for place, (method, asked) in enumerate(found):
        if any((method.name, method.params, asked.seed) == (m.name, m.params, a.seed) for m, a in found[:place]):
            raise InputError(
                f"two candidates would be one picture, of '{method.name}' with the same parameters and seed: name "
                "each method and each place of the dial once; --candidates makes several of the turn's own method"
            )
    return found


def keep(session: Session, ref: str = "head") -> Turn:
    """Go on with a turn instead of its siblings; a branch that ended at one of them ends here from now on.

    Args:
        session: whose turns.
        ref: the turn, anything that ``Tree.turn`` understands.

    Raises:
        InputError: no such turn.
    """
    tree = session.tree()
    turn = tree.turn(ref)
    siblings = {other.id for other in tree.turns.values() if other.parent == turn.parent and other.id != turn.id}
    tips = [name for name in _by_preference(tree) if tree.branches[name] in siblings]
    if not tips or turn.id in tree.branches.values():
        return session.checkout(followed(tree, turn))
    session.place({tips[0]: turn.id}, turn.id, tips[0])
    return turn


def followed(tree: Tree, turn: Turn) -> str:
    """What to check out for ``turn``: a branch that ends there, so that the branch goes on, else its id."""
    return next((name for name in _by_preference(tree) if tree.branches[name] == turn.id), turn.id)


def _by_preference(tree: Tree) -> list[str]:
    """Branch names, the followed one first."""
    return sorted(tree.branches, key=lambda name: name != tree.branch)
