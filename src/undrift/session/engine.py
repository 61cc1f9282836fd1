"""Running a turn: the only place where session, backbone and method meet."""

from __future__ import annotations

import logging
import platform
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Literal

from PIL import Image
from torch import Tensor

from undrift import __version__
from undrift.backbones.base import Backbone, Latent
from undrift.errors import InputError
from undrift.flow import Observer
from undrift.methods import registry
from undrift.methods.base import EditMethod, EditRequest
from undrift.pictures import png_bytes
from undrift.session import drift, latents
from undrift.session.model import Turn, TurnKind, TurnSpec
from undrift.session.record import recipe
from undrift.session.store import Outcome, Session
from undrift.session.tree import Tree

log = logging.getLogger(__name__)

SEEDS = 2**32
PACKAGES = ("torch", "diffusers", "transformers")


@dataclass(frozen=True)
class EditPlan:
    """What the user asks of a turn; what is left open is resolved before the work starts.

    Attributes:
        prompt: what the result is to show.
        source_prompt: what the parent shows; None takes the parent's prompt.
        words: words of ``prompt`` that steer the highlighting; None takes those that differ.
        seed: None draws one, which is recorded.
        handover: ``latent`` continues from the parent's stored latent, ``image`` re-encodes its picture.
        parent: the turn to edit, anything ``Tree.turn`` understands.
        preset: the preset's name to record; None looks for the preset that has the method's parameters.
    """

    prompt: str
    source_prompt: str | None = None
    words: tuple[str, ...] | None = None
    seed: int | None = None
    handover: Literal["latent", "image"] = "latent"
    parent: str = "head"
    preset: str | None = None


def start_session(folder: str | Path, image: Image.Image, prompt: str, backbone: Backbone) -> Session:
    """A new session in ``folder`` whose source is ``image``, which ``prompt`` describes (it may be empty).

    Raises:
        SessionError: the folder is in use or cannot be written.
        InputError: the prompt is no text.
    """
    _check_text(prompt)
    return Session.create(folder, prompt, _picture_outcome(image.convert("RGB"), prompt, "source", 0, backbone))


def import_picture(
    session: Session, image: Image.Image, prompt: str, backbone: Backbone, parent: str = "head"
) -> Turn:
    """Append a picture made elsewhere (painted, retouched) as a turn.

    Raises:
        InputError: not the session's size, or the prompt is no text.
    """
    _check_text(prompt)
    tree = session.tree()
    made_from, source = tree.turn(parent), tree.source
    if image.size != (source.width, source.height):
        given, wanted = (f"{w}x{h}" for w, h in (image.size, (source.width, source.height)))
        raise InputError(f"the picture is {given}, expected the session's {wanted} pixels: resize or crop it first")
    outcome = _picture_outcome(image.convert("RGB"), prompt, "import", made_from.number + 1, backbone)
    return session.finish(session.begin(made_from, prompt), outcome)


def run_turn(
    session: Session, backbone: Backbone, method: EditMethod, plan: EditPlan, observers: Sequence[Observer] = ()
) -> Turn:
    """Run one turn and append it to the session. Deterministic in the session, the model and the resolved plan.

    The resolved specification is recorded first; if the work fails or an observer cancels it, that record is removed
    again and the session is as before.

    Raises:
        InputError: an empty prompt, an unknown turn, a seed out of range, or what the method refuses.
        SessionError: the result cannot be written.
        Cancelled: an observer stopped it.
    """
    tree = session.tree()
    parent = tree.turn(plan.parent)
    stored = _stored(session, parent, backbone)
    spec = _resolved(plan, parent, method, backbone, has_latent=stored is not None)
    pending = session.begin(parent, plan.prompt, spec)
    try:
        previous = stored if spec.handover == "latent" else None
        return session.finish(pending, _work(session, tree, parent, previous, spec, backbone, method, observers))
    except BaseException:
        session.abandon(pending)
        raise


def recorded_method(spec: TurnSpec) -> EditMethod:
    """The method of a recorded turn with exactly its parameters."""
    return registry.get(spec.method, overrides=spec.params)


def replay(
    session: Session,
    into: str | Path,
    backbone: Backbone,
    *,
    image: Image.Image | None = None,
    prompt: str | None = None,
    seed: int | None = None,
    method: Callable[[TurnSpec], EditMethod] = recorded_method,
    turn: str | None = None,
    observers: Sequence[Observer] = (),
    finished: Callable[[Turn], None] = lambda turn: None,
) -> Session:
    """Run a session's turns again, in a new session. With nothing changed, pictures and latents are the same bytes.

    Args:
        session: what to repeat.
        into: folder of the new session.
        backbone: the model to run on, the recorded one or another.
        image, prompt: another source picture and what it shows; None takes the recorded ones.
        seed: for all turns; None takes the recorded ones.
        method: the method for a recorded turn.
        turn: repeat the path to this turn; None repeats the whole tree with its branches and head.
        observers: of every turn.
        finished: called with each new turn.
    """
    tree = session.tree()
    turns = tuple(tree.turns.values()) if turn is None else tree.path(tree.turn(turn))
    source = session.picture(tree.source) if image is None else image
    new = start_session(into, source, tree.source.prompt if prompt is None else prompt, backbone)
    ids = {tree.source.id: new.source.id}
    for old in turns[1:]:
        parent = ids[str(old.parent)]
        if old.spec is None:
            made = import_picture(new, session.picture(old), old.prompt, backbone, parent)
        else:
            plan = _again(old, old.spec, tree, parent, seed)
            made = run_turn(new, backbone, method(old.spec), plan, observers)
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
        words=spec.words,
        seed=spec.seed if seed is None else seed,
        handover=spec.handover,
        parent=parent,
    )


def _resolved(plan: EditPlan, parent: Turn, method: EditMethod, backbone: Backbone, *, has_latent: bool) -> TurnSpec:
    if not plan.prompt.strip():
        raise InputError("the prompt of the edit is empty: say what the picture is to show")
    source_prompt = parent.prompt if plan.source_prompt is None else plan.source_prompt
    _check_text(plan.prompt, source_prompt, *(plan.words or ()))
    if plan.seed is not None and not 0 <= plan.seed < SEEDS:
        raise InputError(f"seed is {plan.seed}, expected 0 to {SEEDS - 1}, or none to draw one")
    if plan.handover == "latent" and not has_latent:
        log.info("turn %d has no latent of these weights: its picture is encoded again", parent.number)
    return TurnSpec(
        source_prompt=source_prompt,
        target_prompt=plan.prompt,
        words=plan.words,
        method=method.name,
        preset=plan.preset or _preset(method),
        params=method.params.model_dump(mode="json"),
        seed=secrets.randbelow(SEEDS) if plan.seed is None else plan.seed,
        handover=plan.handover if has_latent else "image",
        model=backbone.identity.name,
        weights_hash=backbone.identity.weights_hash,
        dtype=backbone.identity.dtype,
        device=backbone.identity.device,
        versions=dict(versions()),
    )


def _work(
    session: Session,
    tree: Tree,
    parent: Turn,
    previous: Latent | None,
    spec: TurnSpec,
    backbone: Backbone,
    method: EditMethod,
    observers: Sequence[Observer],
) -> Outcome:
    source_picture, parent_picture = session.picture(tree.source), session.picture(parent)
    began = perf_counter()
    original = _stored(session, tree.source, backbone) or backbone.encode([source_picture])
    request = EditRequest(
        original=original,
        previous=previous or backbone.encode([parent_picture]),
        turn=parent.number + 1,
        source_prompts=[spec.source_prompt],
        target_prompts=[spec.target_prompt],
        words=[spec.words],
        seeds=[spec.seed],
        original_prompts=[tree.source.prompt],
        previous_images=[parent_picture],
    )
    result = method.edit(backbone, request, observers)
    picture = (result.images or backbone.decode(result.latent))[0]
    seconds = perf_counter() - began
    mask = None if result.mask is None else _mask_picture(result.mask[0])
    before = [session.mask(turn) for turn in tree.path(parent)[1:]]
    return Outcome(
        image=png_bytes(picture, recipe(spec.target_prompt, "edit", parent.number + 1, spec)),
        width=picture.width,
        height=picture.height,
        latent=latents.to_bytes(result.latent, backbone),
        mask=None if mask is None else png_bytes(mask),
        evaluations=result.evaluations,
        sample_evaluations=result.sample_evaluations,
        seconds=seconds,
        drift_original=drift.measure(picture, source_picture, drift.outside([*before, mask], picture.size)),
        drift_previous=drift.measure(picture, parent_picture, drift.outside([mask], picture.size)),
    )


def _picture_outcome(image: Image.Image, prompt: str, kind: TurnKind, number: int, backbone: Backbone) -> Outcome:
    """What storing a given picture as a turn takes."""
    return Outcome(
        image=png_bytes(image, recipe(prompt, kind, number, None)),
        width=image.width,
        height=image.height,
        latent=latents.to_bytes(backbone.encode([image]), backbone),
    )


def _stored(session: Session, turn: Turn, backbone: Backbone) -> Latent | None:
    """The stored latent of ``turn`` if it was made with the weights of ``backbone``."""
    data = session.latent(turn)
    stored = None if data is None else latents.from_bytes(data, backbone)
    return stored.latent if stored is not None and stored.fits(backbone) else None


def _mask_picture(mask: Tensor) -> Image.Image:
    return Image.fromarray((mask.detach().float().clamp(0, 1) * 255).round().byte().cpu().numpy())


def _preset(method: EditMethod) -> str:
    return next((name for name, params in method.presets.items() if params == method.params), "custom")


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
