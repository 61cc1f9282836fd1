"""The models of turns that are made again, as their records have them. Loads torch."""

from __future__ import annotations

from collections.abc import Sequence

from undrift.backbones import Backbone
from undrift.cli import execution
from undrift.cli.given import with_files_of
from undrift.cli.options import ModelChoice
from undrift.cli.placement import recorded, remembered
from undrift.session.model import Loaded, Turn, TurnSpec
from undrift.session.store import Session


class Recorded:
    """The models that turns were made with, one in memory at a time; what the options say holds for all."""

    def __init__(self, session: Session, choice: ModelChoice) -> None:
        self._session = session
        self._choice = choice
        self._loaded: tuple[str, ModelChoice, Backbone] | None = None

    def first(self, turn: Turn) -> Backbone:
        """The model that encoded the original; where that was not recorded, of the first edit to ``turn``."""
        if (encoder := self._session.original.encoded_by) is not None:
            return self.of(encoder)
        specs = [step.spec for step in self._session.path(turn) if step.spec is not None]
        return self.of(specs[0]) if specs else execution.load_for(self._session, turn, self._choice)

    def check(self, turns: Sequence[Turn]) -> None:
        """Say what files of weights are missing before the first of ``turns`` is made again."""
        records = (turn.spec or turn.encoded_by for turn in turns)
        for record in records:
            if record is not None and self._choice.model in (None, record.model):
                with_files_of(record, self._choice)

    def of(self, spec: TurnSpec | Loaded) -> Backbone:
        """The model of a record, in its number format and on its device where that is here."""
        name = self._choice.model or spec.model
        same = name == spec.model
        usual = remembered(self._session, self._session.original) | recorded(spec) if same else {}
        wanted = self._choice.settled(usual)
        wanted = with_files_of(spec, wanted) if same else wanted
        if self._loaded is None or self._loaded[:2] != (name, wanted):
            self._loaded = None
            self._loaded = name, wanted, execution.load_model(wanted, name)
        return self._loaded[2]
