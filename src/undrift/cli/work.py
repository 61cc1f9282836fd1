"""From options to finished turns: what ``run``, ``edit``, ``demo`` and ``replay`` share. Loads torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from undrift.backbones import Backbone, load
from undrift.backbones.locate import EXAMPLE, LITTLEWORLD
from undrift.cli.options import MethodChoice, ModelChoice, RegionChoice, shell
from undrift.cli.output import say
from undrift.cli.progress import StopOnInterrupt, TurnsProgress
from undrift.cli.screen import cell, console
from undrift.cli.sessions import edit_command
from undrift.errors import Cancelled
from undrift.littleworld.likeness import looks_drawn, unknown_words
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.methods.dial import turned
from undrift.pictures import read_mask
from undrift.session import latents
from undrift.session.engine import EditPlan, candidate_plans, last_method, run_turn
from undrift.session.export import export_png
from undrift.session.model import Turn, TurnSpec
from undrift.session.region import region_of
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
    """Refuse a wrong method, preset, parameter or dial before a model is loaded for it."""
    choose_method(choice, {})


def choose_method(choice: MethodChoice, tuned: Mapping[str, Mapping[str, Any]]) -> EditMethod:
    """The method of the options with the values that suit the model."""
    method = registry.get(choice.method or registry.DEFAULT, choice.preset or "default", choice.overrides, tuned)
    return turned(method, choice.dial or 0.0)


def continued(choice: MethodChoice, session: Session, turn: Turn) -> MethodChoice:
    """The choice with the method and the preset that led to ``turn`` where it names neither."""
    if choice.method is not None or choice.preset is not None:
        return choice
    method, preset = last_method(session, turn)
    return replace(choice, method=method, preset=preset)


def recorded_or_chosen(choice: MethodChoice, spec: TurnSpec, tuned: Mapping[str, Mapping[str, Any]]) -> EditMethod:
    """The recorded method of a turn with the options' parameters on top, or the options' own method or preset."""
    if choice.method is None and choice.preset is None:
        method = registry.get(spec.method, overrides={**spec.params, **choice.overrides})
        return turned(method, choice.dial or 0.0)
    return choose_method(replace(choice, method=choice.method or spec.method), tuned)


def preset_of(choice: MethodChoice, method: EditMethod, tuned: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The preset of the options if ``method`` has its parameters and no others; None leaves it to the engine."""
    preset = choice.preset or "default"
    usual = registry.get(method.name, preset, tuned=tuned)
    return preset if usual.params == method.params else None


def region_for(choice: RegionChoice, size: tuple[int, int]) -> Image.Image | None:
    """Where a picture of ``size`` may change, as the options say."""
    only, protect = (None if path is None else read_mask(path) for path in (choice.only, choice.protect))
    return region_of(only, protect, size)


def add_turns(
    session: Session, plan: EditPlan, model: ModelChoice, method: MethodChoice, count: int = 1
) -> tuple[Turn, ...]:
    """Run ``count`` candidates of one turn of a session, on its model and method unless others are chosen."""
    start = session.turn(plan.parent)
    choice = continued(method, session, start)
    check_method(choice)
    backbone = load_model(model, session_model(session, start))
    advise(backbone, session.picture(start), [plan.prompt])
    editor = choose_method(choice, backbone.tuned)
    chosen = replace(plan, preset=preset_of(choice, editor, backbone.tuned))
    return run_turns(session, backbone, candidate_plans(editor, chosen, count))


def run_turns(session: Session, backbone: Backbone, turns: Sequence[tuple[EditMethod, EditPlan]]) -> tuple[Turn, ...]:
    """Run ``turns`` one after another, with progress on stderr.

    Raises:
        Cancelled: Ctrl-C; the message says how to go on.
    """
    done: list[Turn] = []
    try:
        with StopOnInterrupt() as stop, TurnsProgress(len(turns), shell().quiet) as progress:
            for number, (method, plan) in enumerate(turns, 1):
                with progress.turn(number, plan.prompt, method.evaluations()) as observers:
                    done.append(run_turn(session, backbone, method, plan, [stop, *observers]))
    except (Cancelled, KeyboardInterrupt):
        kept = f"{len(done)} of {len(turns)} turns are done and kept in {session.folder}"
        raise Cancelled(f"stopped: {kept}; go on with: {edit_command(session.folder)}") from None
    return tuple(done)


def advise(backbone: Backbone, picture: Image.Image, prompts: Sequence[str]) -> None:
    """Say once on stderr what the embedded model cannot know."""
    if backbone.identity.name != LITTLEWORLD:
        return
    hint = f"for photos use --model {EXAMPLE}"
    if not looks_drawn(picture):
        say(f"note: LittleWorld, the embedded model, only knows its own drawn world; {hint}", err=True)
    elif unknown := unknown_words(" ".join(prompts)):
        say(f"note: LittleWorld does not know the words: {', '.join(unknown)}", err=True)


def write_output(session: Session, turn: Turn, output: Path | None) -> None:
    """Write the picture of ``turn`` where ``--output`` says."""
    if output is not None:
        export_png(session, turn, output)


@contextlib.contextmanager
def _status(text: str) -> Iterator[None]:
    screen = console(err=True)
    spinner = "dots" if screen.encoding.startswith("utf") else "line"
    shown = screen.is_terminal and not shell().quiet
    with screen.status(cell(text), spinner=spinner) if shown else contextlib.nullcontext():
        yield
