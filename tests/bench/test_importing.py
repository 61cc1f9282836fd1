from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.bench.layouts import sequences, write_pie
from undrift.bench.case import Case
from undrift.bench.data.pie import SIZE
from undrift.bench.importing import find_problems, import_pictures
from undrift.bench.metrics import registry
from undrift.bench.records import RunFolder
from undrift.bench.runner.scoring import score
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite
from undrift.errors import InputError
from undrift.files import sha256
from undrift.pictures import read_picture

QUICK = {"name": "littleworld", "variant": "quick", "limit": 2, "turns": 3}


def described(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    said = {"suite": QUICK, "label": "rival", "method": "Rival 1.0", "params": {"guidance": 7}, **changes}
    (folder / "pictures.json").write_text(json.dumps(said))
    return folder


def cases() -> list[Case]:
    return list(open_suite(SuiteSpec.model_validate(QUICK)))


@pytest.fixture
def rival(tmp_path: Path) -> Path:
    """A system that does everything right, and saves its pictures its own way."""
    folder = described(tmp_path / "rival", pictures="out/{case}_t{turn:02}.png")
    (folder / "out").mkdir()
    for case in cases():
        for turn in range(1, case.turns + 1):
            truth = case.truth(turn)
            assert truth is not None
            truth.save(folder / "out" / f"{case.id}_t{turn:02}.png")
    return folder


def test_the_pictures_become_a_run(rival: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    imported = import_pictures(rival, run.path)
    assert (imported.taken, imported.left_out, imported.problems) == (6, 0, ())
    manifest = run.manifest()
    assert manifest.suite == SuiteSpec.model_validate(QUICK)
    (method,) = manifest.methods
    assert (method.label, method.method, method.preset, method.params) == (
        "rival",
        "Rival 1.0",
        "imported",
        {"guidance": 7},
    )
    for case in cases():
        records = run.records("rival", case.id)
        assert [(r.turn, r.error, r.edit_type, r.target_prompt) for r in records] == [
            (turn, None, task.edit_type, task.target_prompt) for turn, task in enumerate(case.tasks, 1)
        ]
        for record in records:
            file = run.folder("rival", case.id) / str(record.image)
            assert sha256(file.read_bytes()) == record.image_hash
            truth = case.truth(record.turn)
            assert truth is not None
            assert np.array_equal(np.asarray(read_picture(file)), np.asarray(truth))


def test_an_imported_run_is_scored_as_any_other(rival: Path, tmp_path: Path) -> None:
    """Pictures that are the truth are edits that happened, and drift nowhere."""
    run = RunFolder(tmp_path / "run")
    import_pictures(rival, run.path)
    metrics = [registry.get(name) for name in ("edit-score", "edit-success", "freeze-rate")]
    assert score(run, ["rival"], cases(), metrics) == {}
    for case in cases():
        scores = run.scores("rival", case.id)
        assert sorted(scores) == [1, 2, 3]
        for line in scores.values():
            assert line.values["edit-score"] == pytest.approx(1.0)
            assert line.values["freeze-rate"] == 0.0


def test_a_bad_picture_is_one_recorded_error(rival: Path, tmp_path: Path) -> None:
    first, second = (case.id for case in cases())
    Image.new("RGB", (100, 90)).save(rival / "out" / f"{first}_t02.png")
    (rival / "out" / f"{first}_t03.png").write_bytes(b"not a picture")
    (rival / "out" / f"{second}_t01.png").unlink()
    run = RunFolder(tmp_path / "run")
    imported = import_pictures(rival, run.path)
    assert (imported.taken, imported.left_out) == (1, 2)
    assert [(problem.case, problem.turn) for problem in imported.problems] == [(first, 2), (first, 3), (second, 1)]
    assert imported.problems == tuple(find_problems(rival)[1])
    assert "has 100x90 pixels, the original has 128x128: save it unresized" in imported.problems[0].why
    assert [record.error is None for record in run.records("rival", first)] == [True, False]
    (failed,) = run.records("rival", second)
    assert failed.error == imported.problems[2].why
    assert "no picture at" in failed.error


def test_strips_of_pnp_inversion(tmp_path: Path) -> None:
    """text | source | reconstruction | edit, one file per picture, in the folders of the benchmark."""
    shown = write_pie(tmp_path / "data", sequences(2))
    folder = described(
        tmp_path / "rival",
        suite={"name": "pie-bench", "data": "../data"},
        pictures="annotation_images/**/{case}.jpg",
        strip=True,
    )
    edits = {name: sequence.picture(1, SIZE) for name, sequence in shown.items()}
    for name, edit in edits.items():
        strip = Image.new("RGB", (4 * SIZE, SIZE), "white")
        for place, part in enumerate((Image.new("RGB", (SIZE, SIZE), "gray"), shown[name].picture(0, SIZE), edit), 1):
            strip.paste(part, (place * SIZE, 0))
        file = folder / "annotation_images" / f"{name[0]}_type" / f"{name}.jpg"
        file.parent.mkdir(parents=True)
        strip.save(file, "PNG")
    run = RunFolder(tmp_path / "run")
    assert import_pictures(folder, run.path).problems == ()
    assert run.manifest().suite.data == (tmp_path / "data").resolve()
    for name, edit in edits.items():
        assert np.array_equal(np.asarray(read_picture(run.folder("rival", name) / "1.png")), np.asarray(edit))


def test_a_strip_has_to_lie(tmp_path: Path) -> None:
    folder = described(tmp_path / "rival", suite={**QUICK, "limit": 1, "turns": 1}, pictures="{case}.png", strip=True)
    Image.new("RGB", (128, 512)).save(folder / f"{cases()[0].id}.png")
    (problem,) = import_pictures(folder, tmp_path / "run").problems
    assert problem.why == "the strip has 128x512 pixels, expected squares side by side"


def test_wildcards_have_to_match_one_file(tmp_path: Path) -> None:
    folder = described(tmp_path / "rival", suite={**QUICK, "limit": 1, "turns": 1}, pictures="**/{case}.png")
    (problem,) = import_pictures(folder, tmp_path / "none").problems
    assert problem.why.startswith(f"0 files are named **/{problem.case}.png in")


def test_nothing_is_overwritten_or_left_half_done(rival: Path, tmp_path: Path) -> None:
    import_pictures(rival, tmp_path / "run")
    before = sorted((tmp_path / "run").rglob("*"))
    with pytest.raises(InputError, match=r"run' exists already; name another folder with --output"):
        import_pictures(rival, tmp_path / "run")
    assert sorted((tmp_path / "run").rglob("*")) == before
    assert not (tmp_path / "run.partial").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": "a/b"}, "label: string should match pattern"),
        ({"label": ".."}, "label: string should match pattern"),
        ({"pictures": "out.png"}, "'out.png' names no file of each case and turn"),
        ({"pictures": "{case}/{round}.png"}, "names no file of each case and turn"),
        ({"pictures": "../{case}.png"}, "names no file of each case and turn"),
        ({"pictures": "{turn}.png"}, "names no file of each case and turn"),
        ({"pictures": "{case}.png"}, "pictures has no {turn}, but the suite has several turns a case"),
        ({"size": 5}, "size: extra inputs are not permitted"),
        ({"suite": {"name": "nothing"}}, "no suite 'nothing'"),
    ],
)
def test_bad_descriptions(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    folder = described(tmp_path / "rival", **changes)
    with pytest.raises(InputError) as caught:
        import_pictures(folder, tmp_path / "run")
    assert said in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_no_description(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no pictures.json, which says what the pictures are: see docs/data.md"):
        import_pictures(tmp_path, tmp_path / "run")
