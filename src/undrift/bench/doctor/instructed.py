"""Checks of the data sets that are a table of instructions beside a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from undrift.bench.case import Case
from undrift.bench.doctor.finding import AGAIN, GET_ALL, Examined, Finding
from undrift.bench.suites import edival, lme_bench
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite
from undrift.errors import InputError, PictureError


def examiner(suite: str, cases: int, turns: int, size: tuple[int, int]) -> Callable[[Path, bool], Examined]:
    """The check of a suite that as published has ``cases`` of ``turns`` turns, with pictures of ``size``."""

    def examine(path: Path, whole: bool) -> Examined:
        try:
            variant = lme_bench.AS_PUBLISHED if suite == lme_bench.LmeBench.name else "default"
            found = list(open_suite(SuiteSpec(name=suite, variant=variant, data=path)))
        except InputError as error:
            return "the table", iter([Finding(str(path), str(error), AGAIN)])
        return f"{len(found)} sessions", _wrong(suite, found, (cases, turns) if whole else None, size)

    return examine


examine_lme = examiner(lme_bench.LmeBench.name, 100, 10, (1024, 1024))
examine_edival = examiner(edival.Edival.name, 572, 3, (512, 512))


def _wrong(
    suite: str, cases: list[Case], published: tuple[int, int] | None, size: tuple[int, int]
) -> Iterator[Finding]:
    for case in cases:
        try:
            given = case.original().size
        except PictureError as error:
            yield Finding(case.id, str(error), AGAIN)
            continue
        if given != size:
            problem = f"its picture has {given[0]}x{given[1]} pixels, expected {size[0]}x{size[1]}"
            yield Finding(case.id, problem, AGAIN)
        if published is not None and case.turns != published[1]:
            yield Finding(case.id, f"{case.turns} turns, expected {published[1]}", GET_ALL)
    if published is not None and len(cases) != published[0]:
        yield Finding(suite, f"{len(cases)} sessions, expected {published[0]}", GET_ALL)
