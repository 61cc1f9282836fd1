from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench.runner.support import SUITE, order
from tests.support.toy import ToyBackbone
from undrift.backbones.locate import locate
from undrift.bench.records import RunFolder
from undrift.bench.runner.start import begin, check, suite_spec
from undrift.errors import InputError

IDENTITY = replace(ToyBackbone().identity, weights_hash=locate("littleworld").weights_hash)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of ``no_edit``."""
    folder = RunFolder(tmp_path / "run")
    begin(order(["no_edit"]), folder, IDENTITY, {})
    return folder


@pytest.mark.parametrize(
    ("text", "name", "variant"),
    [
        ("quick", "littleworld", "quick"),
        ("long", "littleworld", "long"),
        ("littleworld:reconstruct", "littleworld", "reconstruct"),
        ("littleworld", "littleworld", "default"),
    ],
)
def test_suites_by_word(text: str, name: str, variant: str) -> None:
    spec = suite_spec(text, None, 3, None)
    assert (spec.name, spec.variant, spec.limit, spec.turns) == (name, variant, 3, None)


def test_an_unknown_suite_or_variant_is_named() -> None:
    with pytest.raises(InputError, match=r"^no suite 'quik': did you mean 'quick'\?"):
        suite_spec("quik", None, None, None)
    with pytest.raises(InputError, match=r"^no variant of littleworld 'huge'"):
        check(order(suite=suite_spec("littleworld:huge", None, None, None)), RunFolder(Path("nowhere")))


def test_the_same_command_goes_on(run: RunFolder) -> None:
    before = (run.path / "manifest.json").read_bytes()
    assert check(order(["no_edit"]), run)
    begin(order(["no_edit"]), run, IDENTITY, {})
    assert (run.path / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({"quantize": "nf4"}, "quantize 'none', not 'nf4'"),
        ({"loras": ("style.safetensors:0.8@12ab",)}, "loras 'none', not 'style.safetensors:0.8@12ab'"),
        ({"options": ("text_tokens=256",)}, "options 'none', not 'text_tokens=256'"),
        ({"dtype": "bfloat16"}, "dtype 'fp32', not 'bfloat16'"),
    ],
)
def test_a_run_goes_on_with_the_model_held_as_before(run: RunFolder, changed: dict[str, Any], shown: str) -> None:
    with pytest.raises(InputError, match=f"is a run with {shown}: repeat its command"):
        begin(order(["no_edit"]), run, replace(IDENTITY, **changed), {})


def test_a_run_with_an_adapter_goes_on(tmp_path: Path) -> None:
    adapted = replace(IDENTITY, weights_hash="12ab", loras=("style.safetensors:1@34cd",), quantize="nf4")
    run = RunFolder(tmp_path / "adapted")
    manifest = begin(order(["no_edit"]), run, adapted, {})
    assert (manifest.loras, manifest.quantize) == (adapted.loras, "nf4")
    asked = replace(order(["no_edit"]), as_published=False)
    assert check(asked, run)
    assert begin(asked, run, adapted, {}).loras == adapted.loras


def test_methods_are_added_and_only_those_asked_for_are_run(run: RunFolder) -> None:
    asked = begin(order(["reflow"]), run, IDENTITY, {})
    assert [spec.label for spec in asked.methods] == ["reflow"]
    assert [spec.label for spec in run.manifest().methods] == ["no_edit", "reflow"]


def test_another_run_in_the_folder_is_refused(run: RunFolder) -> None:
    shown = f"'{run.path}' is a run with "
    tail = ": repeat its command to go on with it, or choose another folder with --output"
    cases = {
        f"{shown}seed '0', not '7'{tail}": order(["no_edit"], seed=7),
        f"{shown}batch '8', not '2'{tail}": order(["no_edit"], batch=2),
        f"{shown}suite littleworld:quick, limit 3, turns 2, not littleworld:quick, turns 2{tail}": order(
            ["no_edit"], SUITE.model_copy(update={"limit": None})
        ),
    }
    for message, asked in cases.items():
        with pytest.raises(InputError) as error:
            check(asked, run)
        assert str(error.value) == message


def test_other_weights_versions_or_parameters_are_refused(run: RunFolder) -> None:
    with pytest.raises(InputError, match=r"is a run with weights_hash '\w{16}', not 'other'"):
        begin(order(["no_edit"]), run, replace(IDENTITY, weights_hash="other"), {})
    changed = "no_edit::round_trip=true;label=no_edit"
    with pytest.raises(InputError, match=r"is a run with method no_edit no_edit:default {'round_trip': False}, not "):
        begin(order([changed]), run, IDENTITY, {})
    run.start(run.manifest().model_copy(update={"versions": {"torch": "0.1"}}))
    with pytest.raises(InputError, match=r"is a run with versions torch 0\.1, not undrift"):
        begin(order(["no_edit"]), run, IDENTITY, {})


def test_weights_are_compared_before_they_are_loaded(run: RunFolder) -> None:
    run.start(run.manifest().model_copy(update={"weights_hash": "other"}))
    with pytest.raises(InputError, match="is a run with weights_hash 'other', not"):
        check(order(["no_edit"]), run)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear")
    with pytest.raises(InputError, match=r"holds other files and no run: choose another folder with --output$"):
        check(order(), RunFolder(tmp_path))
