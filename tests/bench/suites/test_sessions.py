"""Sequences drawn by LittleWorld, written as MSE-Bench and as MagicBrush, read back."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bench.layouts import magicbrush_rows, png, sequences, write_mse, write_rows
from undrift.bench.case import Case
from undrift.bench.data.parquet import ParquetFile
from undrift.bench.data.pie import SIZE
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.magicbrush import region
from undrift.bench.suites.registry import open_suite
from undrift.errors import InputError, PictureError


def opened(suite: str, data: Path, variant: str = "default") -> list[Case]:
    return list(open_suite(SuiteSpec(name=suite, variant=variant, data=data)))


def same(one: Image.Image | None, other: Image.Image) -> bool:
    return one is not None and np.array_equal(np.asarray(one), np.asarray(other))


def test_mse_bench(tmp_path: Path) -> None:
    drawn = sequences(5, turns=5)
    file = write_mse(tmp_path, drawn)
    cases = opened("mse-bench", tmp_path)
    assert [case.id for case in cases] == [f"mse-{n:03}" for n in range(5)]
    for case, sequence in zip(cases, drawn, strict=True):
        assert same(case.original(), sequence.picture(0, SIZE))
        so_far = [" ".join(sequence.captions[: turn + 1]) for turn in range(6)]
        assert [task.source_prompt for task in case.tasks] == so_far[:-1]
        assert [task.target_prompt for task in case.tasks] == so_far[1:]
        assert [task.edit_type for task in case.tasks] == [edit.type for edit in sequence.edits]
        assert [task.instruction for task in case.tasks] == [edit.label for edit in sequence.edits]
        assert case.mask(1) is None
        assert case.mask_since_original(5) is None
    assert [case.id for case in opened("mse-bench", file)] == [case.id for case in cases]
    for case, sequence in zip(opened("mse-bench", tmp_path, "captions"), drawn, strict=True):
        assert [task.source_prompt for task in case.tasks] == list(sequence.captions[:-1])
        assert [task.target_prompt for task in case.tasks] == list(sequence.captions[1:])


def test_magicbrush(tmp_path: Path) -> None:
    """Sessions are spread over row groups and files, and their rows are out of order."""
    drawn = dict(zip(("37777", "1675"), sequences(2, turns=3), strict=True))
    rows = [row for name, sequence in drawn.items() for row in magicbrush_rows(sequence, name)]
    mixed = [rows[place] for place in (5, 0, 3, 2, 4, 1)]
    write_rows(tmp_path / "data" / "dev-00000-of-00002-abc.parquet", mixed[:4], group=3)
    write_rows(tmp_path / "data" / "dev-00001-of-00002-def.parquet", mixed[4:])
    write_rows(tmp_path / "data" / "train-00000-of-00001.parquet", magicbrush_rows(drawn["1675"], "9"))
    cases = opened("magicbrush", tmp_path)
    assert [case.id for case in cases] == ["1675", "37777"]
    assert [case.id for case in opened("magicbrush", tmp_path, "train")] == ["9"]
    for case in cases:
        sequence = drawn[case.id]
        assert same(case.original(), sequence.picture(0, 256))
        for turn in (1, 2, 3):
            assert same(case.truth(turn), sequence.picture(turn, 256))
            mask = case.mask(turn)
            assert mask is not None
            assert np.array_equal(mask, sequence.mask(turn, 256))
        union = np.logical_or.reduce([sequence.mask(turn, 256) for turn in (1, 2, 3)])
        found = case.mask_since_original(3)
        assert found is not None
        assert np.array_equal(found, union)


def test_prompts_of_magicbrush(tmp_path: Path) -> None:
    sequence = sequences(1, turns=2)[0]
    write_rows(tmp_path / "data" / "dev-0.parquet", magicbrush_rows(sequence, "7"))
    one, two = (edit.label for edit in sequence.edits)
    tasks = opened("magicbrush", tmp_path)[0].tasks
    assert [task.source_prompt for task in tasks] == ["a photo", f"a photo, {one}"]
    assert [task.target_prompt for task in tasks] == [f"a photo, {one}", f"a photo, {one}, {two}"]
    (tmp_path / "captions.json").write_text(json.dumps({"7": sequence.captions}))
    tasks = opened("magicbrush", tmp_path)[0].tasks
    assert [task.target_prompt for task in tasks] == list(sequence.captions[1:])
    assert [task.instruction for task in tasks] == [one, two]
    (tmp_path / "captions.json").write_text(json.dumps({"7": ["a"]}))
    with pytest.raises(InputError, match=r"captions.json has 1 captions of 7, expected 3"):
        opened("magicbrush", tmp_path)
    for damaged in ("[]", "[" * 100_000):
        (tmp_path / "captions.json").write_text(damaged)
        with pytest.raises(InputError, match="is not an object of lists of captions by img_id"):
            opened("magicbrush", tmp_path)


def test_masks_that_lost_their_transparency_are_white() -> None:
    pixels = np.full((8, 8, 3), 40, dtype=np.uint8)
    pixels[2:4, 5:] = 255
    assert np.array_equal(region(png(Image.fromarray(pixels))["bytes"]), pixels[..., 0] == 255)


def test_a_missing_turn(tmp_path: Path) -> None:
    write_rows(tmp_path / "dev-0.parquet", magicbrush_rows(sequences(1, turns=3)[0], "7")[::2])
    with pytest.raises(InputError, match=r"picture 7 has the turns \[1, 3\], expected 1 to 2: get all files"):
        opened("magicbrush", tmp_path)


def test_targets_and_masks_of_another_size_are_fitted_with_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sequence = sequences(1)[0]
    rows = magicbrush_rows(sequence, "7")
    rows[0]["target_img"] = png(sequence.picture(1, 512))
    hole = Image.new("RGBA", (128, 64), (40, 50, 60, 255))
    hole.paste((0, 0, 0, 0), (32, 16, 64, 48))
    rows[0]["mask_img"] = png(hole)
    write_rows(tmp_path / "dev-0.parquet", rows)
    case = opened("magicbrush", tmp_path)[0]
    target, mask = case.truth(1), case.mask(1)
    assert target is not None
    assert np.abs(np.asarray(target, int) - np.asarray(sequence.picture(1, 256), int)).mean() < 3
    assert mask is not None
    wanted = np.zeros((256, 256), bool)
    wanted[64:192, 64:128] = True
    assert np.array_equal(mask, wanted)
    case.truth(1), case.mask(1)
    assert caplog.messages == [
        "target_img of 7, turn 1 is 512x512, resized to its original's 256x256",
        "mask_img of 7, turn 1 is 128x64, resized to its original's 256x256",
    ]


def test_pictures_may_lie_beside_the_table(tmp_path: Path) -> None:
    rows = magicbrush_rows(sequences(1)[0], "7")
    (tmp_path / "source.png").write_bytes(rows[0]["source_img"]["bytes"])
    rows[0]["source_img"] = {"bytes": None, "path": "source.png"}
    rows[0]["target_img"] = {"bytes": None, "path": "gone.png"}
    write_rows(tmp_path / "dev-0.parquet", rows)
    case = opened("magicbrush", tmp_path)[0]
    assert same(case.original(), sequences(1)[0].picture(0, 256))
    with pytest.raises(PictureError, match=r"no picture in column target_img of .* none at 'gone.png' beside it"):
        case.truth(1)


@pytest.mark.parametrize("name", ["../secret.png", "{folder}/secret.png", "link.png", "a\0b"])
def test_pictures_elsewhere_are_not_read(tmp_path: Path, name: str) -> None:
    rows = magicbrush_rows(sequences(1)[0], "7")
    (tmp_path / "secret.png").write_bytes(rows[0]["source_img"]["bytes"])
    data = tmp_path / "data"
    data.mkdir()
    (data / "link.png").symlink_to(tmp_path / "secret.png")
    rows[0]["target_img"] = {"bytes": None, "path": name.format(folder=tmp_path)}
    write_rows(data / "dev-0.parquet", rows)
    with pytest.raises(PictureError, match=r"no picture in column target_img of "):
        opened("magicbrush", data)[0].truth(1)


def test_wrong_columns(tmp_path: Path) -> None:
    write_rows(tmp_path / "data" / "train-0.parquet", magicbrush_rows(sequences(1)[0], "7"))
    with pytest.raises(InputError, match=r"lacks the column context; it has img_id, instruction"):
        opened("mse-bench", tmp_path)


def test_lists_of_different_lengths(tmp_path: Path) -> None:
    file = write_mse(tmp_path, sequences(1, turns=2))
    row = {**ParquetFile(file).rows(["index", "context", "description_source", "operation", "summary"])[0]}
    write_rows(file, [{**row, "description_target": ["a"], "image": png(Image.new("RGB", (8, 8)))}])
    with pytest.raises(InputError, match=r"row 0: 2 instructions, 1 captions and 2 operations, expected as many"):
        opened("mse-bench", tmp_path)


def test_no_parquet_file(tmp_path: Path) -> None:
    (tmp_path / "train-0.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="is no readable parquet file"):
        opened("mse-bench", tmp_path)
    (tmp_path / "train-0.parquet").unlink()
    with pytest.raises(InputError, match=r"no parquet file with MSE-Bench in .* expected data/train-\*.parquet"):
        opened("mse-bench", tmp_path)
    with pytest.raises(InputError, match=r"no MagicBrush in .* expected data/dev-\*.parquet"):
        opened("magicbrush", tmp_path)


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mse(tmp_path, sequences(1))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"reading parquet files needs pyarrow: pip install 'undrift\[bench\]'"):
        opened("mse-bench", tmp_path)
