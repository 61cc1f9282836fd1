"""Turns made again from what they record: as commands, as a Python script and by replay, to the same bytes."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import undrift
from tests.support.memory import memory_folder
from tests.support.slow_cases import slow_but_for
from tests.support.toy import ToyBackbone, ToyMethod, ToyParams, toy_picture
from undrift.backbones.base import Backbone
from undrift.cli import execution
from undrift.cli.main import cli
from undrift.cli.words import parse_words
from undrift.methods import registry
from undrift.methods.base import EditMethod
from undrift.session.engine import EditPlan, restore, run_turn, start_session
from undrift.session.model import Turn
from undrift.session.next_turn import candidate_plans
from undrift.session.replay import replay
from undrift.session.script import commands, python_script, written_words
from undrift.session.store import Session

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
        model = load("toy" if methods else "littleworld", dtype="fp32", device="cpu", quantize="none")
        again = replay(session, Path(name) / "again", model, turn=turn.id)
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
GUIDED = {"steps": 2, "inversion_gain": 0.5}
"""The published gain, where LittleWorld has another."""

EDITS: dict[str, Callable[[], EditMethod]] = {
    "published default": lambda: registry.get("rf_inversion", overrides=GUIDED, tuned=littleworld().tuned),
    "tuned": lambda: registry.get("multi_turn", overrides=FEW, tuned=littleworld().tuned),
    "preset": lambda: registry.get("multi_turn", "fast", {"steps": 2}, littleworld().tuned),
    "untuned": lambda: registry.get("multi_turn", overrides={"steps": 2}),
    "dial": lambda: registry.get("multi_turn", overrides=FEW, tuned=littleworld().tuned, dial=-0.5),
    "another method": lambda: registry.get("rf_inversion", overrides={"steps": 2}, tuned=littleworld().tuned),
    "a wrapped method": lambda: registry.get("revert_unchanged", overrides={"steps": 2}, tuned=littleworld().tuned),
}


AGAIN: list[tuple[str, tuple[str, ...] | None]] = [
    *((name, None) for name in EDITS),
    ("tuned", ()),
    ("tuned", ("hat",)),
]
QUICK = {("preset", None), ("tuned", ("hat",))}


@pytest.mark.parametrize(
    ("name", "chosen"),
    slow_but_for(QUICK, AGAIN),
    ids=lambda value: str(value),
)
def test_turns_of_the_embedded_model_again(tmp_path: Path, name: str, chosen: tuple[str, ...] | None) -> None:
    from undrift.littleworld import demo

    published = registry.get("rf_inversion").params.model_dump()["inversion_gain"]
    assert (published, littleworld().tuned["rf_inversion"]["inversion_gain"]) == (0.5, 0.25)
    session = start_session(tmp_path / "s", demo.picture(), demo.prompt(), littleworld())
    plan = EditPlan("a yellow dog wearing a red hat on a beach", words=chosen, seed=5)
    turn = run_turn(session, littleworld(), EDITS[name](), plan)
    check(session, turn, embedded)


@pytest.mark.slow
def test_candidates_by_the_dial_again(tmp_path: Path) -> None:
    from undrift.littleworld import demo

    session = start_session(tmp_path / "s", demo.picture(), demo.prompt(), littleworld())
    method = registry.get("multi_turn", overrides=FEW, tuned=littleworld().tuned)
    assert not method.draws_noise()
    plan = EditPlan("a yellow dog wearing a red hat on a beach", seed=5)
    made = [run_turn(session, littleworld(), *one) for one in candidate_plans(session.tree(), method, plan, count=3)]
    assert len({turn.image_hash for turn in made}) == 3
    for turn in made:
        check(session, turn, embedded)
