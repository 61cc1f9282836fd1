from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undrift.bench.data.pie import TYPES
from undrift.bench.data.prompts import (
    MAX_WORDS,
    Generator,
    MultiTurn,
    Round,
    broken_rules,
    count_words,
    read_file,
    read_folder,
    write_file,
)
from undrift.errors import InputError

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).map(str.strip).filter(bool)


@st.composite
def multi_turns(draw: st.DrawFn) -> MultiTurn:
    """Prompts that break no rule."""
    captions = draw(st.lists(words, min_size=2, max_size=10, unique=True))
    later = draw(st.permutations([number for number in TYPES if number]))
    types = [draw(st.sampled_from([0, later.pop()])), *later]
    optional = st.none() | words
    rounds = [
        Round(
            type=kind,
            source_prompt=old,
            target_prompt=new,
            instruction=draw(optional),
            blended_word=draw(optional),
            mask=draw(st.none() | st.lists(st.integers(0, 9), min_size=2, max_size=2)),
        )
        for kind, old, new in zip(types, captions, captions[1:], strict=False)
    ]
    generator = st.none() | st.builds(
        Generator, kind=words, seed=st.integers(), model=optional, prompt_sha=words, tries=st.integers(1, 3)
    )
    name = draw(st.from_regex(r"[0-9]{12}", fullmatch=True))
    return MultiTurn(
        id=name, image_path=draw(words), original_prompt=captions[0], rounds=tuple(rounds), generator=draw(generator)
    )


@pytest.mark.slow
@given(multi_turns())
@settings(max_examples=80)
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, prompts: MultiTurn) -> None:
    folder = tmp_path_factory.mktemp("prompts")
    assert read_file(write_file(folder, prompts)) == prompts
    assert read_folder(folder) == {prompts.id: prompts}


PAPER = """\
image_path: 0_random_140/000000000000.jpg
original_prompt: a slanted mountain bicycle on the road in front of a building
instructions:
  Round 1: {editing_instruction: a rusty bicycle, editing_type_id: '0'}
  Round 2: {editing_instruction: a rusty bicycle with a basket, editing_type_id: '4'}
  Round 10: {editing_instruction: a rusty wooden bicycle with a basket, editing_type_id: 7}
"""
AS_LIST = """\
- Round 10:
    {editing_instruction: a rusty wooden bicycle with a basket, editing_type_id: 7}
- Round 2:
    {editing_instruction: a rusty bicycle with a basket, editing_type_id: "4"}
- "|-- round_1":
    {editing_instruction: a rusty bicycle, editing_type_id: '0'}
"""


def written(folder: Path, text: str, name: str = "000000000000") -> Path:
    file = folder / name / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def in_list(items: str) -> str:
    return PAPER.split("  Round 1:")[0] + "".join(f"  {line}\n" for line in items.splitlines())


def test_the_papers_layout(tmp_path: Path) -> None:
    read = read_file(written(tmp_path, PAPER))
    assert (read.id, read.image_path) == ("000000000000", "0_random_140/000000000000.jpg")
    assert [(turn.type, turn.source_prompt, turn.target_prompt) for turn in read.rounds] == [
        (0, "a slanted mountain bicycle on the road in front of a building", "a rusty bicycle"),
        (4, "a rusty bicycle", "a rusty bicycle with a basket"),
        (7, "a rusty bicycle with a basket", "a rusty wooden bicycle with a basket"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        in_list(AS_LIST),
        "000000000000:\n" + "".join(f"  {line}\n" for line in PAPER.splitlines()),
        PAPER.replace("Round 1:", "'Round 1':").replace("'0'", "0"),
    ],
    ids=["list of one-key mappings, unsorted", "below an unquoted id", "quoted otherwise"],
)
def test_other_ways_to_write_it(tmp_path: Path, text: str) -> None:
    assert read_file(written(tmp_path / "other", text)) == read_file(written(tmp_path / "paper", PAPER))


def test_the_folder_says_which_picture(tmp_path: Path) -> None:
    """The paper's second example repeats the first picture's path under another id."""
    assert read_file(written(tmp_path, PAPER, "000000000001")).id == "000000000001"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is no YAML"),
        ("- a\n", "holds no mapping, expected image_path, original_prompt and instructions"),
        (PAPER.split("instructions")[0], "has no instructions, expected Round 1, Round 2"),
        (PAPER.replace("Round 2", "Round 1"), "the key 'Round 1' occurs 2 times"),
        (PAPER.replace("Round 2", "round 1"), "has round 1 twice"),
        (PAPER.replace("Round 2", "Turn 2"), "'Turn 2' is no round"),
        (PAPER.replace("'4'", "'12'"), "rounds.1.type: input should be less than or equal to 9"),
        (PAPER.replace("editing_type_id: '4'", "type: 4"), "rounds.1.type"),
        (PAPER.replace("original_prompt", "prompt"), "original_prompt: input should be a valid string"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_file(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"- y\n" * 120_000, b"[" + b"a: b," * 60_000 + b"]"])
def test_more_values_than_prompts_have(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "000000000000.yaml"
    file.write_bytes(text)
    with pytest.raises(InputError, match="it has more than 100000 values, expected the prompts of one picture"):
        read_file(file)


def test_captions_have_to_lead_on(tmp_path: Path) -> None:
    text = PAPER.replace("'4'", "'4', source_prompt: a bus")
    with pytest.raises(InputError, match="source_prompt of round 2 is not the caption that the round before it left"):
        read_file(written(tmp_path, text))


def test_no_prompts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected <id>/<id>.yaml; write some: undrift bench make-turns"):
        read_folder(tmp_path)


def turns(*rounds: tuple[int, str]) -> MultiTurn:
    captions = ["a", *(caption for _, caption in rounds)]
    return MultiTurn(
        id="000000000000",
        original_prompt="a",
        rounds=tuple(
            Round(type=kind, source_prompt=captions[k], target_prompt=caption)
            for k, (kind, caption) in enumerate(rounds)
        ),
    )


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        (turns((1, "b"), (1, "c")), "type 1 occurs 2 times, expected once"),
        (turns((1, "b"), (0, "c")), "round 2 is of type 0, which only round 1 can be"),
        (turns((1, "b"), (2, "b")), "round 2 changes nothing"),
        (turns((1, "b " * 71)), "the caption of round 1 has 71 words, at most 70 fit CLIP"),
    ],
)
def test_the_writer_keeps_the_rules(tmp_path: Path, prompts: MultiTurn, said: str) -> None:
    assert broken_rules(prompts) == [said]
    with pytest.raises(InputError, match=f"prompts of 000000000000 not written: {said}"):
        write_file(tmp_path, prompts)
    assert list(tmp_path.iterdir()) == []


def test_words_are_counted_with_punctuation() -> None:
    assert count_words("a cat, a dog") == 5
    assert not broken_rules(turns((1, "b " * MAX_WORDS)))
