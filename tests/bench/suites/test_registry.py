"""What holds for every suite."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.bench.layouts import (
    magicbrush_rows,
    sequences,
    write_edival,
    write_lme,
    write_mse,
    write_pie,
    write_pie_pp,
    write_rows,
)
from tests.support.slow_cases import slow_but_for
from undrift.bench.data.pie import read_entries
from undrift.bench.make_turns.make import make_turns
from undrift.bench.make_turns.templates import TemplateWriter
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import all_suites, open_suite
from undrift.errors import InputError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for each suite, named like it."""
    root = tmp_path_factory.mktemp("data")
    drawn = sequences(3, turns=5)
    write_pie(root / "pie-bench", drawn)
    write_pie_pp(root / "pie-bench-pp", drawn)
    for name in ("pie-bench", "pie-bench-pp"):
        list(make_turns(read_entries(root / "pie-bench"), root / name / "MTC_prompts", TemplateWriter(), 3))
    write_mse(root / "mse-bench", drawn)
    write_lme(root / "lme-bench", drawn)
    write_edival(root / "edival", drawn)
    for split in ("dev", "train"):
        rows = [row for number, one in enumerate(drawn) for row in magicbrush_rows(one, f"{number}")]
        write_rows(root / "magicbrush" / "data" / f"{split}-0.parquet", rows)
    return root


def specs() -> list[tuple[str, str]]:
    return [(name, variant) for name, suite in all_suites().items() for variant in suite.variants]


def firsts() -> list[tuple[str, str]]:
    """One variant of each suite."""
    return [(name, next(iter(suite.variants))) for name, suite in all_suites().items()]


@pytest.mark.parametrize(("name", "variant"), slow_but_for(firsts(), specs()))
def test_every_variant_of_every_suite(data: Path, name: str, variant: str) -> None:
    """Ids name folders, seeds differ where no protocol sets one, prompts lead on, masks and truths are of the
    original's size, cases travel.
    """
    needs = all_suites()[name].needs_data
    spec = SuiteSpec(name=name, variant=variant, data=data / name if needs else None, limit=3)
    cases = open_suite(SuiteSpec.model_validate_json(spec.model_dump_json()))
    assert len(cases) == 3
    assert len({case.id for case in cases}) == 3
    assert all(case.id.replace("-", "").replace("_", "").isalnum() for case in cases)
    assert [case.seed for case in cases] == [case.seed for case in open_suite(spec)]
    assert len({case.seed for case in cases}) == (3 if cases[0].seed_step else 1)
    for case in cases:
        sent = pickle.loads(pickle.dumps(case))
        original = case.original()
        assert np.array_equal(np.asarray(sent.original()), np.asarray(original))
        for turn, task in enumerate(case.tasks, 1):
            if turn > 1:
                assert task.source_prompt == case.tasks[turn - 2].target_prompt
            assert task.source_prompt
            assert task.target_prompt
            assert task.edit_type
            mask, truth = case.mask(turn), case.truth(turn)
            assert mask is None or (mask.dtype == np.bool_ and mask.shape == original.size[::-1])
            assert truth is None or truth.size == original.size
        assert case.shortened(1).turns == 1
        assert case.shortened(1).mask_since_original(1) is None or case.mask(1) is not None


def test_without_yaml(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(InputError, match=r"reading multi-turn prompts needs PyYAML: pip install 'undrift\[bench\]'"):
        open_suite(SuiteSpec(name="pie-bench", variant="multi-turn", data=data / "pie-bench"))
    assert open_suite(SuiteSpec(name="pie-bench", data=data / "pie-bench"))
