"""How messages put what was given: short, in one line, in units that a reader takes in."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from undrift import wording
from undrift.errors import InputError
from undrift.methods import registry


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (4096, "4 KB"),
        (1536, "1.5 KB"),
        (2**20 - 1, "1 MB"),
        (32 * 2**20, "32 MB"),
        (33.5 * 2**30, "34 GB"),
        (2**60, "1048576 TB"),
    ],
)
def test_sizes(count: float, text: str) -> None:
    assert wording.size(count) == text


@pytest.mark.parametrize(
    "given", ["7" * 5000, "x" * 100_000, "a b " * 9000, "é" * 5000, "\n" * 5000 + "z"], ids=range(5)
)
def test_a_message_is_a_line_that_can_be_read(given: str) -> None:
    told = str(InputError(f"'{given}' is no turn, expected a number"))
    assert len(told) <= wording.LONGEST + 10
    assert "\n" not in told
    assert told.endswith("is no turn, expected a number")


def test_names_of_files_are_told_whole() -> None:
    path = "/".join(["n" * 255] * 3)
    assert str(InputError(f"no picture at '{path}'")) == f"no picture at '{path}'"


@pytest.mark.parametrize(
    "given",
    [10**5000, -(10**5000), "7" * 5000, "[" * 5000, [7] * 5000, {"a": 10**5000}],
    ids=["digits", "negative", "text", "nested", "list", "within"],
)
def test_parameters_nobody_reads(given: object) -> None:
    with pytest.raises(InputError) as caught:
        registry.get("multi_turn", overrides={"steps": given})
    assert str(caught.value).startswith("parameter")
    assert len(str(caught.value)) <= wording.LONGEST + 10


class Record(BaseModel):
    seed: int


def test_a_problem_says_where_only_if_it_is_somewhere() -> None:
    with pytest.raises(ValidationError) as nowhere:
        Record.model_validate(5)
    assert wording.problem(nowhere.value).startswith("input should be a valid dictionary")
    with pytest.raises(ValidationError) as inside:
        TypeAdapter(list[Record]).validate_python([{"seed": "Q"}])
    assert wording.problem(inside.value).startswith("0.seed: input should be a valid integer")
