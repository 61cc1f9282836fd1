"""Does units of work on one model: the same in this process and on a cluster."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import torch
from PIL import Image

from undrift.backbones.base import Backbone, Latent
from undrift.backbones.memory import VelocityMemory
from undrift.bench.case import Case
from undrift.bench.records import Manifest, RunFolder, TurnRecord
from undrift.bench.runner.ledger import Ledger, Made
from undrift.bench.runner.memory import MemoryGauge
from undrift.bench.runner.methods import method_of
from undrift.bench.runner.oracle import editable, kept, true_region
from undrift.bench.runner.plan import Unit
from undrift.errors import Cancelled, UndriftError
from undrift.flow import Observer
from undrift.methods.base import EditMethod, EditRequest
from undrift.session.seeds import SEEDS

KEPT_ORIGINALS = 64
"""Encoded originals in memory, beyond which those not used for longest go."""

Told = Callable[[TurnRecord], None]


@dataclass(frozen=True)
class Original:
    """Turn 0 of a case."""

    picture: Image.Image
    latent: Latent


@dataclass(frozen=True)
class Row:
    """One picture on its way through a turn."""

    ledger: Ledger
    original: Original
    before: Image.Image
    previous: Latent


class Worker:
    """Makes the turns of a run.

    Args:
        run: where they go.
        manifest: what the run is.
        cases: of the suite, by id.
        backbone: the model.
        memory: of evaluations that methods share; None computes all of them.
        observers: of every integration; one may cancel.
        told: hears of every turn that was made or failed.
    """

    def __init__(
        self,
        run: RunFolder,
        manifest: Manifest,
        cases: Mapping[str, Case],
        backbone: Backbone,
        *,
        memory: VelocityMemory | None = None,
        observers: Sequence[Observer] = (),
        told: Told = lambda record: None,
    ) -> None:
        self._run, self._manifest, self._cases = run, manifest, cases
        self._memory = memory
        self._backbone = backbone
        self._methods = {spec.label: spec for spec in manifest.methods}
        self._observers, self._told = observers, told
        self._originals: OrderedDict[str, Original] = OrderedDict()

    def work(self, unit: Unit) -> None:
        """Make what is missing of a unit. Cases that failed before are tried again, each on its own.

        Raises:
            SessionError: the folder cannot be written.
            Cancelled: an observer stopped it.
        """
        ledgers = [Ledger(self._run, unit.label, self._cases[case]) for case in unit.cases]
        method = method_of(self._methods[unit.label])
        self._turns([ledger for ledger in ledgers if not ledger.broken], method)
        for ledger in ledgers:
            if ledger.broken:
                self._turns([ledger], method)

    def give_up(self, unit: Unit, why: str) -> None:
        """Record ``why`` as the error of every case of a unit that is not finished."""
        for case in unit.cases:
            ledger = Ledger(self._run, unit.label, self._cases[case])
            if not ledger.finished:
                turn = next(k for k in range(1, ledger.case.turns + 1) if not ledger.has(k))
                self._fail(ledger, turn, RuntimeError(why))

    def _turns(self, ledgers: Sequence[Ledger], method: EditMethod) -> None:
        for turn in range(1, max((ledger.case.turns for ledger in ledgers), default=0) + 1):
            due = [ledger for ledger in ledgers if not ledger.failed and ledger.case.turns >= turn]
            # The whole batch runs even if a stop left only some of its pictures to make: the composition of a batch
            # decides the last bits of its results.
            if not all(ledger.has(turn) for ledger in due):
                self._turn(due, turn, method)

    def _turn(self, due: Sequence[Ledger], turn: int, method: EditMethod) -> None:
        rows = [row for ledger in due if (row := self._row(ledger, turn)) is not None]
        if rows:
            self._together(rows, turn, method)

    def _row(self, ledger: Ledger, turn: int) -> Row | None:
        try:
            original = self._original(ledger.case)
            if turn == 1:
                return Row(ledger, original, original.picture, original.latent)
            before = ledger.picture(turn - 1)
            return Row(ledger, original, before, ledger.latent(turn - 1, self._backbone))
        except Exception as error:
            self._fail(ledger, turn, error)
            return None

    def _together(self, rows: Sequence[Row], turn: int, method: EditMethod) -> None:
        """One turn of a batch; if that fails its pictures are tried singly, so that only the culprit fails."""
        try:
            made = self._made(rows, turn, method)
        except Cancelled:
            raise
        except Exception as error:
            if len(rows) == 1:
                self._fail(rows[0].ledger, turn, error)
                return
            for row in rows:
                if not row.ledger.has(turn):
                    self._together([row], turn, method)
            return
        for row, result in zip(rows, made, strict=True):
            if not row.ledger.has(turn):
                self._told(row.ledger.keep(result, self._backbone))

    def _made(self, rows: Sequence[Row], turn: int, method: EditMethod) -> list[Made]:
        began = perf_counter()
        request, regions = self._request(rows, turn), self._regions(rows, turn)
        if regions:
            told = editable(regions, request.previous.geometry).to(request.previous.packed.device)
            request = replace(request, editable_tokens=told)
        with MemoryGauge(self._backbone.identity.device) as gauge, self._backbone.remembering(self._memory):
            result = method.edit(self._backbone, request, self._observers)
            pictures = result.images or self._backbone.decode(result.latent)
        made = list(zip(pictures, _split(result.latent), strict=True))
        if regions:
            before = zip(request.previous_images, _split(request.previous), strict=True)
            made = [kept(*parts) for parts in zip(regions, made, before, strict=True)]
        cost = {
            "evaluations": result.evaluations,
            "sample_evaluations": result.sample_evaluations,
            "shared": result.remembered,
            "seconds": (perf_counter() - began) / len(rows),
            "peak_memory": gauge.peak,
            "batch": len(rows),
        }
        records = [self._record(row.ledger, turn).model_copy(update=cost) for row in rows]
        return [Made(*parts, record) for parts, record in zip(made, records, strict=True)]

    def _regions(self, rows: Sequence[Row], turn: int) -> list[Image.Image]:
        """What a method is told that is an oracle; nothing for any other."""
        told = self._methods[rows[0].ledger.label].oracle
        return [true_region(row.ledger.case, turn) for row in rows] if told else []

    def _request(self, rows: Sequence[Row], turn: int) -> EditRequest:
        tasks = [row.ledger.case.tasks[turn - 1] for row in rows]
        before = [row.before for row in rows]
        again = self._manifest.handover == "image" and turn > 1
        return EditRequest(
            original=_joined([row.original.latent for row in rows]),
            previous=self._backbone.encode(before) if again else _joined([row.previous for row in rows]),
            turn=turn,
            source_prompts=[task.source_prompt for task in tasks],
            target_prompts=[task.target_prompt for task in tasks],
            words=[task.words for task in tasks],
            seeds=[self._seed(row.ledger.case, turn) for row in rows],
            original_prompts=[row.ledger.case.tasks[0].source_prompt for row in rows],
            original_images=[row.original.picture for row in rows],
            previous_images=before,
        )

    def _record(self, ledger: Ledger, turn: int) -> TurnRecord:
        case = ledger.case
        task = case.tasks[turn - 1]
        return TurnRecord(
            label=ledger.label,
            case=case.id,
            turn=turn,
            edit_type=task.edit_type,
            source_prompt=task.source_prompt,
            target_prompt=task.target_prompt,
            seed=self._seed(case, turn),
            device=self._backbone.identity.device,
        )

    def _fail(self, ledger: Ledger, turn: int, error: Exception) -> None:
        record = self._record(ledger, turn).model_copy(update={"error": one_line(error)})
        self._told(ledger.fail(record))

    def _seed(self, case: Case, turn: int) -> int:
        return (self._manifest.seed + case.seed_of(turn)) % SEEDS

    def _original(self, case: Case) -> Original:
        if case.id not in self._originals:
            picture = case.original()
            # Singly, so that an original's latent does not depend on the batch it came in.
            self._originals[case.id] = Original(picture, self._backbone.encode([picture]))
        self._originals.move_to_end(case.id)
        while len(self._originals) > KEPT_ORIGINALS:
            self._originals.popitem(last=False)
        return self._originals[case.id]


def one_line(error: Exception) -> str:
    """What went wrong, with the kind of error where it is not one of ours."""
    text = " ".join(str(error).split())
    return text if isinstance(error, UndriftError) else f"{type(error).__name__}: {text}"


def _joined(parts: Sequence[Latent]) -> Latent:
    return Latent(torch.cat([part.packed for part in parts]), parts[0].geometry)


def _split(latent: Latent) -> list[Latent]:
    return [Latent(row.unsqueeze(0), latent.geometry) for row in latent.packed]
