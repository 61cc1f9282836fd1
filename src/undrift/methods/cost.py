"""What a turn costs, told before it is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from undrift.backbones.architecture import Architecture

REFERENCE_SIZE = (1024, 1024)
"""The picture, (width, height), that sizes are told for where none is given."""

Guidance = float | Sequence[float]


@dataclass(frozen=True)
class Cost:
    """What one turn of one picture costs.

    Attributes:
        evaluations: calls of the network (NFE).
        sample_evaluations: rows that the network evaluates; more than NFE where a call carries several.
        kept_states: states of a trajectory that are kept until the turn's end, the first and the last included.
        feature_bytes: of attention features that are kept at most.
        backward_passes: gradients through the network, each about two evaluations more.
    """

    evaluations: int = 0
    sample_evaluations: int = 0
    kept_states: int = 0
    feature_bytes: int = 0
    backward_passes: int = 0

    @classmethod
    def of(
        cls, model: Architecture, *passes: tuple[int, Guidance], kept_states: int = 0, feature_bytes: int = 0
    ) -> Cost:
        """The cost of evaluating a model's velocity fields.

        Args:
            model: says how many evaluations a velocity takes at a guidance.
            passes: how many velocities, and their guidance: a value, or one per row where a picture has several.
            kept_states, feature_bytes: as the attributes.
        """
        calls = [(n * model.capabilities.calls_per_velocity(guidance), _rows(guidance)) for n, guidance in passes]
        return cls(sum(n for n, _ in calls), sum(n * rows for n, rows in calls), kept_states, feature_bytes)

    def kept_bytes(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> int:
        """What a picture of ``size`` (width, height) keeps from step to step: features, and states in float32.

        The network's weights and what it needs within an evaluation come on top.
        """
        return self.feature_bytes + self.kept_states * model.state_bytes(model.geometry(size))


def _rows(guidance: Guidance) -> int:
    return len(guidance) if isinstance(guidance, Sequence) else 1
