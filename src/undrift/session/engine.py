"""Running a turn: the only place where session, backbone and method meet."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeVar

from PIL import Image
from pydantic import ValidationError

from undrift import __version__, wording
from undrift.backbones.base import Backbone
from undrift.errors import InputError, OutOfMemory
from undrift.files import sha256
from undrift.flow import Observer
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.pictures import mask_bytes, png_bytes
from undrift.session import latents, region
from undrift.session.making import Work, stored_latent
from undrift.session.model import Exchange, Loaded, RestoreSpec, Turn, TurnKind, TurnSpec
from undrift.session.outcome import Outcome, Pending, Spec
from undrift.session.provenance import recipe
from undrift.session.references import Look, sheet_of
from undrift.session.seeds import SEEDS, seeds
from undrift.session.store import Session
from undrift.session.tree import Tree

log = logging.getLogger(__name__)

AnySpec = TypeVar("AnySpec", bound=Spec)
PACKAGES = ("torch", "diffusers", "transformers")


@dataclass(frozen=True)
class EditPlan:
    """What the user asks of a turn; what is left open is resolved before the work starts.

    Attributes:
        prompt: what the result is to show.
        source_prompt: what the parent shows; None takes the parent's prompt.
        instruction: what was said, where ``prompt`` was made from an instruction (``undrift.understand``); recorded.
        exchange: how a language model read it, where one did; recorded.
        words: words of ``prompt`` that steer the highlighting; None takes those that differ.
        seed: None draws one, which is recorded.
        handover: ``latent`` continues from the parent's stored latent, ``image`` re-encodes its picture.
        parent: the turn to edit, anything ``Tree.turn`` understands.
        region: L, of the session's picture size: white may change, black stays the parent's picture to the bit, see
            ``undrift.session.region``. None lets everything change.
        references: pictures whose look the turn is to take on, for methods that take them.
        move_head: whether the head follows the turn; candidates beside it stay out of the way.
    """

    prompt: str
    source_prompt: str | None = None
    instruction: str | None = None
    exchange: Exchange | None = None
    words: tuple[str, ...] | None = None
    seed: int | None = None
    handover: Literal["latent", "image"] = "latent"
    parent: str = "head"
    region: Image.Image | None = None
    references: tuple[Look, ...] = ()
    move_head: bool = True


def start_session(folder: str | Path, image: Image.Image, prompt: str, backbone: Backbone) -> Session:
    """A new session in ``folder`` whose original is ``image``, which ``prompt`` describes (it may be empty).

    Raises:
        SessionError: the folder is in use or cannot be written.
        InputError: the prompt is no text.
        ModelError: the model does not say which it is.
    """
    _check_kind("the picture", image, Image.Image, "undrift.read_picture(FILE) opens one")
    _check_kind("the model", backbone, Backbone, "undrift.load(NAME) loads one")
    _check_text(prompt)
    latents.check_maker(backbone)
    return Session.create(folder, prompt, _picture_outcome(image.convert("RGB"), prompt, "original", 0, backbone))


def import_picture(
    session: Session, image: Image.Image, prompt: str, backbone: Backbone, parent: str = "head"
) -> Turn:
    """Append a picture made elsewhere (painted, retouched) as a turn.

    Raises:
        InputError: not the session's size, or the prompt is no text.
    """
    _check_text(prompt)
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
    method: EditMethod,
    plans: Sequence[EditPlan],
    observers: Sequence[Observer] = (),
    tree: Tree | None = None,
) -> tuple[Turn, ...]:
    """Run candidates of one turn as one batch: turns as ``run_turn`` makes them, but for rounding.

    Where the device has no room for so many at once, they are made in two halves, and so on.

    Args:
        session, backbone, method, observers, tree: as for ``run_turn``.
        plans: differ in the seed, and in whether the head moves, alone.

    Raises:
        InputError: other plans, or what ``run_turn`` refuses.
        SessionError, Cancelled: as ``run_turn``; what was finished is kept.
    """
    _check_kind("the model", backbone, Backbone, "undrift.load(NAME) loads one")
    _check_kind("the method", method, EditMethod, "undrift.method(NAME, model) gives one")
    _check_alike(plans)
    plan, tree = plans[0], tree or session.tree()
    latents.check_maker(backbone)
    method.check(backbone)
    check_references(method, plan.references)
    method = method.pinned(backbone)
    parent = tree.turn(plan.parent)
    stored = stored_latent(session, parent, backbone)
    allowed = region.checked(plan.region, (parent.width, parent.height))
    sheet = sheet_of(plan.references, (parent.width, parent.height))
    spec = _resolved(plan, parent, method, backbone, allowed, has_latent=stored is not None)
    if sheet is not None:
        spec = spec.model_copy(update={"references_hash": sha256(png_bytes(sheet))})
    work = Work(session, backbone, tree, parent, allowed, sheet)
    previous = stored if spec.handover == "latent" else None
    moves, specs = [each.move_head for each in plans], _with_seeds(spec, plans, parent)

    def edits(some: Sequence[TurnSpec]) -> list[Outcome]:
        return work.edits(previous, some, method, observers)

    return _in_batches(specs, moves, lambda some, move: _appended(session, parent, plan.prompt, some, edits, move))


def _check_alike(plans: Sequence[EditPlan]) -> None:
    for plan in plans:
        _check_kind("the plan", plan, EditPlan, "undrift.EditPlan(PROMPT) is one")
    if not plans or any(
        replace(plan, seed=None, move_head=True) != replace(plans[0], seed=None, move_head=True) for plan in plans
    ):
        raise InputError("candidates that are made together differ in their seeds alone: run others with run_turn")


def _with_seeds(spec: TurnSpec, plans: Sequence[EditPlan], parent: Turn) -> list[TurnSpec]:
    """``spec`` for each plan; the first has its seed already."""
    specs = [spec]
    for plan in plans[1:]:
        check_seed(plan.seed)
        seed = seeds.drawn(parent.id) if plan.seed is None else plan.seed
        specs.append(spec.model_copy(update={"seed": seed}))
    return specs


def _in_batches(
    specs: Sequence[TurnSpec],
    moves: Sequence[bool],
    appended: Callable[[Sequence[TurnSpec], Sequence[bool]], tuple[Turn, ...]],
) -> tuple[Turn, ...]:
    """All of them as one batch, or as two halves where that does not fit, and so on."""
    count = len(specs)
    together = count if count > 1 else None
    try:
        return appended([spec.model_copy(update={"together": together}) for spec in specs], moves)
    except OutOfMemory:
        if count == 1:
            raise
    log.warning("%d candidates at once do not fit the device: making them in two batches", count)
    half = (count + 1) // 2
    return _in_batches(specs[:half], moves[:half], appended) + _in_batches(specs[half:], moves[half:], appended)


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
    size = (onto.width, onto.height)
    painted = region.checked(brush, size) or Image.new("L", size, 255)
    spec = RestoreSpec(anchor=wanted.id, region_hash=sha256(mask_bytes(painted)))
    work = Work(session, backbone, tree, onto, painted)
    (turn,) = _appended(session, onto, onto.prompt, [spec], lambda specs: [work.restore(wanted)], [True])
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


def check_seed(seed: int | None) -> None:
    """Refuse what is no seed.

    Raises:
        InputError: out of range.
    """
    if seed is not None and not (isinstance(seed, int) and 0 <= seed < SEEDS):
        raise InputError(f"seed is {seed}, expected 0 to {SEEDS - 1}, or none to draw one")


def _appended(
    session: Session,
    parent: Turn,
    prompt: str,
    specs: Sequence[AnySpec],
    work: Callable[[Sequence[AnySpec]], Sequence[Outcome]],
    moves: Sequence[bool],
) -> tuple[Turn, ...]:
    """Announce turns, do their work and store them; a failure leaves the session as it was, but for stored ones."""
    pending: list[Pending] = []
    made: list[Turn] = []
    try:
        pending.extend(session.begin(parent, prompt, spec) for spec in specs)
        for outcome, move in zip(work(specs), moves, strict=True):
            made.append(session.finish(pending[0], outcome, move_head=move))
            del pending[0]
    except BaseException:
        for one in pending:
            session.abandon(one)
        raise
    return tuple(made)


def _resolved(
    plan: EditPlan,
    parent: Turn,
    method: EditMethod,
    backbone: Backbone,
    allowed: Image.Image | None,
    *,
    has_latent: bool,
) -> TurnSpec:
    if not plan.prompt.strip():
        raise InputError("the prompt of the edit is empty: say what the picture is to show")
    source_prompt = parent.prompt if plan.source_prompt is None else plan.source_prompt
    _check_text(plan.prompt, source_prompt, plan.instruction or "", *(plan.words or ()))
    check_seed(plan.seed)
    if plan.handover == "latent" and not has_latent:
        log.warning(
            "turn %d has no latent that %s can go on with: its picture is encoded again",
            parent.number,
            backbone.identity.name,
        )
    try:
        return _spec(plan, parent, source_prompt, method, backbone, allowed, has_latent=has_latent)
    except ValidationError as error:
        raise InputError(f"the plan of the turn: {wording.problem(error)}") from None


def _spec(
    plan: EditPlan,
    parent: Turn,
    source_prompt: str,
    method: EditMethod,
    backbone: Backbone,
    allowed: Image.Image | None,
    *,
    has_latent: bool,
) -> TurnSpec:
    return TurnSpec(
        source_prompt=source_prompt,
        target_prompt=plan.prompt,
        instruction=plan.instruction,
        exchange=plan.exchange,
        words=plan.words,
        region_hash=None if allowed is None else sha256(mask_bytes(allowed)),
        method=method.name,
        preset=method.preset,
        params=method.params.model_dump(mode="json"),
        dial=method.dial_value,
        seed=seeds.drawn(parent.id) if plan.seed is None else plan.seed,
        handover=plan.handover if has_latent else "image",
        versions=dict(versions()),
        **_loaded(backbone),
    )


def _picture_outcome(image: Image.Image, prompt: str, kind: TurnKind, number: int, backbone: Backbone) -> Outcome:
    """What storing a given picture as a turn takes."""
    return Outcome(
        image=png_bytes(image, recipe(prompt, kind, number, None)),
        width=image.width,
        height=image.height,
        latent=latents.to_bytes(backbone.encode([image]), backbone),
        encoded_by=Loaded(**_loaded(backbone)),
    )


def _loaded(backbone: Backbone) -> dict[str, Any]:
    """The fields of a record that say which model ran and how it was loaded."""
    identity = backbone.identity
    return {
        "model": identity.name,
        "weights_hash": identity.weights_hash,
        "dtype": identity.dtype,
        "quantize": identity.quantize,
        "loras": identity.loras,
        "options": identity.options,
        "device": identity.device,
    }


def _check_kind(what: str, given: object, kind: type, how: str) -> None:
    if not isinstance(given, kind):
        raise InputError(f"{what} is {wording.value(given)}, expected {kind.__name__}: {how}")


def _check_text(*texts: str) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"{text!a} is not valid Unicode text") from None


@cache
def versions() -> Mapping[str, str]:
    """Versions of Python and of the packages that decide a result."""
    return {"undrift": __version__, "python": platform.python_version()} | {name: version(name) for name in PACKAGES}
