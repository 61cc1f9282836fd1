"""What every metric says of itself, and the page that explains them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from undrift.bench.metrics.base import Metric, SetMetric
from undrift.bench.metrics.registry import all_metrics, get
from undrift.errors import InputError

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
GROUPS = {"ground truth", "paper", "pie-bench", "drift", "cost"}
ARROWS = {True: "↑", False: "↓", None: ""}


def rows() -> dict[str, list[str]]:
    """The cells of the page's tables by metric; a row may name several."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    named = [(name, row) for row in cells if len(row) == 5 for name in re.findall(r"`([^`]+)`", row[0])]
    assert not [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    return dict(named)


def test_the_page_explains_every_metric_and_no_other() -> None:
    assert set(rows()) == set(all_metrics())


@pytest.mark.parametrize("name", list(all_metrics()))
def test_a_metric_says_what_it_is_and_the_page_agrees(name: str) -> None:
    metric = get(name)
    assert isinstance(metric, (Metric, SetMetric))
    assert type(metric).__doc__
    assert metric.group in GROUPS
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert rows()[name][3] == ARROWS[metric.higher_is_better]
    assert metric.unit in rows()[name][2]


def test_titles_tell_metrics_apart() -> None:
    titles = Counter(metric.title for metric in all_metrics().values())
    assert max(titles.values()) == 1


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="no metric 'freeze': did you mean 'freeze-rate'"):
        get("freeze")


def test_batches_of_nothing_have_no_scores() -> None:
    for name in all_metrics():
        metric = get(name)
        if metric.missing() is None:
            assert (metric.score([]) if isinstance(metric, Metric) else metric.score_set([]) or []) == []  # type: ignore[attr-defined]
