"""What freeze, drift, judge and the small CLIP say of pictures whose rightness is known: the thresholds' table.

An editor's place is taken by pictures of known rightness: the truth, the truth through the autoencoder (what a
perfect editor of latents shows), the truth with one more thing changed (a known drift), the original (a known
freeze), and the truths of another sequence. The table stands in docs/metrics.md; a new embedded model or threshold
is followed by::

    python -m benchmarks.calibration
    python -m benchmarks.calibration --variant rich
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from statistics import fmean

from PIL import Image

import undrift
from undrift.backbones.base import Backbone
from undrift.bench.metrics.base import Metric, Outcome
from undrift.bench.metrics.drift_rate import MARGIN, changed_outside
from undrift.bench.metrics.pixels import grown
from undrift.bench.metrics.registry import get
from undrift.bench.records import TurnRecord
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.littleworld import LittleWorldCase
from undrift.bench.suites.registry import open_suite
from undrift.littleworld.edits import RICH_EDIT_TYPES
from undrift.littleworld.options import OPTIONS
from undrift.littleworld.render import render
from undrift.littleworld.scenes import Scene

COLUMNS = (
    "freeze-rate",
    "drift-rate",
    "drift-rate-since-original",
    "edit-success",
    "unasked-changes",
    "clip-t-littleworld",
)

Shown = Callable[[Sequence[LittleWorldCase], int, int], Image.Image]
"""(cases, number of the case, turn) to the picture that stands for an editor's work."""


def truth(cases: Sequence[LittleWorldCase], number: int, turn: int) -> Image.Image:
    """The right picture."""
    return cases[number].truth(turn)


def original(cases: Sequence[LittleWorldCase], number: int, turn: int) -> Image.Image:
    """What an editor shows that does nothing."""
    return cases[number].truth(0)


def shuffled(cases: Sequence[LittleWorldCase], number: int, turn: int) -> Image.Image:
    """The right picture of another sequence, another one in every turn."""
    return cases[(number + turn) % len(cases)].truth(turn)


def one_more(cases: Sequence[LittleWorldCase], number: int, turn: int) -> Image.Image:
    """The right picture with one colour, thing or background changed that nobody asked for; turn 0 is right."""
    scene = cases[number].scenes[turn]
    if turn == 0:
        return render(scene)
    before = cases[number].scenes[turn - 1]
    rng = random.Random(f"{number} {turn}")
    free = [
        other
        for kind in RICH_EDIT_TYPES[:5]
        for other in OPTIONS[kind]([before, scene], rng, False)
        if _changed(scene, other).isdisjoint(_changed(before, scene))
    ]
    return render(rng.choice(free))


def through(model: Backbone, times: int) -> Shown:
    """The right picture after so many trips through the model's autoencoder."""

    def shown(cases: Sequence[LittleWorldCase], number: int, turn: int) -> Image.Image:
        picture = cases[number].truth(turn)
        for _ in range(times if turn else 0):
            [picture] = model.decode(model.encode([picture]))
        return picture

    return shown


def outcomes(cases: Sequence[LittleWorldCase], shown: Shown) -> list[Outcome]:
    """Every turn of every case, as if an editor had made what is shown."""
    made: list[Outcome] = []
    for number, case in enumerate(cases):
        pictures = [case.original(), *(shown(cases, number, turn) for turn in range(1, len(case.tasks) + 1))]
        for turn, task in enumerate(case.tasks, start=1):
            said = {name: getattr(task, name) for name in ("edit_type", "source_prompt", "target_prompt")}
            line = TurnRecord(label="calibration", case=case.id, turn=turn, seed=turn, **said)
            made.append(Outcome(case, turn, pictures[turn], pictures[turn - 1], pictures[0], line))
    return made


def row(made: Sequence[Outcome]) -> list[str]:
    """The means of `COLUMNS`, then the largest number of pixels that count as changed outside."""
    means = [fmean(value for value in _scores(name, made) if value is not None) for name in COLUMNS]
    return [f"{mean:.2f}" for mean in means] + [str(max(_changed_pixels(outcome) for outcome in made))]


def _changed(before: Scene, after: Scene) -> set[str]:
    old, new = before.attributes(), after.attributes()
    return {name for name in old if old[name] != new[name]}


def _scores(name: str, made: Sequence[Outcome]) -> list[float | None]:
    metric = get(name)
    assert isinstance(metric, Metric), "the columns are scored turn by turn"
    return metric.score(made)


def _changed_pixels(outcome: Outcome) -> int:
    mask = outcome.case.mask(outcome.turn)
    assert mask is not None, "the drawn world knows its masks"
    outside = ~grown(mask, MARGIN)
    return int(changed_outside(outcome.picture, outcome.previous, outside)[0].sum())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="standard", help="of the suite littleworld (standard)")
    parser.add_argument("--limit", type=int, default=64, help="sequences (64)")
    options = parser.parse_args()
    suite = open_suite(SuiteSpec(name="littleworld", variant=options.variant))
    cases = [case for case in list(suite)[: options.limit] if isinstance(case, LittleWorldCase)]
    model = undrift.load("littleworld")
    rows: dict[str, Shown] = {
        "the truth": truth,
        "the truth, once through the autoencoder": through(model, 1),
        "the truth, twice through it": through(model, 2),
        "the truth, and one more thing changed": one_more,
        "the original (`no_edit`)": original,
        "shuffled": shuffled,
    }
    print("| shown as the method's work |", " | ".join([*COLUMNS, "most changed pixels"]), "|")
    print("|" + " --- |" * (len(COLUMNS) + 2))
    for name, shown in rows.items():
        print(f"| {name} |", " | ".join(row(outcomes(cases, shown))), "|", flush=True)


if __name__ == "__main__":
    main()
