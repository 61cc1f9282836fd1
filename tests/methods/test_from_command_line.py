"""Every method edits over five turns on the embedded model from the command line."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from tests.support.slow_cases import slow_but_for
from undrift.backbones import Backbone, load
from undrift.cli import execution
from undrift.cli.main import cli
from undrift.littleworld.scoring import score_turn
from undrift.littleworld.sequences import EditSequence, sample_sequence
from undrift.methods.registry import all_methods, get
from undrift.session.store import Session

NAMES = [name for name, method in all_methods().items() if not (method.follows_instructions or method.redraws)]
"""Those that edit the whole picture by its caption; what draws a region anew is asked for by ``undrift extend``."""
FEW: Mapping[str, tuple[str, ...]] = {
    "no_edit": (),
    "flowedit": ("--steps", "2", "--set", "n_max=2"),
    "dec_flowedit": ("--steps", "2", "--set", "n_max=2", "--set", "map_steps=2"),
    "multi_turn": ("--steps", "2", "--set", "highlight_start=1"),
    "null_text": ("--steps", "2", "--set", "inner_steps=1"),
    "revert_unchanged": ("--steps", "2", "--set", "threshold=0"),
}
"""Options for the shortest turn; for the others ``--steps 2``, which reaches through wrappers."""
QUICK = {"undrift", "no_edit"}
"""Methods that the quick tests see on the embedded model, too; all are in the contracts' on tiny ones."""
TEN = ("ddim", "p2p", "null_text", "pnp_inversion", "masactrl")
"""Methods whose 50 steps of two evaluations would take minutes; ten do what they ask for as well."""
ELSEWHERE = dict.fromkeys(TEN, "littleworld-sd")
"""The embedded model that a method was made for, where it is not the default one."""


@cache
def embedded(model: str) -> Backbone:
    return load(model)


def model_of(name: str) -> Backbone:
    return embedded(ELSEWHERE.get(name, "littleworld"))


@cache
def sequence() -> EditSequence:
    return sample_sequence(random.Random(1), 5)


@pytest.fixture(autouse=True)
def _loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "load", lambda name, **options: embedded(name))


def run(folder: Path, name: str, *options: str) -> dict[str, Any]:
    """``undrift run`` with five edits; what it prints as JSON."""
    first, *edits = sequence().captions
    source = folder / "source.png"
    sequence().picture(0).save(source)
    asked = [word for edit in edits for word in ("-e", edit)]
    arguments = ["run", str(source), "-p", first, *asked, "--method", name, "-s", str(folder / "session"), "--json"]
    model = ["--model", ELSEWHERE.get(name, "littleworld")]
    result = CliRunner().invoke(cli, [*arguments, *model, "--seed", "0", *options], prog_name="undrift")
    assert result.exit_code == 0, result.stderr
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def pictures(folder: Path) -> list[Image.Image]:
    """Source and turns, as the session keeps them."""
    session = Session.open(folder / "session")
    return [session.picture(turn) for turn in session.path(session.head)]


@pytest.mark.parametrize("name", slow_but_for(QUICK, NAMES))
def test_five_turns_of_few_steps(name: str, tmp_path: Path) -> None:
    options = FEW.get(name, ("--steps", "2"))
    turns = run(tmp_path, name, *options)["turns"]
    kept = pictures(tmp_path)
    assert [turn["number"] for turn in turns[-5:]] == [1, 2, 3, 4, 5]
    assert {picture.size for picture in kept} == {sequence().picture(0).size}
    # Fitting takes evaluations of its own.
    assert all(turn["evaluations"] <= (16 if name == "null_text" else 8) for turn in turns)
    different = {picture.tobytes() for picture in kept[1:]}
    assert len(different) == (1 if name == "no_edit" else 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_five_turns_at_the_defaults(name: str, tmp_path: Path) -> None:
    steps = {"steps": 10} if name in TEN else {}
    turns = run(tmp_path, name, *(("--steps", "10") if steps else ()))["turns"]
    model = model_of(name)
    expected = get(name, overrides=steps, tuned=model.tuned).cost(model).evaluations
    spent = [turn["evaluations"] for turn in turns[-5:]]
    # What is added costs undrift the most, and that is what it tells; null_text stops early where it may.
    assert max(spent) <= expected if name in ("undrift", "null_text") else spent == [expected] * 5
    edits = [
        score_turn(sequence(), number, picture).edit for number, picture in enumerate(pictures(tmp_path)) if number
    ]
    # 0 is a picture that nobody touched, 1 the right one. Ten steps of reflow or rf_solver spoil four of these turns
    # (mean .09 and .07) and make the last; the others do well.
    if name == "no_edit":
        assert fmean(edits) == pytest.approx(0.0, abs=0.05)  # what 8 bits and the autoencoder change
    elif name in ("reflow", "rf_solver"):
        assert edits[-1] > 0.8
    else:
        assert fmean(edits) > 0.3


@pytest.mark.parametrize(
    ("name", "model", "message"),
    [
        ("null_text", "littleworld", "'null_text' fits the empty prompt of guidance by two evaluations"),
        ("stable_flow", "littleworld-sd", "'stable_flow' needs layers known to be vital and littleworld-sd has none"),
    ],
)
def test_a_method_that_the_model_cannot_do_begins_no_session(
    name: str, model: str, message: str, tmp_path: Path
) -> None:
    source, session = tmp_path / "source.png", tmp_path / "session"
    sequence().picture(0).save(source)
    asked = ["run", str(source), "-p", "a cat", "-e", "a dog", "--method", name, "--model", model, "-s", str(session)]
    result = CliRunner().invoke(cli, asked, prog_name="undrift")
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")
    assert not session.exists()
