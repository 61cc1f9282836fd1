"""Data that is right gets no complaint; each thing that is wrong gets its line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.bench.layouts import (
    magicbrush_rows,
    pie_pp_row,
    png,
    sequences,
    write_edival,
    write_lme,
    write_mse,
    write_pie,
    write_pie_pp,
    write_rows,
)
from undrift.bench.data.pie import COUNTS, MAPPING, PICTURES, SIZE, read_entries, type_folder
from undrift.bench.data.prompts import read_file
from undrift.bench.doctor.examine import examine
from undrift.bench.make_turns.make import make_turns
from undrift.bench.make_turns.templates import TemplateWriter
from undrift.errors import InputError

Record = dict[str, Any]
Break = Callable[[Path, str, Record], None]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PIE-Bench with five pictures and their multi-turn prompts."""
    folder = tmp_path_factory.mktemp("healthy") / "data"
    write_pie(folder, sequences(5))
    list(make_turns(read_entries(folder), folder / "MTC_prompts", TemplateWriter(), 4))
    return folder


@pytest.fixture
def data(healthy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(healthy, tmp_path / "data"))


def lines(path: Path, whole: bool = False) -> list[str]:
    return [str(finding) for finding in examine(path, whole).findings]


def test_healthy_data(data: Path) -> None:
    health = examine(data, whole=False)
    assert (health.layout, health.checked, health.findings) == (
        "pie-bench",
        "5 pictures and prompts of 5 pictures",
        (),
    )
    assert examine(data / "MTC_prompts").layout == "multi-turn prompts"
    assert lines(data / "MTC_prompts") == []


def changed(**fields: Any) -> Break:
    def apply(folder: Path, name: str, record: Record) -> None:
        record.update(fields)

    return apply


def picture(write: Callable[[Path], object]) -> Break:
    def apply(folder: Path, name: str, record: Record) -> None:
        write(folder / PICTURES / record["image_path"])

    return apply


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            changed(editing_type_id="7"),
            "type 7 (change attribute material), but its id begins with 1; correct the type",
        ),
        (changed(editing_type_id="7"), "type 7 (change attribute material), but image_path is 1_change_object_80/"),
        (
            changed(editing_type_id="10"),
            "editing_type_id: input should be less than or equal to 9; correct the record",
        ),
        (changed(mask=[1, 2, 3]), "mask: 3 numbers, expected pairs of start and length"),
        (changed(mask=[SIZE * SIZE - 5, 6]), "mask run 262139 6 is out of range, the picture has 262144 pixels"),
        (changed(mask=[-1, 6]), "mask: -1 is negative, expected pairs of start and length"),
        (changed(mask=[]), "mask is empty, only the border counts as edited"),
        (changed(blended_word="cat"), "blended_word is 'cat', expected two words or none"),
        (changed(blended_word="unicorn dragon"), "blend word 'unicorn' is not in the source prompt"),
        (changed(blended_word="unicorn dragon"), "blend word 'dragon' is not in the target prompt"),
        (changed(editing_prompt="a [cat"), "editing_prompt has unmatched brackets: a [cat; close every [ with one ]"),
        (
            changed(original_prompt="a [cat]", editing_prompt="a cat", blended_word=""),
            "both prompts are the same: a cat",
        ),
        (changed(editing_prompt=""), "editing_prompt: string should have at least 1 character"),
        (picture(Path.unlink), "no picture at"),
        (
            picture(lambda file: Image.new("RGB", (640, 480)).save(file)),
            "has 640x480 pixels, PIE-Bench pictures have",
        ),
        (
            picture(lambda file: file.write_bytes(b"")),
            "is empty (0 bytes), expected a picture; unpack the original zip",
        ),
        (
            picture(lambda file: Image.new("RGB", (9, 9)).save(file.with_name("x.jpg"))),
            "x.jpg: no record in mapping_file",
        ),
    ],
)
def test_what_is_wrong_with_a_picture(data: Path, broken: Break, said: str) -> None:
    mapping = json.loads((data / MAPPING).read_text())
    name = next(name for name in mapping if name[0] == "1")
    broken(data, name, mapping[name])
    (data / MAPPING).write_text(json.dumps(mapping))
    found = lines(data)
    assert [line for line in found if said in line], found
    assert all(name in line or "x.jpg" in line or "MTC_prompts" in line for line in found)


def test_several_things_are_all_said(data: Path) -> None:
    mapping = json.loads((data / MAPPING).read_text())
    for record in mapping.values():
        record["blended_word"] = "a b c"
        record["mask"] = []
    (data / MAPPING).write_text(json.dumps(mapping))
    assert len(lines(data)) == 10


def test_other_ids(data: Path) -> None:
    mapping = json.loads((data / MAPPING).read_text())
    mapping["12"] = mapping.pop(next(iter(mapping)))
    (data / MAPPING).write_text(json.dumps(mapping))
    assert any("12: id '12' is not twelve digits; restore the original id" in line for line in lines(data))


def test_what_a_whole_data_set_would_have(data: Path) -> None:
    found = lines(data, whole=True)
    assert "0_random_140: none of its 140 pictures is there; get the whole data set, or pass --subset" in found
    said = "1_change_object_80: 1 of 10 pictures that are artificial, animal (ids 111...); get the whole data set"
    assert any(line.startswith(said) for line in found)


@pytest.mark.slow
def test_a_whole_data_set_is_enough(tmp_path: Path) -> None:
    """700 records in the published numbers, and one gone."""
    write_pie(tmp_path, sequences(1))
    picture = next((tmp_path / PICTURES).rglob("*.jpg"))
    record = next(iter(json.loads((tmp_path / MAPPING).read_text()).values()))
    mapping = {}
    for kind, count in COUNTS.items():
        groups = [""] if kind == 0 else [a + b for a in "12" for b in "1234"]
        for group in groups:
            for number in range(count // len(groups)):
                name = f"{number:012}" if kind == 0 else f"{kind}{group}{number:09}"
                path = f"{type_folder(kind)}/{name}.jpg"
                mapping[name] = {**record, "image_path": path, "editing_type_id": str(kind)}
                file = tmp_path / PICTURES / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.hardlink_to(picture)
    picture.unlink()
    (tmp_path / MAPPING).write_text(json.dumps(mapping))
    assert len(mapping) == 700
    assert lines(tmp_path, whole=True) == []
    for name in ("000000000139", "914000000003"):
        (tmp_path / PICTURES / mapping.pop(name)["image_path"]).unlink()
    (tmp_path / MAPPING).write_text(json.dumps(mapping))
    assert lines(tmp_path, whole=True) == [
        "000000000139: missing; get the whole data set, or pass --subset",
        "9_change_style_80: 9 of 10 pictures that are artificial, outdoor (ids 914...); "
        "get the whole data set, or pass --subset",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text + "\n - [", "is no YAML"),
        (lambda text: text.replace("Round 2:", "Round 1:"), "the key 'Round 1' occurs 2 times"),
        (
            lambda text: text.replace("editing_type_id: '", "editing_type_id: '1"),
            "input should be less than or equal to 9",
        ),
        (
            lambda text: text.replace("original_prompt: ", "original_prompt: not "),
            "source_prompt of round 1 is not the",
        ),
    ],
)
def test_bad_prompts(data: Path, change: Callable[[str], str], said: str) -> None:
    file = next((data / "MTC_prompts").glob("2*/*.yaml"))
    file.write_text(change(file.read_text()))
    (line,) = lines(data)
    assert line.startswith(f"{file.parent.name}/{file.name}: ")
    assert said in line
    assert line.endswith("; write it again with undrift bench make-turns, or correct it")


def rewritten(file: Path, **changes: Any) -> None:
    """Another round for each, without what the writer checks."""
    prompts = read_file(file)
    said = [
        f"  Round {number}: {{editing_instruction: '{turn.target_prompt}', "
        f"editing_type_id: {changes.get('type', turn.type)}}}\n"
        for number, turn in enumerate(prompts.rounds[: changes.get("rounds", 4)], 1)
    ]
    path, prompt = changes.get("image_path", ""), changes.get("prompt", prompts.original_prompt)
    file.write_text(f"image_path: {path}\noriginal_prompt: {prompt}\ninstructions:\n{''.join(said)}")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type": 5}, "type 5 occurs 4 times, expected once"),
        ({"rounds": 3}, "3 rounds, most others have 4"),
        ({"image_path": "0_random_140/000000000000.jpg"}, "image_path is that of another picture: 0_random_140/0000"),
        ({"prompt": "a bus"}, "original_prompt is not that of the picture: "),
    ],
)
def test_prompts_against_rules_and_pictures(data: Path, changes: dict[str, Any], said: str) -> None:
    file = next((data / "MTC_prompts").glob("2*/*.yaml"))
    rewritten(file, **changes)
    (line,) = lines(data)
    assert said in line


def test_prompts_in_wrong_places(data: Path) -> None:
    folder = data / "MTC_prompts"
    file = next(folder.glob("2*/*.yaml"))
    shutil.copytree(file.parent, folder / "999")
    (folder / "998").mkdir()
    found = lines(data)
    assert f"999/{file.name}: there is no picture 999; remove the folder" in found
    assert f"999/{file.name}: the file is not named like its folder, whose name counts; name it 999.yaml" in found
    assert "998: no 998.yaml in it; remove the folder, or write the prompts" in found
    assert len(found) == 3


# parquet files


def test_healthy_tables(tmp_path: Path) -> None:
    write_pie_pp(tmp_path / "pp", sequences(5))
    write_mse(tmp_path / "mse", sequences(2, turns=5))
    write_rows(tmp_path / "mb" / "data" / "dev-0.parquet", magicbrush_rows(sequences(1, turns=3)[0], "7"))
    for name, layout in (("pp", "pie-bench-pp"), ("mse", "mse-bench"), ("mb", "magicbrush")):
        assert examine(tmp_path / name, whole=False).layout == layout
        assert lines(tmp_path / name) == []
    assert lines(tmp_path / "mse", whole=True) == [
        "MSE-Bench: 2 sessions, expected 100; get the whole data set, or pass --subset"
    ]
    assert lines(tmp_path / "mb", whole=True) == [
        "dev: 1 sessions, expected 266; get the whole data set, or pass --subset"
    ]


def test_instructions_beside_pictures(tmp_path: Path) -> None:
    write_lme(tmp_path / "lme", sequences(2, turns=3))
    write_edival(tmp_path / "edival", sequences(2, turns=3))
    for name, layout in (("lme", "lme-bench"), ("edival", "edival")):
        assert examine(tmp_path / name, whole=False).layout == layout
        assert lines(tmp_path / name) == []
    assert lines(tmp_path / "edival", whole=True) == [
        "edival: 2 sessions, expected 572; get the whole data set, or pass --subset"
    ]
    assert "0001: 3 turns, expected 10; get the whole data set, or pass --subset" in lines(
        tmp_path / "lme", whole=True
    )
    Image.new("RGB", (8, 4)).save(tmp_path / "lme" / "images" / "0001.png")
    (tmp_path / "lme" / "images" / "0002.png").write_bytes(b"")
    small, empty = lines(tmp_path / "lme")
    assert small == "0001: its picture has 8x4 pixels, expected 1024x1024; get the file again"
    assert empty.startswith("0002: ")
    assert "0002.png" in empty
    (tmp_path / "lme" / "lme_bench.json").write_text("{")
    assert len(lines(tmp_path / "lme")) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mask": "1 2 3"}, "V1-00000-of-00001.parquet, row 0: mask: 3 numbers, expected pairs"),
        ({"mask": "1 x"}, "mask.1: input should be a valid integer"),
        ({"mask": "262143 2"}, "211000000000: mask run 262143 2 is out of range"),
        ({"edit_action": "{"}, "edit_action: no JSON: {"),
        ({"id": "311000000000"}, "311000000000: type 2 (add object), but its id begins with 3"),
        ({"blended_words": '["cat"]'}, "blended_word is 'cat', expected two words or none"),
        ({"target_prompt": "a [[cat]"}, "target_prompt has unmatched brackets"),
        ({"image": png(Image.new("RGB", (64, 32)))}, "image has 64x32 pixels, expected 512x512; get the file again"),
        ({"image": {"bytes": b"", "path": None}}, "image: no picture in column image"),
    ],
)
def test_what_is_wrong_with_a_row(tmp_path: Path, changes: Record, said: str) -> None:
    add = next(sequence for sequence in sequences(5) if sequence.edits[0].type == "add")
    row = pie_pp_row("211000000000", 2, add)
    write_rows(tmp_path / type_folder(2) / "V1-00000-of-00001.parquet", [{**row, **changes}])
    found = lines(tmp_path)
    assert [line for line in found if said in line], found


def test_twice_the_same_row(tmp_path: Path) -> None:
    add = next(sequence for sequence in sequences(5) if sequence.edits[0].type == "add")
    row = pie_pp_row("211000000000", 2, add)
    write_rows(tmp_path / type_folder(2) / "V1-00000-of-00001.parquet", [row, row])
    assert lines(tmp_path) == ["211000000000: id occurs 2 times; remove all but one"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"turn_index": 3}, "7: turns [2, 3], expected 1 to 2"),
        ({"turn_index": 0}, "turn_index: input should be greater than or equal to 1"),
        ({"instruction": ""}, "instruction: string should have at least 1 character"),
        ({"target_img": {"bytes": b"", "path": None}}, "target_img: no picture in column target_img"),
        ({"mask_img": png(Image.new("RGB", (256, 256)))}, "mask_img has no clear or white region"),
        ({"source_img": {"bytes": b"GIF", "path": ""}}, "source_img: the picture is not a picture that can be read"),
    ],
)
def test_what_is_wrong_with_a_session(tmp_path: Path, changes: Record, said: str) -> None:
    rows = magicbrush_rows(sequences(1, turns=2)[0], "7")
    write_rows(tmp_path / "dev-0.parquet", [{**rows[0], **changes}, rows[1]])
    found = lines(tmp_path)
    assert [line for line in found if said in line], found


def test_a_target_of_another_size_is_no_fault_of_the_data(tmp_path: Path) -> None:
    rows = magicbrush_rows(sequences(1, turns=1)[0], "7")
    write_rows(tmp_path / "dev-0.parquet", [{**rows[0], "target_img": png(Image.new("RGB", (64, 32)))}])
    assert not [line for line in lines(tmp_path) if "target_img" in line]


def test_pictures_to_import(tmp_path: Path) -> None:
    suite = {"name": "littleworld", "variant": "quick", "limit": 1, "turns": 2}
    (tmp_path / "pictures.json").write_text(json.dumps({"suite": suite, "label": "rival"}))
    (tmp_path / "lw-000").mkdir()
    Image.new("RGB", (128, 128)).save(tmp_path / "lw-000" / "1.png")
    health = examine(tmp_path)
    assert health.layout == "pictures to import"
    (line,) = map(str, health.findings)
    assert line.startswith("lw-000, turn 2: no picture at")


def test_unknown_data(tmp_path: Path, data: Path) -> None:
    with pytest.raises(InputError, match="no data at"):
        examine(tmp_path / "gone")
    with pytest.raises(InputError, match=r"is no data, but '.*data' is pie-bench: name that"):
        examine(data.parent)
    with pytest.raises(InputError, match=r"is none of the known data: pie-bench, pie-bench-pp, .*; see docs/data.md"):
        examine(data / PICTURES / "1_change_object_80")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("original_prompt: ABC # DEF", "original_prompt ends before '# DEF', a comment to YAML"),
        ("original_prompt: ABC 🎩é  #1", "original_prompt ends before '#1', a comment to YAML"),
        ("\ufefforiginal_prompt: ABC # DEF", "original_prompt ends before '# DEF', a comment to YAML"),
        ("original_prompt: ABC # DEF\r", "original_prompt ends before '# DEF', a comment to YAML"),
        ("original_prompt: ABC\t# DEF", "original_prompt ends before '# DEF', a comment to YAML"),
        ("original_prompt: 'ABC # DEF'", None),
        ('original_prompt: "ABC # DEF"', None),
        ("original_prompt: ABC#DEF", None),
        ("original_prompt: |-\n  ABC # DEF", None),
        ("original_prompt: ABC\n# a comment of its own", None),
        ("original_prompt: ABC\nimage_path: x.jpg # where it is", None),
    ],
)
def test_prompts_that_yaml_cuts(tmp_path: Path, line: str, said: str | None) -> None:
    folder = tmp_path / "MTC_prompts"
    (folder / "000000000000").mkdir(parents=True)
    text = f"{line}\ninstructions:\n  Round 1: {{editing_instruction: a hat, editing_type_id: 4}}\n"
    (folder / "000000000000" / "000000000000.yaml").write_bytes(text.encode())
    found = [str(finding) for finding in examine(folder, whole=False).findings]
    cut = [one for one in found if "a comment to YAML" in one]
    where = "000000000000/000000000000.yaml, line 1"
    assert cut == (
        []
        if said is None
        else [f"{where}: {said}; put the prompt between quotes, or a line break before the comment"]
    )
