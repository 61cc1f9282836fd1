from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.layouts import sequences, write_pie_pp
from tests.bench.make_turns.support import entry, made
from undrift.bench.data.pie import TYPES, read_entries
from undrift.bench.data.prompts import broken_rules, count_words, read_file, read_folder
from undrift.bench.make_turns.contract import Proposal, complaints
from undrift.bench.make_turns.make import make_turns, read_pictures
from undrift.bench.make_turns.templates import MAX_TURNS, TEMPLATES, TemplateWriter, subject_of
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite
from undrift.errors import InputError

GOOD = [
    Proposal(2, "add a kite", "a red dog in a meadow with a kite", "with a kite"),
    Proposal(6, "paint the kite", "a red dog in a meadow with a kite that is blue", "blue"),
    Proposal(8, "go to the beach", "a red dog with a kite that is blue on a beach", "on a beach"),
]


def test_good_turns() -> None:
    assert complaints(entry(), GOOD, 3) == []


def test_a_delete_takes_its_phrase_away_and_no_more() -> None:
    gone = Proposal(3, "remove the kite", "a red dog in a meadow", "with a kite")
    assert complaints(entry(), [GOOD[0], gone], 2) == []
    half = replace(gone, caption="a red cat in a meadow")
    assert complaints(entry(), [GOOD[0], half], 2) == ["turn 3: the caption lost 'dog' of an earlier edit"]
    not_gone = replace(gone, caption="a red dog with a kite")
    assert complaints(entry(), [GOOD[0], not_gone], 2) == [
        "turn 3: the phrase 'with a kite' is also in the caption after the turn"
    ]


@pytest.mark.parametrize(
    ("place", "change", "said"),
    [
        (0, {"type": 0}, "turn 2: type 0, expected 1 to 9"),
        (0, {"type": 1}, "turn 2: type 1 was already used"),
        (1, {"type": 2}, "turn 3: type 2 was already used"),
        (0, {"caption": "a red dog in a meadow"}, "turn 2: the caption does not change"),
        (0, {"instruction": " "}, "turn 2: no instruction"),
        (0, {"caption": "with a kite dog " + "very " * 70}, "turn 2: the caption has 74 words, at most 70 fit"),
        (1, {"phrase": "green"}, "turn 3: the phrase 'green' is not in the caption after the turn"),
        (1, {"phrase": "red"}, "turn 3: the phrase 'red' is also in the caption before the turn"),
        (2, {"caption": "a red dog on a beach"}, "turn 4: the caption lost 'blue' of an earlier edit"),
        (2, {"caption": "a wolf with a kite, blue, on a beach"}, "turn 4: the caption lost 'dog' of an earlier edit"),
    ],
)
def test_what_is_wrong(place: int, change: dict[str, Any], said: str) -> None:
    turns = [replace(turn, **change) if n == place else turn for n, turn in enumerate(GOOD)]
    assert said in complaints(entry(), turns, 3)


def test_too_few() -> None:
    assert complaints(entry(), GOOD[:2], 3) == ["2 turns, expected 3"]


# templates


@given(st.integers(0, 10_000), st.sampled_from(sorted(TYPES)), st.integers(1, MAX_TURNS - 1))
def test_templates_keep_the_contract(seed: int, kind: int, count: int) -> None:
    kind = kind if count < MAX_TURNS - 1 or kind not in TEMPLATES else 1
    picture = entry(kind, f"{seed:012}", "a [dog] in a meadow")
    proposals, tries = TemplateWriter(seed).propose(picture, count)
    assert complaints(picture, proposals, count) == []
    assert (proposals, tries) == TemplateWriter(seed).propose(picture, count)
    places = [place for place, turn in enumerate(proposals) if turn.type in (8, 9)]
    assert 1 not in [after - before for before, after in zip(places, places[1:], strict=False)]


def test_templates_vary_with_seed_and_picture() -> None:
    captions = {
        TemplateWriter(seed).propose(entry(name=f"{number:012}"), 4)[0][-1].caption
        for seed in range(5)
        for number in range(5)
    }
    assert len(captions) > 20


def test_templates_leave_alone_what_the_caption_says() -> None:
    """A caption with a colour gets no second one."""
    for seed in range(50):
        proposals, _ = TemplateWriter(seed).propose(entry(), 4)
        assert 6 not in {turn.type for turn in proposals}


@pytest.mark.parametrize(
    ("caption", "subject"),
    [
        ("a slanted mountain bicycle on the road in front of a building", "bicycle"),
        ("a photo of a red cat wearing a hat", "cat"),
        ("A cat sitting next to a mirror", "cat"),
        ("the kitchen, with a stove", "kitchen"),
        ("two dogs", "dogs"),
        ("a painting", "main subject"),
        ("mountains at dawn", "main subject"),
    ],
)
def test_what_a_caption_is_about(caption: str, subject: str) -> None:
    assert subject_of(replace(entry(2), target_prompt=caption)) == subject


def test_an_edit_of_a_thing_is_about_that_thing() -> None:
    assert subject_of(entry(1, target="a red cat with a [dog]")) == "dog"
    assert subject_of(entry(8, target="a red cat with a [dog]")) == "cat"


def test_templates_have_an_end() -> None:
    with pytest.raises(InputError, match="templates write at most 7 turns a picture, 8 are asked for; choose fewer"):
        TemplateWriter().propose(entry(), 7)


def test_from_templates_to_the_suite(data: Path) -> None:
    """Every picture gets five turns that the suite runs, the first being the benchmark's own edit with its mask."""
    assert {state: len(ids) for state, ids in made(data, TemplateWriter(3)).items()} == {"written": 5}
    for prompts in read_folder(data / "MTC_prompts").values():
        assert broken_rules(prompts) == []
        assert prompts.generator is not None
        assert (prompts.generator.kind, prompts.generator.seed) == ("templates", 3)
    single = {case.id: case for case in open_suite(SuiteSpec(name="pie-bench", data=data))}
    cases = open_suite(SuiteSpec(name="pie-bench", variant="multi-turn", data=data))
    assert len(cases) == 5
    for case in cases:
        assert case.turns == 5
        assert case.tasks[0].target_prompt == single[case.id].tasks[0].target_prompt
        assert case.tasks[0].words == single[case.id].tasks[0].words
        assert case.mask(1) is not None
        assert all(case.mask(turn) is None for turn in range(2, 6))
        assert len({task.edit_type for task in case.tasks}) == 5
        assert all(count_words(task.target_prompt) <= 70 for task in case.tasks)


def test_pie_bench_pp_gets_prompts_too(tmp_path: Path) -> None:
    shown = write_pie_pp(tmp_path, sequences(2))
    assert made(tmp_path, TemplateWriter()) == {"written": sorted(shown)}


def test_what_is_done_is_left_alone(data: Path) -> None:
    first = made(data, TemplateWriter())["written"]
    files = {name: data / "MTC_prompts" / name / f"{name}.yaml" for name in first}
    before = {name: file.stat().st_mtime_ns for name, file in files.items()}
    files[first[0]].unlink()
    assert made(data, TemplateWriter()) == {"written": first[:1], "there": first[1:]}
    assert all(files[name].stat().st_mtime_ns == before[name] for name in first[1:])


def test_prompts_of_two_generators_are_not_mixed(data: Path) -> None:
    made(data, TemplateWriter(0))
    for writer, turns in ((TemplateWriter(1), 5), (TemplateWriter(0), 4)):
        with pytest.raises(
            InputError, match=r"was made in another way or by hand; name another folder with --output"
        ):
            made(data, writer, turns)


def test_no_folder_and_too_few_turns(tmp_path: Path, data: Path) -> None:
    with pytest.raises(InputError, match=r"no folder .* expected PIE-Bench"):
        read_pictures(tmp_path / "gone")
    with pytest.raises(InputError, match="1 turns are PIE-Bench as it is, choose 2 or more"):
        made(data, TemplateWriter(), turns=1)


def test_an_edit_that_changes_no_caption_is_dropped(tmp_path: Path) -> None:
    """Such records would make a turn that asks for nothing."""
    same = replace(entry(), source_prompt="a red dog in a meadow")
    (done,) = make_turns([same], tmp_path, TemplateWriter(), 3)
    assert (done.state, done.why) == ("dropped", "round 1 changes nothing")


def test_a_file_by_hand_is_kept(data: Path) -> None:
    name = read_entries(data)[0].id
    made(data, TemplateWriter())
    file = data / "MTC_prompts" / name / f"{name}.yaml"
    file.write_text(file.read_text().replace("generator:", "generator_was:"))
    assert read_file(file).generator is None
    with pytest.raises(InputError, match="by hand"):
        made(data, TemplateWriter())
