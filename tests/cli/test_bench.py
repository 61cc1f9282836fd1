"""``undrift bench run``, ``score`` and ``status`` on the toy model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke, parsed
from tests.support.attending import Attending
from tests.support.toy import ToyBackbone
from undrift.backbones.locate import locate
from undrift.bench.records import RunFolder
from undrift.bench.runner import start
from undrift.bench.runner.lock import held
from undrift.bench.sites import token_mask
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite
from undrift.cli import execution
from undrift.pictures import read_picture

RUN = ("bench", "run", "--suite", "quick", "--limit", "2", "--turns", "2", "--metrics", "nfe,edit-success")
METHODS = ("--methods", "no_edit,reflow::steps=3;label=three")


@pytest.fixture(autouse=True)
def toy_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies on the disk as ``littleworld`` is the toy."""
    folder = locate("littleworld")
    toy = ToyBackbone().identity.weights_hash
    monkeypatch.setattr(start, "locate", lambda name: replace(folder, revision=toy))


def test_a_run_is_made_scored_and_told(invoke: Invoke, folder: Path) -> None:
    value = parsed(invoke(*RUN, *METHODS, "--json", "-o", "out"))
    assert value["run"] == "out"
    assert [(m["label"], m["made"], m["turns"], m["scored"], m["failed"]) for m in value["methods"]] == [
        ("no_edit", 4, 4, 4, []),
        ("three", 4, 4, 4, []),
    ]
    run = RunFolder(folder / "out")
    assert [line.values["nfe"] for line in run.scores("three", "lw-000").values()] == [6.0, 6.0]
    assert set(run.scores("three", "lw-000")[1].values) == {"nfe", "edit-success"}
    assert read_picture(run.folder("no_edit", "lw-001") / "2.png").size == (128, 128)
    assert run.manifest().methods[1].params["steps"] == 3


def test_the_folder_is_named_after_the_suite(invoke: Invoke, folder: Path) -> None:
    result = invoke(*RUN, "--methods", "no_edit")
    assert result.exit_code == 0
    assert result.stdout == "no_edit     4 of 4 turns,    4 scored  finished\nrun: runs/littleworld-quick\n"


def test_where_there_is_no_terminal_lines_say_how_far_it_is(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    from undrift.cli import bench_progress

    monkeypatch.setattr(bench_progress, "EVERY", 0.0)
    first = invoke(*RUN, "--methods", "no_edit,reflow::steps=3", "--batch", "2", "-o", "out")
    said = [line for line in first.stderr.splitlines() if line.startswith("turns:")]
    # A turn counts by its evaluations and one: 1 for no_edit, 7 for reflow, 2 x 2 turns of each, 32 together.
    assert (said[0], said[4], said[-1]) == (
        "turns: 3 % no_edit lw-000",
        "turns: 34 % reflow-steps-3 lw-000",
        "turns: 100 % reflow-steps-3 lw-001",
    )
    assert invoke(*RUN, "--methods", "no_edit", "-o", "quiet", "--quiet").stderr == ""


def test_pictures_alone_and_scores_later(invoke: Invoke, folder: Path) -> None:
    assert parsed(invoke(*RUN, *METHODS, "--json", "--no-score", "-o", "out"))["methods"][0]["scored"] == 0
    assert "0 scored" in invoke("bench", "status", "out").stdout
    assert parsed(invoke("bench", "score", "out", "--metrics", "nfe", "--json"))["methods"][0]["scored"] == 4


def test_the_same_command_again_and_methods_that_are_added(invoke: Invoke, folder: Path) -> None:
    assert invoke(*RUN, "--methods", "no_edit", "-o", "out").exit_code == 0
    made = (folder / "out/turns/no_edit/lw-000/records.jsonl").stat().st_mtime_ns
    assert invoke(*RUN, "--methods", "no_edit,reflow::steps=1", "-o", "out").exit_code == 0
    assert (folder / "out/turns/no_edit/lw-000/records.jsonl").stat().st_mtime_ns == made
    status = parsed(invoke("bench", "status", "out", "--json"))
    assert [(method["label"], method["made"]) for method in status["methods"]] == [
        ("no_edit", 4),
        ("reflow-steps-1", 4),
    ]


def test_what_failed_is_told_and_ends_with_1(invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from undrift.methods.reflow import Reflow

    def fail(*arguments: object) -> None:
        raise ValueError("no way")

    monkeypatch.setattr(Reflow, "edit", fail)
    result = invoke(*RUN, "--methods", "no_edit,reflow", "-o", "out")
    assert "lw-000, turn 1: ValueError: no way" in result.stdout
    assert result.stderr == "error: 2 cases failed (see: undrift bench status out)\n"
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "no_edti"), "no method 'no_edti': did you mean 'no_edit'?"),
        (("--suite", "quck"), "no suite 'quck': did you mean 'quick'?"),
        (("--metrics", "nef"), "no metric 'nef': did you mean 'nfe'?"),
        (("--suite", "pie-bench"), "suite pie-bench reads its data from a folder: name it with --data"),
        (("-o", "."), "'.' holds other files and no run: choose another folder with --output"),
    ],
)
def test_bad_input_is_refused_before_a_model_is_loaded(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    from undrift.cli import bench_execution

    monkeypatch.setattr(bench_execution, "load_model", lambda choice: pytest.fail("loaded"))
    result = invoke(*RUN, *arguments)
    assert result.stderr.startswith(f"error: {message}")
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_run_of_another_seed_is_refused(invoke: Invoke) -> None:
    assert invoke(*RUN, "--methods", "no_edit", "-o", "out").exit_code == 0
    result = invoke(*RUN, "--methods", "no_edit", "-o", "out", "--seed", "1")
    assert result.stderr.startswith("error: 'out' is a run with seed '0', not '1': repeat its command")


def test_two_processes_do_not_work_on_one_run(invoke: Invoke, folder: Path) -> None:
    assert invoke(*RUN, "--methods", "no_edit", "-o", "out").exit_code == 0
    with held(RunFolder(folder / "out")):
        for command in ((*RUN, "--methods", "no_edit", "-o", "out"), ("bench", "score", "out", "--metrics", "nfe")):
            result = invoke(*command)
            assert result.stderr.startswith("error: another process is at work on 'out': wait for it")


def test_no_run_folder(invoke: Invoke) -> None:
    for command in ("status", "score"):
        result = invoke("bench", command, "nowhere")
        assert result.stderr == (
            "error: 'nowhere' is no run folder: it has no manifest.json; make one: undrift bench run\n"
        )


def test_bench_alone_is_its_help(invoke: Invoke) -> None:
    result = invoke("bench")
    assert result.exit_code == 0
    for command in ("run", "score", "status", "report", "compare", "doctor", "make-turns", "import"):
        assert f"\n  {command} " in result.stdout


def test_layers_are_measured_on_a_suite(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = open_suite(SuiteSpec(name="littleworld", variant="quick", limit=1, turns=3))
    geometry = ToyBackbone().geometry(case.original().size)
    masks = {task.target_prompt: case.mask(turn) for turn, task in enumerate(case.tasks, 1)}
    seen = {prompt: token_mask(mask, geometry) for prompt, mask in masks.items() if mask is not None}
    monkeypatch.setattr(execution, "load", lambda name, **options: Attending(seen))
    order = ("bench", "analyse-sites", "--suite", "quick", "--limit", "1", "--turns", "3", "--sigma", "0.5")
    value = parsed(invoke(*order, "--json"))
    rows = {row["site"]: row for row in value["sites"]}
    assert list(rows) == ["double.0", "double.1", "cross.0", "together", "whole picture"]
    assert value["turns"] + value["left_out"] == 3
    assert rows["double.0"]["overlap_at_size"] == [1.0]
    assert rows["together"]["attention"] is None
    head, first, *_, last = invoke(*order).stdout.splitlines()
    assert head.split() == ["site", "maps", "attention", "activation", "overlap", "overlap", "at", "size"]
    assert first.split()[:2] == ["double.0", "yes"]
    assert first.split()[-1] == "1.000"
    assert last.startswith(f"means over {value['turns']} turns")


def test_a_model_without_such_layers_is_refused(invoke: Invoke) -> None:
    result = invoke("bench", "analyse-sites", "--suite", "quick", "--limit", "1")
    assert result.exit_code == 2
    assert "toy has no layer in which taps see the picture attend to the prompt" in result.stderr
