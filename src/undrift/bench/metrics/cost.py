"""What a turn cost, as the run recorded it."""

from __future__ import annotations

from typing import ClassVar

from undrift.bench.metrics.base import Outcome, TurnMetric


class Evaluations(TurnMetric):
    """Network evaluations (NFE) that the method spends on a turn; a batch counts as one."""

    name: ClassVar[str] = "nfe"
    title: ClassVar[str] = "NFE"
    higher_is_better: ClassVar[bool | None] = None
    group: ClassVar[str] = "cost"

    def score_one(self, outcome: Outcome) -> float:
        return float(outcome.record.evaluations)


class SampleEvaluations(TurnMetric):
    """Network evaluations times rows of each: what a method that feeds source and target together really computes."""

    name: ClassVar[str] = "sample-evaluations"
    title: ClassVar[str] = "Sample evaluations"
    higher_is_better: ClassVar[bool | None] = None
    group: ClassVar[str] = "cost"

    def score_one(self, outcome: Outcome) -> float:
        return float(outcome.record.sample_evaluations)


class Seconds(TurnMetric):
    """Wall time of a turn, the batch's divided by its pictures.

    None where part of the work was shared with another method: the time that is left would flatter this one.
    """

    name: ClassVar[str] = "seconds"
    title: ClassVar[str] = "Seconds"
    unit: ClassVar[str] = "s"
    higher_is_better: ClassVar[bool | None] = None
    group: ClassVar[str] = "cost"

    def score_one(self, outcome: Outcome) -> float | None:
        return None if outcome.record.shared else outcome.record.seconds


class PeakMemory(TurnMetric):
    """Memory at most in use during the turn, on the device (GPU) or by the process (CPU); 1 MiB is 2^20 bytes."""

    name: ClassVar[str] = "peak-memory"
    title: ClassVar[str] = "Peak memory"
    unit: ClassVar[str] = "MiB"
    higher_is_better: ClassVar[bool | None] = None
    group: ClassVar[str] = "cost"

    def score_one(self, outcome: Outcome) -> float | None:
        used = outcome.record.peak_memory
        return None if used is None else used / 2**20
