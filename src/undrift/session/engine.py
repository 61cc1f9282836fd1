"""Running a turn: the only place where session, backbone and method meet."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from PIL import Image

from undrift import wording
from undrift.backbones.base import Backbone
from undrift.errors import InputError
from undrift.files import sha256
from undrift.flow import Observer
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.pictures import mask_bytes, png_bytes
from undrift.session import latents, region
from undrift.session.making import Work, stored_latent
from undrift.session.model import Loaded, RestoreSpec, Turn, TurnKind, TurnSpec
from undrift.session.outcome import Outcome, Pending, Spec
from undrift.session.plans import EditPlan, check_seed, check_text, loaded, made_by, resolved, versions
from undrift.session.provenance import recipe
from undrift.session.references import Look, sheet_of
from undrift.session.seeds import seeds
from undrift.session.store import Session
from undrift.session.together import Batch, Candidate, Watcher, in_batches, unlike
from undrift.session.tree import Tree

__all__ = [
    "EditPlan",
    "check_references",
    "check_seed",
    "check_takes_references",
    "import_picture",
    "restore",
    "run_together",
    "run_turn",
    "start_session",
    "versions",
]

AnySpec = TypeVar("AnySpec", bound=Spec)


def start_session(folder: str | Path, image: Image.Image, prompt: str, backbone: Backbone) -> Session:
    """A new session in ``folder`` whose original is ``image``, which ``prompt`` describes (it may be empty).

    Raises:
        SessionError: the folder is in use or cannot be written.
        InputError: the prompt is no text.
        ModelError: the model does not say which it is.
    """
    _check_kind("the picture", image, Image.Image, "undrift.read_picture(FILE) opens one")
    _check_kind("the model", backbone, Backbone, "undrift.load(NAME) loads one")
    check_text(prompt)
    latents.check_maker(backbone)
    return Session.create(folder, prompt, _picture_outcome(image.convert("RGB"), prompt, "original", 0, backbone))


def import_picture(
    session: Session, image: Image.Image, prompt: str, backbone: Backbone, parent: str = "head"
) -> Turn:
    """Append a picture made elsewhere (painted, retouched) as a turn.

    Raises:
        InputError: not the session's size, or the prompt is no text.
    """
    check_text(prompt)
    latents.check_maker(backbone)
    tree = session.tree()
    made_from, original = tree.turn(parent), tree.original
    if image.size != (original.width, original.height):
        given, wanted = (f"{w}x{h}" for w, h in (image.size, (original.width, original.height)))
        raise InputError(f"the picture is {given}, expected the session's {wanted} pixels: resize or crop it first")
    outcome = _picture_outcome(image.convert("RGB"), prompt, "import", made_from.number + 1, backbone)
    return session.finish(session.begin(made_from, prompt), outcome)


def run_turn(
    session: Session,
    backbone: Backbone,
    method: EditMethod,
    plan: EditPlan,
    observers: Sequence[Observer] = (),
    tree: Tree | None = None,
) -> Turn:
    """Run one turn and append it to the session. Deterministic in the session, the model and the resolved plan,
    to the byte on one machine with the same threads and versions.

    The resolved specification is recorded first; if the work fails or an observer cancels it, that record is removed
    again and the session is as before.

    Args:
        session, backbone, method, plan: what to edit, on which model, with which editor, and how.
        observers: hear of every step.
        tree: the session as the caller has read it already; None reads it.

    Raises:
        InputError: an empty prompt, an unknown turn, a seed out of range, a region of another size or black
            everywhere, or what the method refuses.
        SessionError: the result cannot be written.
        Cancelled: an observer stopped it.
    """
    (turn,) = run_together(session, backbone, method, [plan], observers, tree)
    return turn


def run_together(
    session: Session,
    backbone: Backbone,
    method: EditMethod | Sequence[EditMethod],
    plans: Sequence[EditPlan],
    observers: Sequence[Observer] = (),
    tree: Tree | None = None,
    watcher: Watcher | None = None,
) -> tuple[Turn, ...]:
    """Run candidates of one turn as one batch: turns as ``run_turn`` makes them, but for rounding.

    Candidates may have other methods, and dials of one: each goes its own way, and what they ask of the network at a
    time goes through it at once (``undrift.backbones.together``). Where the device has no room for so many at once,
    they are made in two halves, and so on.

    Args:
        session, backbone, observers, tree: as for ``run_turn``.
        method: of all plans, or one per plan.
        plans: differ in the seed, and in whether the head moves, alone.
        watcher: hears of the candidates one by one; each is appended as soon as it is made.

    Raises:
        InputError: other plans, or what ``run_turn`` refuses.
        SessionError, Cancelled: as ``run_turn``; what was finished is kept.
    """
    _check_kind("the model", backbone, Backbone, "undrift.load(NAME) loads one")
    if isinstance(method, str):
        _check_method(method)
    methods: list[EditMethod] = list(method) if isinstance(method, Sequence) else [method] * len(plans)
    for each in methods:
        _check_method(each)
    _check_alike(plans, methods)
    plan, tree = plans[0], tree or session.tree()
    latents.check_maker(backbone)
    for each in unlike(methods):
        each.check(backbone)
        check_references(each, plan.references)
        check_region(each, plan.region)
    parent = tree.turn(plan.parent)
    stored = stored_latent(session, parent, backbone)
    allowed = region.checked(plan.region, (parent.width, parent.height))
    sheet = sheet_of(plan.references, (parent.width, parent.height))
    pinned = {id(each): each.pinned(backbone) for each in unlike(methods)}
    methods = [pinned[id(each)] for each in methods]
    spec = resolved(plan, parent, methods[0], backbone, allowed, has_latent=stored is not None)
    if sheet is not None:
        spec = spec.model_copy(update={"references_hash": sha256(png_bytes(sheet))})
    previous = stored if spec.handover == "latent" else None
    watcher = watcher or Watcher()
    batch = Batch(Work(session, backbone, tree, parent, allowed, sheet), previous, observers, watcher)
    done: dict[int, Turn] = {}

    def make(some: Sequence[Candidate]) -> None:
        def told(place: int, turn: Turn) -> None:
            done[some[place].number] = turn
            watcher.made(some[place].number, turn)

        specs, moves = [one.spec for one in some], [plans[one.number].move_head for one in some]
        _appended(session, parent, plan.prompt, specs, lambda _: batch.outcomes(some), moves, told)

    in_batches(_candidates(spec, plans, methods, parent), make, done)
    return tuple(done[number] for number in range(len(plans)))


def _check_alike(plans: Sequence[EditPlan], methods: Sequence[EditMethod]) -> None:
    for plan in plans:
        _check_kind("the plan", plan, EditPlan, "undrift.EditPlan(PROMPT) is one")
    if not plans or any(
        replace(plan, seed=None, move_head=True) != replace(plans[0], seed=None, move_head=True) for plan in plans
    ):
        raise InputError(
            "candidates that are made together differ in their seeds and methods alone: run others with run_turn"
        )
    if len(methods) != len(plans):
        raise InputError(f"{len(methods)} methods for {len(plans)} plans, expected one of all, or one per plan")


def _candidates(
    spec: TurnSpec, plans: Sequence[EditPlan], methods: Sequence[EditMethod], parent: Turn
) -> list[Candidate]:
    """``spec`` for each plan; the first has its seed already."""
    found = [Candidate(0, spec, methods[0])]
    for number, (plan, method) in enumerate(list(zip(plans, methods, strict=True))[1:], 1):
        check_seed(plan.seed)
        seed = seeds.drawn(parent.id) if plan.seed is None else plan.seed
        found.append(Candidate(number, spec.model_copy(update={"seed": seed, **made_by(method)}), method))
    return found


def restore(
    session: Session, backbone: Backbone, brush: Image.Image, anchor: str = "original", parent: str = "head"
) -> Turn:
    """Append a turn that shows the picture of ``anchor`` where ``brush`` is white, and that of ``parent`` elsewhere.

    The edge is feathered inwards, the latents are blended likewise, and the prompt is the parent's.

    Args:
        session: where to append.
        backbone: encodes pictures whose latents it cannot use.
        brush: of the session's picture size; see ``undrift.session.region``.
        anchor, parent: anything that ``Tree.turn`` understands.

    Raises:
        InputError: a brush of another size or without white, an unknown turn, or the same turn twice.
        SessionError: the result cannot be written.
    """
    latents.check_maker(backbone)
    tree = session.tree()
    onto, wanted = tree.turn(parent), tree.turn(anchor)
    if onto.id == wanted.id:
        raise InputError(f"turn {onto.number} is the turn to restore and to restore from: name an earlier one")
    painted = region.brushed(brush, (onto.width, onto.height))
    spec = RestoreSpec(anchor=wanted.id, region_hash=sha256(mask_bytes(painted)))
    work = Work(session, backbone, tree, onto, painted)
    (turn,) = _appended(session, onto, onto.prompt, [spec], lambda specs: ((0, work.restore(wanted)) for _ in specs))
    return turn


def check_references(method: EditMethod, references: Sequence[Look]) -> None:
    """Refuse references for a method that takes none.

    Raises:
        InputError: the message names the methods that do.
    """
    if references:
        check_takes_references(method)


def check_takes_references(method: EditMethod) -> None:
    """Refuse a method that takes no references.

    Raises:
        InputError: the message names the methods that do.
    """
    if not method.takes_references:
        able = ", ".join(name for name, each in registry.all_methods().items() if each.takes_references)
        raise InputError(f"method '{method.name}' takes no reference: give none, or use one of {able}")


def check_region(method: EditMethod, region: Image.Image | None) -> None:
    """Refuse to draw the whole picture anew for a method that draws what a region covers.

    Raises:
        InputError: the message says how to give one.
    """
    if method.redraws and region is None:
        raise InputError(
            f"method '{method.name}' draws a region anew and was given none: say where with --only MASK,"
            " EditPlan(region=...), or by painting 'Only here'"
        )


def _appended(
    session: Session,
    parent: Turn,
    prompt: str,
    specs: Sequence[AnySpec],
    work: Callable[[Sequence[AnySpec]], Generator[tuple[int, Outcome], None, None]],
    moves: Sequence[bool] = (True,),
    told: Callable[[int, Turn], None] = lambda number, turn: None,
) -> tuple[Turn, ...]:
    """Announce turns, do their work and store each when it is made; a failure leaves the session as it was, but for
    stored ones.

    Args:
        work: says what each of its specs makes, by their places.
        moves: whether the head follows each.
        told: hears of each turn that was stored, by its place.
    """
    pending: dict[int, Pending] = {}
    made: dict[int, Turn] = {}
    try:
        for place, spec in enumerate(specs):
            pending[place] = session.begin(parent, prompt, spec)
        with closing(work(specs)) as outcomes:
            for place, outcome in outcomes:
                made[place] = session.finish(pending[place], outcome, move_head=moves[place])
                del pending[place]
                told(place, made[place])
    except BaseException:
        for one in pending.values():
            session.abandon(one)
        raise
    return tuple(made[place] for place in range(len(specs)))


def _picture_outcome(image: Image.Image, prompt: str, kind: TurnKind, number: int, backbone: Backbone) -> Outcome:
    """What storing a given picture as a turn takes."""
    return Outcome(
        image=png_bytes(image, recipe(prompt, kind, number, None)),
        width=image.width,
        height=image.height,
        latent=latents.to_bytes(backbone.encode([image]), backbone),
        encoded_by=Loaded(**loaded(backbone)),
    )


def _check_method(given: object) -> None:
    _check_kind("the method", given, EditMethod, "undrift.method(NAME, model) gives one")


def _check_kind(what: str, given: object, kind: type, how: str) -> None:
    if not isinstance(given, kind):
        raise InputError(f"{what} is {wording.value(given)}, expected {kind.__name__}: {how}")
