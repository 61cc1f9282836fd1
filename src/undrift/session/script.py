"""A turn as something to type: command lines, or a Python script, that make it again."""

from __future__ import annotations

import json
import pprint
import shlex
from collections.abc import Sequence
from typing import Any

from undrift.backbones.locate import LITTLEWORLD
from undrift.errors import InputError
from undrift.methods import registry
from undrift.session.model import RestoreSpec, Turn, TurnSpec
from undrift.session.store import Session

FOLDER = "undrift-again"
"""The folder of the new session."""


def commands(session: Session, turn: Turn) -> list[str]:
    """Command lines that make ``turn`` again in a new session: one ``run`` if its turns differ in nothing but their
    prompts and words, else ``new`` and one ``edit`` or ``restore`` a turn.

    Parameters are given where they differ from the preset; regions are the files of this session.

    Raises:
        InputError: a picture was put in by hand on the way, which no command can repeat, or brought back from a turn
            that is not on it.
    """
    source, *edits = path = session.path(turn)
    if any(edit.kind == "import" for edit in edits):
        raise InputError("a picture was put in by hand on the way to this turn: use 'undrift replay' on the session")
    image, prompt = str(session.folder / source.image), source.prompt
    specs = [edit.spec for edit in edits if edit.spec is not None]
    model = _option("model", specs[0].model) if specs else []
    told = any(spec.source_prompt != t.prompt for spec, t in zip(specs, path, strict=False))
    alike = len({(spec.method, spec.region, *_choices(spec)) for spec in specs}) == 1
    if alike and len(specs) == len(edits) and not told:
        shared = [*_only(session, edits[0]), *model, *_option("method", specs[0].method), *_choices(specs[0])]
        prompts = [part for spec in specs for part in ("--edit", spec.target_prompt)]
        words = [part for spec in specs for part in ("--words", ",".join(spec.words or ()))]
        told_words = words if any(spec.words for spec in specs) else []
        return [_line("run", image, "--prompt", prompt, *prompts, *told_words, *shared)]
    start = _line("new", image, "--prompt", prompt, "--session", FOLDER, *model)
    return [start, *(_command(session, edit, path) for edit in edits)]


def python_script(session: Session, turn: Turn) -> str:
    """A Python script that makes ``turn`` again in a new session.

    Raises:
        InputError: a picture was brought back on the way from a turn that is not on it.
    """
    source, *edits = path = session.path(turn)
    specs = [edit.spec for edit in edits if edit.spec is not None]
    steps = [_step(session, edit, path) for edit in edits]
    return _SCRIPT.format(
        title=json.dumps(turn.prompt),
        model=(specs[0].model if specs else LITTLEWORLD),
        folder=FOLDER,
        image=str(session.folder / source.image),
        prompt=source.prompt,
        steps=pprint.pformat(steps, width=100, sort_dicts=False),
    )


_SCRIPT = """\
# Makes this turn again: {title}
import undrift
from undrift.methods.registry import recorded
from undrift.pictures import read_mask, read_picture
from undrift.session.engine import import_picture, restore

STEPS = {steps}

backbone = undrift.load({model!r})
session = undrift.start_session({folder!r}, read_picture({image!r}), {prompt!r}, backbone)
for step in STEPS:
    region = read_mask(step["region"]) if "region" in step else None
    if "picture" in step:
        import_picture(session, read_picture(step["picture"]), step["prompt"], backbone)
    elif "restore" in step:
        restore(session, backbone, region, step["restore"])
    else:
        plan = undrift.EditPlan(**step["plan"], region=region)
        undrift.run_turn(session, backbone, recorded(**step["method"]), plan)
print(session.folder / session.head.image)
"""


def _step(session: Session, turn: Turn, path: Sequence[Turn]) -> dict[str, Any]:
    where = {} if turn.region is None else {"region": str(session.folder / turn.region)}
    if turn.restore is not None:
        return {"restore": _anchor(turn.restore, path), **where}
    spec = turn.spec
    if spec is None:
        return {"picture": str(session.folder / turn.image), "prompt": turn.prompt}
    plan = {
        "prompt": spec.target_prompt,
        "source_prompt": spec.source_prompt,
        "words": spec.words,
        "seed": spec.seed,
        "handover": spec.handover,
    }
    method = {"name": spec.method, "params": spec.params, "preset": spec.preset, "dial": spec.dial or 0.0}
    return {"method": method, "plan": plan, **where}


def _command(session: Session, turn: Turn, path: Sequence[Turn]) -> str:
    spec = turn.spec
    if turn.restore is not None:
        source = ["--from", _anchor(turn.restore, path), "--session", FOLDER]
        return _line("restore", "--brush", str(session.folder / str(turn.region)), *source)
    assert spec is not None, "commands() refuses pictures put in by hand"
    words = ["--words", ",".join(spec.words)] if spec.words else []
    where = ["--source-prompt", spec.source_prompt, "--session", FOLDER]
    # The method is named even where it is the default: without a name, it would be that of the turn before.
    options = [*_only(session, turn), *_option("model", spec.model), "--method", spec.method, *_choices(spec)]
    return _line("edit", spec.target_prompt, *where, *words, *options)


def _only(session: Session, turn: Turn) -> list[str]:
    return [] if turn.region is None else ["--only", str(session.folder / turn.region)]


def _anchor(spec: RestoreSpec, path: Sequence[Turn]) -> str:
    """The number, in the new session, of the turn that comes back."""
    numbers = [turn.number for turn in path if turn.id == spec.anchor]
    if not numbers:
        raise InputError(
            "a turn of another branch was put back on the way to this turn: use 'undrift replay' on the session"
        )
    return str(numbers[0])


def _choices(spec: TurnSpec) -> list[str]:
    """The options of a turn that all turns of a ``run`` share."""
    known = registry.all_methods().get(spec.method)
    preset = spec.preset if known and spec.preset in known.presets else "default"
    usual = known.presets[preset].model_dump(mode="json") if known else {}
    named = [*_option("preset", preset), *_option("handover", spec.handover)]
    differing = {name: value for name, value in spec.params.items() if usual.get(name, ...) != value}
    settings = [part for name, value in differing.items() for part in ("--set", f"{name}={_value(value)}")]
    return [*named, "--seed", str(spec.seed), *settings]


def _option(name: str, value: str) -> list[str]:
    usual = {"model": LITTLEWORLD, "method": registry.DEFAULT, "preset": "default", "handover": "latent"}
    return [] if usual[name] == value else [f"--{name}", value]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _line(*parts: str) -> str:
    return shlex.join(("undrift", *parts))
