"""A run judged by a scripted model: what it is asked, what rates its answers give, and what is never asked twice."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.support.bench_runs import write_run
from tests.support.language_model import Reply, Scripted, scripted
from undrift.bench.judging.questions import FrameAnswer, TurnAnswer, read_answer
from undrift.bench.judging.verdicts import Verdict
from undrift.bench.records import RunFolder
from undrift.bench.suites.registry import open_suite
from undrift.cli.main import cli
from undrift.pictures import read_picture

GOOD, BAD = {"follows": 9, "consistent": 7}, {"follows": 10, "consistent": 6}
SOUND, BROKEN = {"lost": 0, "corrupted": 1}, {"lost": 1, "corrupted": 1}


def said(*answers: dict[str, int]) -> list[str]:
    return [json.dumps({"why": "as seen", **each}) for each in answers]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """One case of three turns."""
    return write_run(tmp_path / "run", {"mine": {"edit-score": [[0.5] * 3]}})


def judged(run: RunFolder, script: Scripted, *options: str) -> Result:
    arguments = ["bench", "judge", str(run.path), "--llm", script.url, "--llm-model", "eyes", "--workers", "1"]
    return CliRunner().invoke(cli, [*arguments, *options], prog_name="undrift")


def parsed(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def parts(request: dict[str, Any]) -> tuple[str, list[Image.Image]]:
    """The text and the pictures of a question."""
    text, *pictures = request["messages"][1]["content"]
    found = [
        read_picture(base64.b64decode(each["image_url"]["url"].removeprefix("data:image/png;base64,")))
        for each in pictures
    ]
    return text["text"], found


def test_both_passes_are_asked_with_the_session_so_far(run: RunFolder) -> None:
    (case,) = open_suite(run.manifest().suite)
    with scripted(*said(GOOD, GOOD, GOOD, SOUND, SOUND, SOUND)) as script:
        told = parsed(judged(run, script, "--json"))
    assert len(script.requests) == 6
    for turn, request in enumerate(script.requests[:3], 1):
        text, pictures = parts(request)
        assert text.splitlines() == [f"Turn {k}: {task.instruction}" for k, task in enumerate(case.tasks[:turn], 1)]
        assert len(pictures) == turn + 1
        assert np.array_equal(np.asarray(pictures[0]), np.asarray(case.original()))
    for turn, request in enumerate(script.requests[3:], 1):
        text, pictures = parts(request)
        assert len(text.splitlines()) == turn
        assert np.array_equal(np.asarray(pictures[0]), np.asarray(case.original()))
        assert np.array_equal(np.asarray(pictures[1]), np.asarray(case.truth(turn)))
    assert told["rates"]["mine"]["3"] == {
        "success": {"mean": 100.0, "low": None, "high": None, "cases": 1},
        "collapsed": {"mean": 0.0, "low": None, "high": None, "cases": 1},
    }
    assert told["spent"] == {"requests": 6, "read": 0, "written": 0, "cost": None}


def test_success_stops_at_the_first_failure_and_frames_are_looked_at_all_the_same(run: RunFolder) -> None:
    with scripted(*said(GOOD, BAD, SOUND, BROKEN, BROKEN)) as script:
        told = parsed(judged(run, script, "--json"))
    assert len(script.requests) == 5
    assert told["rates"]["mine"]["3"]["success"]["mean"] == 0.0
    assert told["rates"]["mine"]["3"]["collapsed"]["mean"] == 100.0


def test_nothing_is_asked_twice(run: RunFolder) -> None:
    with scripted(*said(GOOD, GOOD, GOOD, SOUND, SOUND), Reply(status=403)) as script:
        stopped = judged(run, script)
    assert stopped.exit_code == 2
    assert "the judge 'eyes': its server answers 403" in stopped.stderr
    with scripted(*said(BROKEN)) as script:
        again = judged(run, script)
        assert "at most 1 answers of eyes are needed" in again.stderr
        assert judged(run, script).exit_code == 0
    assert len(script.requests) == 1
    # Other pictures are judged anew.
    records = [record.model_copy(update={"image_hash": "new"}) for record in run.records("mine", "lw-000")]
    run.write_records("mine", "lw-000", records)
    with scripted(*said(GOOD, GOOD, GOOD, SOUND, SOUND, SOUND)) as script:
        judged(run, script)
    assert len(script.requests) == 6


def test_a_judge_that_is_out_is_no_bad_editor(run: RunFolder) -> None:
    with scripted("no idea", "no idea", "no idea") as script:
        result = judged(run, script)
    assert result.exit_code == 1
    assert "mine, 0 cases" in result.stdout
    assert "success -, collapsed -" in result.stdout
    assert "mine, lw-000: not judged, no answer that can be read in 3 tries: the answer is no JSON" in result.stdout


def test_busy_servers_are_asked_again_and_the_cost_is_printed(run: RunFolder) -> None:
    def reply(answer: str) -> Reply:
        choice = {"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020}
        return Reply(body=json.dumps({"choices": [choice], "usage": usage}).encode())

    answers = [reply(each) for each in said(GOOD, GOOD, GOOD, SOUND, SOUND, SOUND)]
    with scripted(Reply(status=429, retry_after="0"), *answers) as script:
        result = judged(run, script, "--price", "2.5", "10")
    assert result.exit_code == 0
    # 7 requests; 6 x 1000 x 2.5 / 1e6 + 6 x 20 x 10 / 1e6
    assert "7 requests, 6000 tokens read and 120 written, 0.02 at the price given" in result.stdout


def test_what_is_refused(run: RunFolder, tmp_path: Path) -> None:
    with scripted("") as script:
        unknown = judged(run, script, "--methods", "other")
        assert "no method 'other' in" in unknown.stderr
        part = write_run(tmp_path / "part", {"a": {"m": [[1.0, 1.0]]}}, failed={("a", "lw-000", 2): "broke"})
        assert "lacks turn 2 of case lw-000 by a: repeat its command to go on" in judged(part, script).stderr
    assert not script.requests


@pytest.mark.parametrize(
    ("broken", "collapsed"),
    [([], [0, 0, 0, 0]), ([2], [0, 0, 0, 0]), ([2, 4], [0, 0, 0, 0]), ([2, 3], [0, 1, 1, 1]), ([3, 4], [0, 0, 1, 1])],
)
def test_collapse_is_two_broken_frames_in_a_row(broken: list[int], collapsed: list[int]) -> None:
    frames = {turn: FrameAnswer(lost=2 * (turn in broken), corrupted=0) for turn in range(1, 5)}
    verdict = Verdict(model="eyes", frames=frames)
    assert [verdict.collapsed(turn) for turn in range(1, 5)] == [bool(each) for each in collapsed]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("words alone", "the answer is no JSON"),
        ('{"follows": 11, "consistent": 0}', "follows"),
        ('{"follows": 5}', "consistent"),
    ],
)
def test_answers_that_cannot_be_read(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_answer(text, TurnAnswer)


def test_an_answer_may_stand_in_a_fence() -> None:
    assert read_answer('```json\n{"follows": 7, "consistent": 7}\n```', TurnAnswer).succeeded
    assert not read_answer('{"follows": 10, "consistent": 6}', TurnAnswer).succeeded


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("lme-bench", ["lw-000/source.png", "lw-000/turn1.png", "lw-000/turn2.png", "lw-000/turn3.png"]),
        (
            "edival",
            ["multipass/lw-000_input_raw.png", *(f"multipass/lw-000_input_raw_turn_{k}.png" for k in (1, 2, 3))],
        ),
        (None, [f"lw-000/{turn}.png" for turn in range(4)]),
    ],
)
def test_export(run: RunFolder, tmp_path: Path, layout: str | None, names: list[str]) -> None:
    extra = () if layout is None else ("--layout", layout)
    result = CliRunner().invoke(cli, ["bench", "export", f"{run.path}:mine", "-o", str(tmp_path / "out"), *extra])
    assert result.exit_code == 0, result.output
    (case,) = open_suite(run.manifest().suite)
    for turn, name in enumerate(names):
        with Image.open(tmp_path / "out" / name) as picture:
            assert np.array_equal(np.asarray(picture.convert("RGB")), np.asarray(case.truth(turn)))
    assert sum(path.is_file() for path in (tmp_path / "out").rglob("*")) == len(names)


def test_an_export_that_is_not_complete_leaves_nothing(run: RunFolder, tmp_path: Path) -> None:
    run.write_records("mine", "lw-000", run.records("mine", "lw-000")[:1])
    for name, message in (
        (f"{run.path}:mine", "lacks turn 2 of case lw-000 by mine"),
        (f"{run.path}:other", "no method of the run 'other': known are mine"),
        ("run", "'run' names no method: expected RUN:LABEL"),
    ):
        result = CliRunner().invoke(cli, ["bench", "export", name, "-o", str(tmp_path / "out")])
        assert result.exit_code == 2
        assert message in result.stderr
    assert not (tmp_path / "out").exists()
