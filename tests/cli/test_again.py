"""Turns made again from what they record: as commands, as a Python script and by replay, to the same bytes."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from PIL import Image

import undrift
from tests.support.memory import memory_folder
from tests.support.slow_cases import slow_but_for
from tests.support.toy import ToyBackbone, ToyMethod, ToyParams, toy_picture
from undrift.backbones.base import Backbone, Latent
from undrift.cli import execution
from undrift.cli.main import cli
from undrift.cli.words import parse_words
from undrift.errors import InputError, UndriftError
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.session.engine import EditPlan, restore, run_turn, start_session
from undrift.session.model import Turn
from undrift.session.next_turn import candidate_plans
from undrift.session.references import Look
from undrift.session.script import commands, python_script, written_words
from undrift.session.store import Session

RANDOM_CASES = int(os.environ.get("FUZZ_CASES", "5"))
"""Sessions of the package's models that are made again in three ways each."""

TUNED = {"toy": {"strength": 0.3}}

Load = Callable[..., Backbone]


class TunedToy(ToyBackbone):
    """A toy whose best strength is not the published default, as LittleWorld's guidance is not."""

    tuned = MappingProxyType(TUNED)


def toys(name: str, **placement: str) -> Backbone:
    assert name == "toy"
    return TunedToy()


@contextmanager
def standing_in(folder: Path, load: Load, methods: dict[str, type[EditMethod]]) -> Iterator[None]:
    """Stand in a folder, with models loaded by ``load`` and ``methods`` beside those that there are."""
    known = {**registry.all_methods(), **methods}
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "load", load)
        patch.setattr(undrift, "load", load, raising=False)
        patch.setattr(registry, "all_methods", lambda: known)
        patch.delenv("UNDRIFT_SESSION", raising=False)
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def by_commands(session: Session, turn: Turn, folder: Path) -> Session:
    for line in commands(session, turn):
        result = CliRunner().invoke(cli, shlex.split(line)[1:], prog_name="undrift")
        assert result.exit_code == 0, (line, result.stderr)
    return Session.open(folder / "undrift-again")


def by_script(session: Session, turn: Turn, folder: Path) -> Session:
    with redirect_stdout(StringIO()):
        exec(compile(python_script(session, turn), "script", "exec"), {})
    return Session.open(folder / "undrift-again")


def check(session: Session, turn: Turn, load: Load, **methods: type[EditMethod]) -> None:
    """``turn`` made again in three ways, each in an empty folder, has the same picture and latent, byte for byte."""
    wanted = [(step.image_hash, step.latent_hash) for step in session.path(turn)]
    for make in (by_commands, by_script):
        with tempfile.TemporaryDirectory(dir=memory_folder()) as name, standing_in(Path(name), load, methods):
            again = make(session, turn, Path(name))
            assert [(step.image_hash, step.latent_hash) for step in again.path(again.head)] == wanted, make.__name__
    with tempfile.TemporaryDirectory(dir=memory_folder()) as name, standing_in(Path(name), load, methods):
        line = ["replay", turn.id, "--session", str(session.folder), "--output", "again"]
        result = CliRunner().invoke(cli, line, prog_name="undrift")
        assert result.exit_code == 0, result.stderr
        again = Session.open(Path(name) / "again")
        assert [(step.image_hash, step.latent_hash) for step in again.path(again.head)] == wanted


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
prompts = st.one_of(
    texts.filter(str.strip),
    st.sampled_from(["-p", "--help", "-", 'it\'s "quoted"', "a\nb", "$(x) `y` \\", "[]", "кот é 🎩", "--", "'"]),
)
words = st.none() | st.lists(texts | st.sampled_from(["a, b", "-w", "[]", "", " x", "5", "null"]), max_size=3).map(
    tuple
)
params = st.builds(
    ToyParams,
    steps=st.integers(1, 6),
    strength=st.sampled_from([0.6, 0.3, 0.123456789012345, 1.0]),
    masked=st.booleans(),
)
methods = st.one_of(
    st.just(ToyMethod()),
    params.map(ToyMethod),
    st.builds(
        lambda preset, overrides, dial: registry.Chosen(
            ToyMethod, ToyMethod.presets[preset], preset, overrides, dial
        ).fitted(TUNED),
        st.sampled_from(["default", "global"]),
        st.fixed_dictionaries(
            {}, optional={"steps": st.integers(1, 6), "strength": st.sampled_from([0.6, 0.3, 1.0])}
        ),
        st.sampled_from([0.0, 0.5, -0.25, 1.0]),
    ),
)


@dataclass(frozen=True)
class Restored:
    """A step that puts turn ``number`` back in a half."""

    number: int


def half(level: int, corner: int) -> Image.Image:
    region = Image.new("L", (40, 32), 0)
    region.paste(level, (corner, 0, corner + 20, 32))
    return region


plans = st.builds(
    EditPlan,
    prompt=prompts,
    source_prompt=st.none() | texts,
    instruction=st.none() | texts | st.sampled_from(["make the dog blue", "--caption", "-e"]),
    words=words,
    seed=st.sampled_from([0, 7, 2**32 - 1]),
    handover=st.sampled_from(["latent", "image"]),
    region=st.none() | st.builds(half, st.sampled_from([255, 128, 1]), st.sampled_from([0, 20])),
)
steps = st.lists(st.tuples(methods, plans) | st.builds(Restored, st.integers(0, 1)), min_size=1, max_size=3)


@pytest.mark.slow
@given(source=texts, steps=steps, name=st.sampled_from(["s", "-s", "a b", "ä'$x", "--"]))
@settings(max_examples=60, deadline=None)
def test_random_turns_again(source: str, steps: list[Any], name: str) -> None:
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        model = TunedToy()
        session = start_session(Path(folder) / name, toy_picture(), source, model)
        for step in steps:
            if not isinstance(step, Restored):
                run_turn(session, model, *step)
            elif step.number < session.head.number:
                restore(session, model, half(255, 0), anchor=str(step.number))
        check(session, session.head, toys, toy=ToyMethod)


class Formatted(TunedToy):
    """A toy that encodes in a number format, and says which."""

    def __init__(self, dtype: str) -> None:
        super().__init__()
        self.identity = replace(self.identity, dtype=dtype)

    def encode(self, images: Sequence[Image.Image]) -> Latent:
        latent = super().encode(images)
        return replace(latent, packed=latent.packed.to(getattr(torch, self.identity.dtype)).float())


def formatted(name: str, dtype: str = "auto", **placement: object) -> Backbone:
    return Formatted({"fp32": "float32", "bf16": "bfloat16"}.get(dtype, dtype))


@pytest.mark.parametrize("kinds", [("float32", "bfloat16"), ("bfloat16", "float32")])
def test_pictures_are_encoded_again_in_the_number_format_that_they_were_encoded_in(
    tmp_path: Path, kinds: tuple[str, str]
) -> None:
    first, then = (Formatted(kind) for kind in kinds)
    session = start_session(tmp_path / "s", toy_picture(), "a", first)
    turn = run_turn(session, then, ToyMethod(), EditPlan("b", seed=1))
    assert first.encode([toy_picture()]).packed.ne(then.encode([toy_picture()]).packed).any(), "else nothing is shown"
    check(session, turn, formatted, toy=ToyMethod)


@given(words)
def test_words_are_read_as_they_are_written(chosen: tuple[str, ...] | None) -> None:
    assert parse_words(written_words(chosen)) == chosen


@cache
def littleworld() -> Backbone:
    from undrift.backbones import load

    return load("littleworld")


def embedded(name: str, **placement: str) -> Backbone:
    assert name == "littleworld"
    return littleworld()


FEW = {"steps": 2, "highlight_start": 1}
PUBLISHED = registry.get("undrift").params.model_dump()["guidance"]
"""A method's own guidance, where LittleWorld has another."""

EDITS: dict[str, Callable[[], EditMethod]] = {
    "published default": lambda: registry.get(
        "undrift", overrides={"steps": 2, "guidance": PUBLISHED}, tuned=littleworld().tuned
    ),
    "tuned": lambda: registry.get("multi_turn", overrides=FEW, tuned=littleworld().tuned),
    "preset": lambda: registry.get("multi_turn", "fast", {"steps": 2}, littleworld().tuned),
    "untuned": lambda: registry.get("multi_turn", overrides={"steps": 2}),
    "dial": lambda: registry.get("multi_turn", overrides=FEW, tuned=littleworld().tuned, dial=-0.5),
    "another method": lambda: registry.get("rf_inversion", overrides={"steps": 2}, tuned=littleworld().tuned),
    "an editor that is no model": lambda: registry.get(
        "pnp_inversion", overrides={"steps": 2}, tuned=littleworld().tuned
    ),
    "a wrapped method": lambda: registry.get("revert_unchanged", overrides={"steps": 2}, tuned=littleworld().tuned),
}


AGAIN: list[tuple[str, tuple[str, ...] | None]] = [
    *((name, None) for name in EDITS),
    ("tuned", ()),
    ("tuned", ("hat",)),
]
QUICK = {("preset", None), ("an editor that is no model", None)}


@pytest.mark.parametrize(
    ("name", "chosen"),
    slow_but_for(QUICK, AGAIN),
    ids=lambda value: str(value),
)
def test_turns_of_the_embedded_model_again(tmp_path: Path, name: str, chosen: tuple[str, ...] | None) -> None:
    from undrift.littleworld import demo

    assert littleworld().tuned["undrift"]["guidance"] != PUBLISHED, "otherwise the first case shows nothing"
    session = start_session(tmp_path / "s", demo.picture(128), demo.prompt(), littleworld())
    plan = EditPlan("a yellow dog wearing a red hat on a beach", words=chosen, seed=5)
    turn = run_turn(session, littleworld(), EDITS[name](), plan)
    check(session, turn, embedded)


@cache
def of_the_package(name: str, **placement: str) -> Backbone:
    """One of the two models of the package."""
    from undrift.backbones import load

    return load(name)


@st.composite
def any_editor(draw: st.DrawFn) -> EditMethod:
    """A method of the package with some preset, few steps, and the dial somewhere."""
    name = draw(st.sampled_from(sorted(registry.all_methods())))
    presets = registry.all_methods()[name].presets
    preset = draw(st.sampled_from(sorted(presets)))
    few = {"steps": draw(st.integers(1, 2))} if hasattr(presets[preset], "steps") else {}
    dial = draw(st.sampled_from([0.0, 0.0, 0.4, -0.7]))
    tuned = draw(st.sampled_from([{}, littleworld().tuned]))
    try:
        return registry.get(name, preset, few, tuned, dial)
    except InputError:  # there is nothing that the dial turns, or too few steps for the preset
        reject()


@pytest.mark.slow
@given(
    model=st.sampled_from(["littleworld", "littleworld", "littleworld-sd"]),
    methods=st.lists(any_editor(), min_size=1, max_size=2),
    plans=st.lists(plans, min_size=2, max_size=2),
    look=st.booleans(),
)
@settings(max_examples=RANDOM_CASES, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_turns_of_the_package_again(
    model: str, methods: list[EditMethod], plans: list[EditPlan], look: bool
) -> None:
    from undrift.littleworld import demo

    backbone = of_the_package(model)
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        session = start_session(Path(folder) / "s", demo.picture().resize((40, 32)), demo.prompt(), backbone)
        for method, plan in zip(methods, plans, strict=False):
            looks = (Look(toy_picture(), 0.5, half(255, 0)),) if look else ()
            try:
                run_turn(session, backbone, method, replace(plan, references=looks, words=None))
            except UndriftError:  # the model has no layers for it, the method takes no references, ...
                reject()
        check(session, session.head, of_the_package)


@pytest.mark.slow
def test_candidates_by_the_dial_again(tmp_path: Path) -> None:
    from undrift.littleworld import demo

    session = start_session(tmp_path / "s", demo.picture(128), demo.prompt(), littleworld())
    method = registry.get("multi_turn", overrides=FEW, tuned=littleworld().tuned)
    assert not method.draws_noise()
    plan = EditPlan("a yellow dog wearing a red hat on a beach", seed=5)
    made = [run_turn(session, littleworld(), *one) for one in candidate_plans(session.tree(), method, plan, count=3)]
    assert len({turn.image_hash for turn in made}) == 3
    for turn in made:
        check(session, turn, embedded)
