"""What ComfyUI's page shows of a turn that is being made, and its button that stops it."""

from __future__ import annotations

from comfy.model_management import throw_exception_if_processing_interrupted
from comfy.utils import ProgressBar

from undrift import Backbone
from undrift.flow import Observer, Step, StepEnd


class Watched(Observer):
    """Moves the node's progress bar by the network's evaluations, and stops the turn before the next step.

    What it raises then is ComfyUI's own, which says that nothing failed.

    Args:
        model: makes the turn.
        evaluations: expected.
    """

    def __init__(self, model: Backbone, evaluations: int) -> None:
        self._counter, self._before = model.counter, model.counter.evaluations
        self._bar = ProgressBar(max(1, evaluations))

    def begin(self, step: Step) -> None:
        throw_exception_if_processing_interrupted()

    def end(self, event: StepEnd) -> None:
        self._bar.update_absolute(self._counter.evaluations - self._before)
        throw_exception_if_processing_interrupted()
