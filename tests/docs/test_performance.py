"""The table of what a turn costs is what is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import presets

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


@pytest.mark.slow
def test_the_table_of_presets_is_what_is_counted() -> None:
    assert presets.table(presets.measured()) in PAGE.read_text("utf-8")


def test_operations_are_those_of_the_page() -> None:
    """21.5 and 74.4 TFLOP, counted by hand there; attention of a quarter of the queries costs a quarter."""
    whole = [presets.image_tokens(side) + presets.TEXT for side in presets.SIDES]
    assert [round(presets.operations(tokens, tokens) / 1e12, 1) for tokens in whole] == [21.5, 74.4]
    assert presets.operations(whole[1] / 4, whole[1]) == presets.operations(whole[1], whole[1]) / 4
