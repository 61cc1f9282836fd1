from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from undrift.bench.case import Mask
from undrift.bench.data.pie import (
    COUNTS,
    SIZE,
    decode_mask,
    encode_mask,
    has_words,
    marked_parts,
    read_entries,
    strip_brackets,
    type_folder,
)
from undrift.errors import InputError

PIXELS = SIZE * SIZE
runs = st.lists(st.tuples(st.integers(0, PIXELS - 1), st.integers(0, 3000)), max_size=30).map(
    lambda pairs: list(itertools.chain.from_iterable(pairs))
)


def as_the_official_reader(numbers: list[int]) -> NDArray[np.int64]:
    """Pixel by pixel, as the evaluator of the data set's authors is documented to work."""
    flat = np.zeros(PIXELS, dtype=int)
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        for offset in range(length):
            if start + offset >= PIXELS:
                break
            flat[start + offset] = 1
    mask = flat.reshape(SIZE, SIZE)
    mask[0, :] = mask[-1, :] = mask[:, 0] = mask[:, -1] = 1
    return mask


def bordered(mask: Mask) -> Mask:
    edge = np.ones_like(mask)
    edge[1:-1, 1:-1] = False
    return mask | edge


@given(runs)
@settings(max_examples=40)
def test_masks_are_decoded_as_officially(numbers: list[int]) -> None:
    assert np.array_equal(decode_mask(numbers), as_the_official_reader(numbers) == 1)


@given(runs)
@settings(max_examples=40)
def test_encoding_brings_every_mask_back(numbers: list[int]) -> None:
    mask = decode_mask(numbers)
    encoded = encode_mask(mask)
    assert np.array_equal(decode_mask(encoded), mask)
    stops = [start + length for start, length in zip(encoded[::2], encoded[1::2], strict=True)]
    assert all(stop < start for stop, start in zip(stops, encoded[2::2], strict=False)), "runs touch"


def test_a_mask_without_a_border_gets_one() -> None:
    inner = np.zeros((SIZE, SIZE), dtype=bool)
    inner[100:200, 50:60] = True
    assert encode_mask(inner)[:4] == [100 * SIZE + 50, 10, 101 * SIZE + 50, 10]
    assert np.array_equal(decode_mask(encode_mask(inner)), bordered(inner))
    assert decode_mask([]).sum() == 4 * SIZE - 4
    assert decode_mask([0, PIXELS]).all()


def test_a_run_over_the_end_is_cut_off() -> None:
    mask = decode_mask([PIXELS - SIZE - 5, 10_000])
    assert mask[-2, -5:].all()
    assert not mask[1:-1, 1:-5].any()


def test_brackets() -> None:
    prompt = "[Painting of] a [red] cat"
    assert strip_brackets(prompt) == "Painting of a red cat"
    assert marked_parts(prompt) == ("Painting of", "red")
    assert marked_parts("a cat") == ()


def test_whole_words() -> None:
    assert has_words("A red Cat.", "cat")
    assert has_words("with blue, soft flowers", "soft flowers")
    assert not has_words("a category", "cat")
    assert not has_words("a cat", "")


def test_type_folders_are_the_published_ones() -> None:
    assert type_folder(0) == "0_random_140"
    assert type_folder(4) == "4_change_attribute_content_40"
    assert type_folder(9) == "9_change_style_80"
    assert sum(COUNTS.values()) == 700


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no PIE-Bench folder: it has no mapping_file.json; name the folder"):
        read_entries(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON: nested too deeply"),
        ("[]", "holds a list, expected an object of records by id"),
    ],
)
def test_damaged_mapping(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mapping_file.json").write_text(text)
    with pytest.raises(InputError, match=said):
        read_entries(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_mapping_that_is_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mapping_file.json")
    with pytest.raises(InputError, match="is no PIE-Bench folder"):
        read_entries(tmp_path)


def test_ids_name_folders(tmp_path: Path) -> None:
    (tmp_path / "mapping_file.json").write_text('{"../x": {}}')
    with pytest.raises(InputError, match=r"'.*mapping_file.json', ../x: string should match pattern"):
        read_entries(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("editing_type_id", "12", "editing_type_id: input should be less than or equal to 9"),
        ("mask", [1, 2, 3], "mask: 3 numbers, expected pairs of start and length"),
        ("editing_prompt", " ", "editing_prompt: string should have at least 1 character"),
    ],
)
def test_a_bad_record_is_named(tmp_path: Path, field: str, value: object, said: str) -> None:
    record = {
        "image_path": "a.jpg",
        "original_prompt": "a",
        "editing_prompt": "b",
        "editing_type_id": "0",
        "mask": [],
    }
    (tmp_path / "mapping_file.json").write_text(json.dumps({"000000000007": {**record, field: value}}))
    with pytest.raises(InputError) as caught:
        read_entries(tmp_path)
    assert f"000000000007: {said}; all problems: undrift bench doctor {tmp_path}" in str(caught.value)
