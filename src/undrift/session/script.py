"""A turn as something to type: command lines, or a Python script, that make it again."""

from __future__ import annotations

import json
import pprint
import shlex
from typing import Any

from undrift.errors import InputError
from undrift.methods import registry
from undrift.session.model import Turn, TurnSpec
from undrift.session.store import Session

FOLDER = "undrift-again"
"""The folder of the new session."""


def commands(session: Session, turn: Turn) -> list[str]:
    """Command lines that make ``turn`` again in a new session: one ``run`` if its turns differ in nothing but their
    prompts and words, else ``new`` and one ``edit`` a turn.

    Parameters are given where they differ from the preset.

    Raises:
        InputError: a picture was put in by hand on the way, which no command can repeat.
    """
    source, *edits = session.path(turn)
    specs = [edit.spec for edit in edits if edit.spec is not None]
    if len(specs) < len(edits):
        raise InputError("a picture was put in by hand on the way to this turn: use 'undrift replay' on the session")
    image, prompt = str(session.folder / source.image), source.prompt
    model = _option("model", specs[0].model) if specs else []
    told = any(spec.source_prompt != t.prompt for spec, t in zip(specs, session.path(turn), strict=False))
    if specs and not told and all(_choices(spec) == _choices(specs[0]) for spec in specs):
        prompts = [part for spec in specs for part in ("--edit", spec.target_prompt)]
        words = [part for spec in specs for part in ("--words", ",".join(spec.words or ()))]
        told_words = words if any(spec.words for spec in specs) else []
        return [_line("run", image, "--prompt", prompt, *prompts, *told_words, *model, *_choices(specs[0]))]
    start = _line("new", image, "--prompt", prompt, "--session", FOLDER, *model)
    return [start, *(_edit(spec) for spec in specs)]


def python_script(session: Session, turn: Turn) -> str:
    """A Python script that makes ``turn`` again in a new session."""
    source, *edits = session.path(turn)
    specs = [edit.spec for edit in edits if edit.spec is not None]
    steps = [_step(session, edit) for edit in edits]
    return _SCRIPT.format(
        title=json.dumps(turn.prompt),
        model=(specs[0].model if specs else "littleworld"),
        folder=FOLDER,
        image=str(session.folder / source.image),
        prompt=source.prompt,
        steps=pprint.pformat(steps, width=100, sort_dicts=False),
    )


_SCRIPT = """\
# Makes this turn again: {title}
import undrift
from undrift.methods import registry
from undrift.pictures import read_picture
from undrift.session.engine import import_picture

STEPS = {steps}

backbone = undrift.load({model!r})
session = undrift.start_session({folder!r}, read_picture({image!r}), {prompt!r}, backbone)
for step in STEPS:
    if "picture" in step:
        import_picture(session, read_picture(step["picture"]), step["prompt"], backbone)
    else:
        method = registry.get(step["method"], overrides=step["params"])
        undrift.run_turn(session, backbone, method, undrift.EditPlan(**step["plan"]))
print(session.folder / session.head.image)
"""


def _step(session: Session, turn: Turn) -> dict[str, Any]:
    spec = turn.spec
    if spec is None:
        return {"picture": str(session.folder / turn.image), "prompt": turn.prompt}
    plan = {
        "prompt": spec.target_prompt,
        "source_prompt": spec.source_prompt,
        "words": spec.words,
        "seed": spec.seed,
        "handover": spec.handover,
        "preset": spec.preset,
    }
    return {"method": spec.method, "params": spec.params, "plan": plan}


def _edit(spec: TurnSpec) -> str:
    words = ["--words", ",".join(spec.words)] if spec.words else []
    where = ["--source-prompt", spec.source_prompt, "--session", FOLDER]
    return _line("edit", spec.target_prompt, *where, *words, *_option("model", spec.model), *_choices(spec))


def _choices(spec: TurnSpec) -> list[str]:
    """The options of a turn that all turns of a ``run`` share."""
    known = registry.all_methods().get(spec.method)
    preset = spec.preset if known and spec.preset in known.presets else "default"
    usual = known.presets[preset].model_dump(mode="json") if known else {}
    named = [*_option("method", spec.method), *_option("preset", preset), *_option("handover", spec.handover)]
    differing = {name: value for name, value in spec.params.items() if usual.get(name, ...) != value}
    settings = [part for name, value in differing.items() for part in ("--set", f"{name}={_value(value)}")]
    return [*named, "--seed", str(spec.seed), *settings]


def _option(name: str, value: str) -> list[str]:
    usual = {"model": "littleworld", "method": registry.DEFAULT, "preset": "default", "handover": "latent"}
    return [] if usual[name] == value else [f"--{name}", value]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _line(*parts: str) -> str:
    return shlex.join(("undrift", *parts))
