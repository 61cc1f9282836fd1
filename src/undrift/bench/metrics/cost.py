"""What a turn cost, as the run recorded it."""

from __future__ import annotations

from undrift.bench.metrics.base import Outcome, TurnMetric


class Evaluations(TurnMetric):
    """Network evaluations (NFE) that the method spends on a picture's turn; one that serves a batch counts as one."""

    name = "nfe"
    title = "NFE"
    higher_is_better = None
    group = "cost"

    def score_one(self, outcome: Outcome) -> float:
        return float(outcome.record.evaluations)


class SampleEvaluations(TurnMetric):
    """Network evaluations times rows of each: what a method that feeds source and target together really computes."""

    name = "sample-evaluations"
    title = "Sample evaluations"
    higher_is_better = None
    group = "cost"

    def score_one(self, outcome: Outcome) -> float:
        return float(outcome.record.sample_evaluations)


class Seconds(TurnMetric):
    """Wall time of a turn, the batch's divided by its pictures.

    None where part of the work was shared with another method: the time that is left would flatter this one.
    """

    name = "seconds"
    title = "Seconds"
    unit = "s"
    higher_is_better = None
    group = "cost"

    def score_one(self, outcome: Outcome) -> float | None:
        return None if outcome.record.shared else outcome.record.seconds


class PeakMemory(TurnMetric):
    """Memory at most in use during the turn, on the device (GPU) or by the process (CPU); 1 MiB is 2^20 bytes."""

    name = "peak-memory"
    title = "Peak memory"
    unit = "MiB"
    higher_is_better = None
    group = "cost"

    def score_one(self, outcome: Outcome) -> float | None:
        used = outcome.record.peak_memory
        return None if used is None else used / 2**20


METRICS = (Evaluations(), SampleEvaluations(), Seconds(), PeakMemory())
