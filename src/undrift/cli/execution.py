"""From options to finished turns: what ``run``, ``edit``, ``demo`` and ``replay`` share. Loads torch."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
from PIL import Image

from undrift.backbones import Backbone, load
from undrift.backbones.knowledge import is_foreign, too_large, unknown_with_nearest
from undrift.backbones.locate import EXAMPLE, LITTLEWORLD, NotNamedError, existing
from undrift.backbones.memory import VelocityMemory
from undrift.backbones.named import remember as remember_named
from undrift.cli.given import last_record, remember_files, tell_other, with_files_of
from undrift.cli.keeper import Keeper
from undrift.cli.notes import Told
from undrift.cli.options import MethodChoice, ModelChoice, shell
from undrift.cli.output import say
from undrift.cli.placement import remember, remembered
from undrift.cli.progress import StopOnInterrupt, TurnsProgress
from undrift.cli.regions import RegionChoice
from undrift.cli.screen import cell, console
from undrift.cli.sessions import edit_command
from undrift.cli.text import line
from undrift.cli.warm import tell_moved
from undrift.errors import Cancelled, InputError, ModelError, SessionError
from undrift.instructions import NotUnderstood, Reading
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.methods.dial import turned
from undrift.methods.registry import Chosen, Exactly, Tuned
from undrift.pictures import Mask, open_mask
from undrift.session.engine import EditPlan, check_references, run_together
from undrift.session.export import export_png
from undrift.session.maker import usual_model
from undrift.session.making import check_files
from undrift.session.model import Turn, TurnSpec
from undrift.session.next_turn import beside, candidate_plans, carried, last_method
from undrift.session.region import region_of
from undrift.session.replay import recorded_method
from undrift.session.saying import as_said
from undrift.session.spent import Spent
from undrift.session.store import Session
from undrift.session.tree import Tree
from undrift.wording import one_line

keeper: Keeper | None = None
"""Keeps the model in memory from command to command, in a process that runs several."""


def load_model(choice: ModelChoice, default: str = LITTLEWORLD) -> Backbone:
    """The model that the options name, or ``default``, which may be what somebody else's session says.

    Only what is named here, or confirmed at the terminal, is ever downloaded, and only such folders are opened.
    """
    if choice.model is not None:
        return _loaded(choice.model, choice, named=True)
    try:
        return _loaded(default, choice, named=False)
    except NotNamedError as error:
        if not _confirmed(error.question):
            raise ModelError(f"the session was made with another model: {error}") from None
        return _loaded(default, choice, named=True)


def _loaded(name: str, choice: ModelChoice, *, named: bool) -> Backbone:
    files = [Path(given).name for given in (choice.files["transformer"], *choice.files["loras"]) if given is not None]
    with _status(f"loading {name}" + (f" with {', '.join(files)}" if files else "")):
        making = load if keeper is None else partial(keeper.kept, load)
        backbone = making(
            name,
            **choice.arguments,
            named=named,
            tell=lambda text: say(text, err=True),
        )
    if named and existing(name) is not None:
        remember_named(name)
    remember_files(choice, backbone.identity)
    return backbone


def load_other(choice: ModelChoice, name: str) -> Backbone:
    """The model ``name``, held in memory as the options say; what they say of the first one's weights is left out."""
    plain = replace(choice, model=name, weights=None, revision=None, transformer=None, loras=())
    return _loaded(name, plain, named=True)


def load_for(session: Session, turn: Turn, choice: ModelChoice) -> Backbone:
    """The model to go on with from ``turn``: the session's, held in memory as before, unless the options say else."""
    usual = usual_model(session, turn)
    same = choice.model in (None, usual)
    settled = choice.settled(remembered(session, turn) if same else {})
    record = last_record(session, turn, usual) if same else None
    backbone = load_model(settled if record is None else with_files_of(record, settled), usual)
    remember(session, settled)
    if record is not None:
        tell_other(record, backbone.identity)
    return backbone


def goes_on(session: Session, backbone: Backbone) -> None:
    """Somebody may go on with ``session``: a process that keeps the model prepares the next turn meanwhile."""
    if keeper is not None:
        keeper.ahead.expect(Session.open(session.folder.resolve()), backbone)


def remembers(backbone: Backbone) -> None:
    """A process that keeps the model keeps what it computes, too: the same may be asked once more."""
    if keeper is not None and keeper.looks_ahead and backbone.memory is None:
        backbone.memory = VelocityMemory()


def moved(session: Session) -> None:
    """``session`` is at another turn: a process that keeps the model, this one or another, prepares from there."""
    if keeper is None:
        tell_moved(session.folder)
    else:
        keeper.moved(session.folder.resolve())


def _confirmed(question: str) -> bool:
    """Ask whether to take the session's model; where there is nobody to ask, the answer is no."""
    return _at_a_terminal() and click.confirm(line(f"the session was made with {question}"), err=True)


def _at_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def name_models(choice: MethodChoice, going_on: MethodChoice | None = None) -> None:
    """Take note of the editor that the options name, before any that only a session's records name is looked for.

    Args:
        choice: the options.
        going_on: the same with the session's method where they name none; other methods' editors are no models.
    """
    editor = choice.overrides.get("editor")
    is_model = choice.editor is not None or follows_instructions(going_on or choice)
    if is_model and isinstance(editor, str) and editor:
        from undrift.backbones.editors import name_editor

        with _status(f"looking for {editor}"):
            name_editor(editor)


def choose_method(choice: MethodChoice) -> Chosen | Exactly:
    """The method of the options; whatever is wrong with it is said before a model is loaded for it."""
    if choice.recorded_as is not None:
        return _as_recorded(choice, choice.recorded_as)
    return registry.choose(
        choice.named or registry.DEFAULT, choice.preset or "default", choice.overrides, choice.dial or 0.0
    )


def _as_recorded(choice: MethodChoice, label: str) -> Exactly:
    if choice.method is None or choice.preset is not None or choice.dial is not None:
        raise InputError(
            "--recorded-as goes with --method and --set for every parameter, without --preset and --dial"
        )
    preset, _, dial = label.partition(":")
    try:
        value = float(dial or 0.0)
    except ValueError:
        raise InputError(f"--recorded-as {label}: expected PRESET or PRESET:DIAL, such as custom:0.5") from None
    if not -1.0 <= value <= 1.0:
        raise InputError(f"--recorded-as {label}: expected a dial from -1 to 1")
    return Exactly(registry.recorded(choice.method, choice.overrides, preset, value))


def continued(choice: MethodChoice, tree: Tree, turn: Turn) -> MethodChoice:
    """The choice with the method that led to ``turn`` where it names none, and with its preset likewise.

    Parameters that this method carries from turn to turn come along, unless the choice says other ones.
    """
    method, preset = (choice.named, choice.preset) if choice.named else last_method(tree, turn)
    going_on = carried(tree, turn, method)
    said = choice.overrides
    kept = tuple(f"{name}={json.dumps(value)}" for name, value in going_on.items() if name not in said)
    return replace(choice, method=method, preset=choice.preset or preset, settings=(*kept, *choice.settings))


def understood(
    listen: Callable[[], Reading], text: str, now: str, tree: Tree, start: Turn, method: MethodChoice
) -> Reading:
    """What ``listen`` understands of ``text``; an editor by instructions is told what nobody understood.

    Args:
        listen: reads ``text``.
        text, now: what was said, and what the picture shows now.
        tree, start: the session's turns, and the one that it was said of.
        method: the options'.

    Raises:
        NotUnderstood: it has no sure reading, and the method follows captions.
    """
    try:
        return listen()
    except NotUnderstood:
        if not follows_instructions(continued(method, tree, start)):
            raise
        return as_said(text, now)


def follows_instructions(choice: MethodChoice) -> bool:
    """Whether the method that the options name is told instructions as they were said."""
    known = registry.all_methods().get(choice.named or registry.DEFAULT)
    return known is not None and known.follows_instructions


def recorded_or_chosen(choice: MethodChoice, spec: TurnSpec, tuned: Tuned) -> EditMethod:
    """The recorded method of a turn with the options' parameters on top, or the options' own method or preset."""
    if choice.named is None and choice.preset is None:
        return turned(recorded_method(spec).updated(choice.overrides), choice.dial or 0.0)
    return choose_method(replace(choice, method=choice.method or spec.method)).fitted(tuned)


def region_for(choice: RegionChoice, size: tuple[int, int]) -> Image.Image | None:
    """Where a picture of ``size`` may change, as the options say."""
    only, protect = (None if path is None else open_mask(path) for path in (choice.only, choice.protect))
    region = region_of(None if only is None else only.image, None if protect is None else protect.image, size)
    for path, mask in ((choice.only, only), (choice.protect, protect)):
        if path is not None and mask is not None:
            tell_mask(path, mask)
    return region


def tell_mask(path: Path, mask: Mask) -> None:
    """Say once on stderr what a mask was taken to select."""
    say(f"note: {path} {mask.says}", err=True)


def add_turns(
    session: Session,
    tree: Tree,
    plan: EditPlan,
    model: ModelChoice,
    method: MethodChoice,
    *,
    goes_on_from: Turn,
    count: int = 1,
    also: Sequence[str] = (),
    together: bool = False,
    announce: Callable[[], None] = lambda: None,
) -> tuple[Turn, ...]:
    """Run ``count`` candidates of one turn of a session, on its model unless another is chosen.

    Args:
        session, tree: the session, and what was read of it.
        plan: the turn.
        model, method: the options.
        goes_on_from: the turn whose method and preset are taken unless others are chosen.
        count: how many candidates.
        also: other methods, METHOD[:PRESET], or other places of the dial, that make a candidate each.
        together: make the candidates as one batch.
        announce: called when nothing is left to refuse, before the work.
    """
    start = tree.turn(plan.parent)
    check_files(session, tree, start)
    going_on = continued(method, tree, goes_on_from)
    name_models(method, going_on)
    chosen = choose_method(going_on)
    others = [_other(text) for text in also]
    backbone = load_for(session, start, model)
    if not chosen.method.follows_instructions:
        advise(backbone, session.picture(start), [plan.prompt])
    usual = chosen.fitted(backbone.tuned)
    unlike = [turned(usual, one) if isinstance(one, float) else one.fitted(backbone.tuned) for one in others]
    turns = beside(candidate_plans(tree, usual, plan, count), unlike)
    for variant, asked in turns:
        variant.check(backbone)
        check_references(variant, asked.references)
    announce()
    return run_turns(session, backbone, turns, tree, together=together)


def _other(text: str) -> Chosen | float:
    """A method of ``METHOD[:PRESET]``, or where the dial of the usual one is to stand.

    Raises:
        InputError: no such method or preset, or a dial out of range.
    """
    try:
        dial = float(text)
    except ValueError:
        name, _, preset = text.partition(":")
        return registry.choose(name, preset or "default")
    if not -1.0 <= dial <= 1.0:
        raise InputError(f"--also {text}: expected a method, or a dial from -1 to 1")
    return dial


def run_turns(
    session: Session,
    backbone: Backbone,
    turns: Sequence[tuple[EditMethod, EditPlan]],
    tree: Tree | None = None,
    *,
    together: bool = False,
) -> tuple[Turn, ...]:
    """Run ``turns``, with progress on stderr.

    Args:
        session, backbone: where and on what.
        turns: methods and plans.
        tree: as in ``run_turn``.
        together: candidates as one batch; otherwise one after another.

    Raises:
        Cancelled: Ctrl-C; the message says how to go on.
    """
    told = Told(session, (tree or session.tree()).turns)
    parts = [turns] if together else [[turn] for turn in turns]
    try:
        with StopOnInterrupt() as stop, TurnsProgress(len(parts), shell().quiet) as progress:
            for number, part in enumerate(parts, 1):
                methods, plans = [method for method, _ in part], [plan for _, plan in part]
                told.methods, told.spent = methods, Spent([method.cost(backbone) for method in methods])
                with progress.turn(number, plans[0].prompt, told.spent) as observers:
                    run_together(session, backbone, methods, plans, [stop, *observers], tree, told)
                told.tell()
    except (Cancelled, KeyboardInterrupt):
        kept = f"{told.stored} of {len(turns)} turns are done and kept in {session.folder}"
        raise Cancelled(f"stopped: {kept}; go on with: {edit_command(session.folder)}") from None
    goes_on(session, backbone)
    return tuple(told.turns)


def advise(backbone: Backbone, picture: Image.Image, prompts: Sequence[str]) -> None:
    """Say once on stderr what a model of a small world cannot know."""
    name = backbone.identity.name
    if is_foreign(backbone.capabilities, picture):
        say(f"note: the model {name} only knows its own drawn world; for photos use --model {EXAMPLE}", err=True)
    elif unknown := unknown_with_nearest(backbone.capabilities, " ".join(prompts)):
        say(one_line(f"note: the model {name} does not know the words: {', '.join(unknown)}"), err=True)
    if large := too_large(backbone.capabilities, picture):
        say(f"note: the model {name} {large}", err=True)


def write_output(session: Session, turn: Turn, output: Path | None) -> None:
    """Write the picture of ``turn`` where ``--output`` says.

    Raises:
        SessionError: it cannot be written; the message says that the turn is kept all the same.
    """
    if output is None:
        return
    try:
        export_png(session, turn, output)
    except SessionError as error:
        kept = f"turn {turn.number} is done and kept in {session.folder}"
        raise SessionError(f"{error}; {kept}: write it with undrift export") from None


@contextlib.contextmanager
def _status(text: str) -> Iterator[None]:
    screen = console(err=True)
    spinner = "dots" if screen.encoding.startswith("utf") else "line"
    shown = screen.is_terminal and not shell().quiet
    with screen.status(cell(text), spinner=spinner) if shown else contextlib.nullcontext():
        yield
