"""What is asked of a turn, and what of it is recorded before the work starts: everything that decides the result."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, Literal

from PIL import Image
from pydantic import ValidationError

from undrift import __version__, wording
from undrift.backbones.base import Backbone
from undrift.errors import InputError
from undrift.files import sha256
from undrift.methods.base import EditMethod
from undrift.pictures import mask_bytes
from undrift.session.model import Exchange, Turn, TurnSpec
from undrift.session.references import Look
from undrift.session.seeds import SEEDS, seeds

log = logging.getLogger(__name__)

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


def resolved(
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
    check_text(plan.prompt, source_prompt, plan.instruction or "", *(plan.words or ()))
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
        **made_by(method),
        seed=seeds.drawn(parent.id) if plan.seed is None else plan.seed,
        handover=plan.handover if has_latent else "image",
        versions=dict(versions()),
        **loaded(backbone),
    )


def made_by(method: EditMethod) -> dict[str, Any]:
    """The fields of a record that say which method makes the turn."""
    params = method.params.model_dump(mode="json")
    return {"method": method.name, "preset": method.preset, "params": params, "dial": method.dial_value}


def loaded(backbone: Backbone) -> dict[str, Any]:
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


def check_seed(seed: int | None) -> None:
    """Refuse what is no seed.

    Raises:
        InputError: out of range.
    """
    if seed is not None and not (isinstance(seed, int) and 0 <= seed < SEEDS):
        raise InputError(f"seed is {seed}, expected 0 to {SEEDS - 1}, or none to draw one")


def check_text(*texts: str) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"{text!a} is not valid Unicode text") from None


@cache
def versions() -> Mapping[str, str]:
    """Versions of Python and of the packages that decide a result."""
    return {"undrift": __version__, "python": platform.python_version()} | {name: version(name) for name in PACKAGES}
