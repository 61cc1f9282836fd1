"""A turn as something to type: command lines, or a Python script, that make it again.

Both write out all that a turn records: model and number format, method and every parameter, seed, words and region.
Nothing is left to a preset or to a model's own values, which may be others where the lines are run: on the
same machine, with the same threads and versions, the picture is the same file. Where the model has other weights than
made the turn, a warning says so. The session's pictures and regions are
named by their full paths.
"""

from __future__ import annotations

import json
import os
import pprint
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from undrift.backbones.given import loras_of, transformer_of
from undrift.backbones.locate import LITTLEWORLD, existing
from undrift.backbones.placement import quantize_option
from undrift.errors import InputError
from undrift.from_json import from_json
from undrift.session.latents import Maker
from undrift.session.maker import maker
from undrift.session.model import Loaded, RestoreSpec, Turn, TurnSpec
from undrift.session.store import Session

FOLDER = "undrift-again"
"""The folder of the new session."""

DTYPE_OPTIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
"""Recorded number formats as the command line calls them."""


def commands(session: Session, turn: Turn) -> list[str]:
    """Command lines that make ``turn`` again in a new session: one ``run`` if its turns differ in nothing but their
    prompts and words and none was said as an instruction, else ``new`` and one ``edit`` or ``restore`` a turn.

    Raises:
        InputError: a picture was put in by hand on the way, which no command can repeat, or brought back from a turn
            that is not on it; or a prompt holds a character that cannot be typed.
    """
    original, *edits = path = session.path(turn)
    if any(edit.kind == "import" for edit in edits):
        raise InputError("a picture was put in by hand on the way to this turn: use 'undrift replay' on the session")
    image = _file(session, original.image)
    specs = [edit.spec for edit in edits if edit.spec is not None]
    told = any(
        spec.source_prompt != step.prompt or spec.instruction is not None
        for spec, step in zip(specs, path, strict=False)
    )
    alike = {(tuple(_model(spec)), tuple(_how(spec)), spec.region_hash, spec.references_hash) for spec in specs}
    first = _first_model(session, original, specs)
    encoded_alike = not isinstance(first, Loaded) or all(_model(first) == _model(spec) for spec in specs)
    if len(alike) == 1 and encoded_alike and len(specs) == len(edits) and not told:
        prompts = [part for spec in specs for part in ("--edit", spec.target_prompt)]
        words = [part for spec in specs for part in ("--words", written_words(spec.words))]
        given = words if any(spec.words is not None for spec in specs) else []
        shared = [*_pictures(session, edits[0]), *_model(specs[0]), *_how(specs[0])]
        return [_line("run", image, "--prompt", original.prompt, *prompts, *given, "--session", FOLDER, *shared)]
    model = _model(first) if isinstance(first, TurnSpec | Loaded) else _named(first)
    start = _line("new", image, "--prompt", original.prompt, "--session", FOLDER, *model)
    return [start, *(_command(session, edit, path) for edit in edits)]


def python_script(session: Session, turn: Turn) -> str:
    """A Python script that makes ``turn`` again in a new session.

    Raises:
        InputError: a picture was brought back on the way from a turn that is not on it.
    """
    original, *edits = path = session.path(turn)
    first = _first_model(session, original, [edit.spec for edit in edits if edit.spec is not None])
    return _SCRIPT.format(
        title=json.dumps(turn.prompt),
        model=_loaded(first),
        folder=FOLDER,
        image=_file(session, original.image),
        prompt=original.prompt,
        steps=pprint.pformat([_step(session, edit, path) for edit in edits], width=100, sort_dicts=False),
    )


def contents(text: str) -> bytes:
    """``text`` of commands or a script as a file: UTF-8, and names of files in it as the very bytes that they are."""
    return text.encode("utf-8", "surrogateescape")


def models(session: Session, turn: Turn) -> tuple[str, ...]:
    """The names of the models that the commands and the script load, each once."""
    made_by = (maker(session, step) for step in session.path(turn))
    return tuple(dict.fromkeys(found.name for found in made_by if found is not None))


def written_words(words: Sequence[str] | None) -> str:
    """Words as ``--words`` takes them: with commas where that is enough, else as JSON; None as ``null``."""
    if words is None:
        return "null"
    plain = bool(words) and all(word.strip() == word and word and not set(word) & set(',["') for word in words)
    return ",".join(words) if plain and not _is_json(",".join(words)) else json.dumps(list(words), ensure_ascii=False)


_SCRIPT = """\
# Makes this turn again: {title}
from functools import lru_cache

import undrift
from undrift.methods.registry import recorded
from undrift.pictures import read_mask, read_picture
from undrift.session.engine import import_picture, restore
from undrift.session.references import looks_of

STEPS = {steps}

load = lru_cache(maxsize=1)(undrift.load)
backbone = load(**{model!r})
session = undrift.start_session({folder!r}, read_picture({image!r}), {prompt!r}, backbone)
for step in STEPS:
    region = read_mask(step["region"]) if "region" in step else None
    if "picture" in step:
        backbone = load(**step["model"]) if "model" in step else backbone
        import_picture(session, read_picture(step["picture"]), step["prompt"], backbone)
    elif "restore" in step:
        restore(session, backbone, region, step["restore"])
    else:
        backbone = load(**step["model"])
        sheet = [read_picture(step["references"])] if "references" in step else []
        looks = [look for each in sheet for look in looks_of(each, session.picture(session.original).size)]
        plan = undrift.EditPlan(**step["plan"], region=region, references=tuple(looks))
        undrift.run_turn(session, backbone, recorded(**step["method"]), plan)
print(session.folder / session.head.image)
"""


def _step(session: Session, turn: Turn, path: Sequence[Turn]) -> dict[str, Any]:
    where = {} if turn.region_file is None else {"region": _file(session, turn.region_file)}
    looks = {} if turn.references_file is None else {"references": _file(session, turn.references_file)}
    if turn.restore is not None:
        return {"restore": _anchor(turn.restore, path), **where}
    spec = turn.spec
    if spec is None:
        model = {} if turn.encoded_by is None else {"model": _loaded(turn.encoded_by)}
        return {"picture": _file(session, turn.image), "prompt": turn.prompt, **model}
    plan = {
        "prompt": spec.target_prompt,
        "source_prompt": spec.source_prompt,
        "instruction": spec.instruction,
        "words": spec.words,
        "seed": spec.seed,
        "handover": spec.handover,
    }
    method = {"name": spec.method, "params": spec.params, "preset": spec.preset, "dial": spec.dial or 0.0}
    return {"model": _loaded(spec), "method": method, "plan": plan, **where, **looks}


def _loaded(made: TurnSpec | Loaded | Maker | None) -> dict[str, Any]:
    """How ``undrift.load`` is called for what made a turn; it warns where that has other weights by now."""
    if made is None:
        return {"name": LITTLEWORLD}
    if isinstance(made, Maker):
        return {"name": _located(made.name), "weights": made.weights_hash}
    of = {"name": _located(made.model), "weights": made.weights_hash}
    held = {"dtype": made.dtype, "device": made.device, "quantize": quantize_option(made.quantize)}
    return {**of, **held, **_arguments(made.options), **_files(made)}


def _files(made: TurnSpec | Loaded) -> dict[str, Any]:
    """The files of weights beside the model, as ``undrift.load`` takes them: where they are, if that is known."""
    transformer, loras = transformer_of(made), tuple(lora.located() for lora in loras_of(made))
    given = {} if transformer is None else {"transformer": transformer.located()}
    return {**given, **({"loras": loras} if loras else {})}


def _arguments(options: Sequence[str]) -> dict[str, Any]:
    """What ``undrift.load`` takes for a turn's recorded options."""
    given = dict(option.partition("=")[::2] for option in options)
    read: dict[str, Callable[[str], Any]] = {
        "tiling": str,
        "compile": lambda value: value == "on",
        "cache": str,
        "text_tokens": int,
    }
    return {name: read[name](value) for name, value in given.items() if name in read}


def _flags(options: Sequence[str]) -> list[str]:
    """What the command line takes for them."""
    given = _arguments(options)
    compiled = ["--compile"] if given.pop("compile", False) else []
    return compiled + [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]


def _command(session: Session, turn: Turn, path: Sequence[Turn]) -> str:
    spec = turn.spec
    if turn.restore is not None:
        come_from = ["--from", _anchor(turn.restore, path), "--session", FOLDER]
        return _line("restore", "--brush", _file(session, str(turn.region_file)), *come_from)
    assert spec is not None, "commands() refuses pictures put in by hand"
    words = [] if spec.words is None else ["--words", written_words(spec.words)]
    said = [] if spec.instruction is None else [f"--said={spec.instruction}"]
    where = ["--source-prompt", spec.source_prompt, "--session", FOLDER]
    told = [*where, *words, "--caption", *said]
    return _line("edit", spec.target_prompt, *told, *_pictures(session, turn), *_model(spec), *_how(spec))


def _pictures(session: Session, turn: Turn) -> list[str]:
    """The options that name the turn's own region and references."""
    only = [] if turn.region_file is None else ["--only", _file(session, turn.region_file)]
    looks = [] if turn.references_file is None else ["--reference", _file(session, turn.references_file)]
    return [*only, *looks]


def _anchor(spec: RestoreSpec, path: Sequence[Turn]) -> str:
    """The number, in the new session, of the turn that comes back."""
    numbers = [turn.number for turn in path if turn.id == spec.anchor]
    if not numbers:
        raise InputError(
            "a turn of another branch was put back on the way to this turn: use 'undrift replay' on the session"
        )
    return str(numbers[0])


def _first_model(session: Session, original: Turn, specs: Sequence[TurnSpec]) -> TurnSpec | Loaded | Maker | None:
    """What the original was encoded with.

    Where that was not recorded: what made the first edit, if that is the same model, else the model.
    """
    if original.encoded_by is not None:
        return original.encoded_by
    encoded = maker(session, original)
    same = specs and encoded == (specs[0].model, specs[0].weights_hash)
    return specs[0] if same else encoded


def _named(made: Maker | None) -> list[str]:
    return (
        ["--model", LITTLEWORLD] if made is None else ["--model", _located(made.name), "--weights", made.weights_hash]
    )


def _model(spec: TurnSpec | Loaded) -> list[str]:
    """The options that load what made a turn."""
    held = [
        "--dtype",
        DTYPE_OPTIONS.get(spec.dtype, spec.dtype),
        "--device",
        spec.device,
        "--quantize",
        quantize_option(spec.quantize),
    ]
    files = _files(spec)
    given = ["--transformer", files["transformer"]] if "transformer" in files else []
    given += [part for lora in files.get("loras", ()) for part in ("--lora", lora)]
    return [*_named(Maker(spec.model, spec.weights_hash)), *held, *_flags(spec.options), *given]


def _how(spec: TurnSpec) -> list[str]:
    """The options that decide a turn beside its model, prompts, words and region."""
    label = f"{spec.preset}:{spec.dial}" if spec.dial else spec.preset
    settings = [part for name, value in spec.params.items() for part in ("--set", f"{name}={_value(value)}")]
    decided = ["--seed", str(spec.seed), "--handover", spec.handover]
    return ["--method", spec.method, *decided, *settings, "--recorded-as", label]


def _value(value: Any) -> str:
    """``value`` as ``--set`` reads it back: JSON, or as it is what is none and has no space around it."""
    plain = isinstance(value, str) and value.strip() == value and not _is_json(value)
    return value if plain else json.dumps(value)


def _is_json(text: str) -> bool:
    try:
        from_json(text)
    except ValueError:
        return False
    return True


def _located(model: str) -> str:
    """A model's name, a folder's by its full path; a name that is no folder's is that of the hub."""
    path = existing(model)
    return model if path is None else _name(path.resolve())


def _file(session: Session, name: str) -> str:
    return _name(session.folder.resolve() / name)


def _name(path: Path) -> str:
    """``path`` as ``contents`` writes it back, whatever the locale's encoding is; bytes that are no UTF-8 escaped."""
    return os.fsencode(path).decode("utf-8", "surrogateescape")


def _line(command: str, *rest: str) -> str:
    """A command line with its options behind its argument, if it has one.

    An argument that begins with a dash stands at the end, after ``--``, lest it be taken for an option.
    """
    if any("\0" in part for part in rest):
        raise InputError("a prompt on the way to this turn holds a NUL character, which cannot be typed: export .py")
    if command == "restore" or not rest[0].startswith("-"):
        return shlex.join(("undrift", command, *rest))
    return shlex.join(("undrift", command, *rest[1:], "--", rest[0]))
