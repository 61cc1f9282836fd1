"""From options to finished turns: what ``run``, ``edit``, ``demo`` and ``replay`` share. Loads torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from PIL import Image
from rich.console import Console

from undrift.backbones import Backbone, load
from undrift.backbones.locate import EXAMPLE, LITTLEWORLD
from undrift.cli.options import MethodChoice, ModelChoice, shell
from undrift.cli.progress import StopOnInterrupt, TurnsProgress
from undrift.cli.sessions import edit_command
from undrift.errors import Cancelled
from undrift.littleworld.likeness import looks_drawn, unknown_words
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.session import latents
from undrift.session.engine import EditPlan, run_turn
from undrift.session.export import export_png
from undrift.session.model import Turn, TurnSpec
from undrift.session.store import Session


def load_model(choice: ModelChoice, default: str = LITTLEWORLD) -> Backbone:
    """The model that the options name, or ``default``."""
    name = choice.model or default
    with _status(f"loading {name}"):
        return load(
            name,
            dtype=choice.dtype,
            device=choice.device,
            offload=choice.offload,  # type: ignore[arg-type]
            quantize=choice.quantize,  # type: ignore[arg-type]
        )


def session_model(session: Session, turn: Turn) -> str:
    """The model that ``turn`` was made with: a session goes on with it unless another is named."""
    data = session.latent(turn)
    return LITTLEWORLD if data is None else latents.model_of(data)


def check_method(choice: MethodChoice) -> None:
    """Refuse a wrong method, preset or parameter before a model is loaded for it."""
    choose_method(choice, {})


def choose_method(choice: MethodChoice, tuned: Mapping[str, Mapping[str, Any]]) -> EditMethod:
    """The method of the options with the values that suit the model."""
    return registry.get(choice.method or registry.DEFAULT, choice.preset or "default", choice.overrides, tuned)


def recorded_or_chosen(choice: MethodChoice, spec: TurnSpec, tuned: Mapping[str, Mapping[str, Any]]) -> EditMethod:
    """The recorded method of a turn with the options' parameters on top, or the options' own method or preset."""
    if choice.method is None and choice.preset is None:
        return registry.get(spec.method, overrides={**spec.params, **choice.overrides})
    return registry.get(choice.method or spec.method, choice.preset or "default", choice.overrides, tuned)


def plan_of(
    choice: MethodChoice, prompt: str, seed: int | None, handover: str, words: tuple[str, ...] | None = None
) -> EditPlan:
    """One turn as the options want it."""
    preset = None if choice.overrides else choice.preset or "default"
    return EditPlan(prompt=prompt, words=words, seed=seed, handover=handover, preset=preset)  # type: ignore[arg-type]


def run_turns(
    session: Session, backbone: Backbone, method: EditMethod, plans: Sequence[EditPlan]
) -> tuple[Turn, ...]:
    """Run ``plans`` one after another, with progress on stderr.

    Raises:
        Cancelled: Ctrl-C; the message says how to go on.
    """
    done: list[Turn] = []
    try:
        with StopOnInterrupt() as stop, TurnsProgress(len(plans), method.evaluations(), shell().quiet) as progress:
            for number, plan in enumerate(plans, 1):
                with progress.turn(number, plan.prompt) as observers:
                    done.append(run_turn(session, backbone, method, plan, [stop, *observers]))
    except (Cancelled, KeyboardInterrupt):
        kept = f"{len(done)} of {len(plans)} turns are done and kept in {session.folder}"
        raise Cancelled(f"stopped: {kept}; go on with: {edit_command(session.folder)}") from None
    return tuple(done)


def advise(backbone: Backbone, picture: Image.Image, prompts: Sequence[str]) -> None:
    """Say once on stderr what the embedded model cannot know."""
    if backbone.identity.name != LITTLEWORLD:
        return
    hint = f"for photos use --model {EXAMPLE}"
    if not looks_drawn(picture):
        click.echo(f"note: LittleWorld, the embedded model, only knows its own drawn world; {hint}", err=True)
    elif unknown := unknown_words(" ".join(prompts)):
        click.echo(f"note: LittleWorld does not know the words: {', '.join(unknown)}", err=True)


def write_output(session: Session, turn: Turn, output: Path | None) -> None:
    """Write the picture of ``turn`` where ``--output`` says."""
    if output is not None:
        export_png(session, turn, output)


@contextlib.contextmanager
def _status(text: str) -> Iterator[None]:
    console = Console(stderr=True)
    with console.status(text) if console.is_terminal and not shell().quiet else contextlib.nullcontext():
        yield
