"""``make bench-core``: what undrift adds to the bare work of the model, as ratios within one run.

Every figure of time is a ratio of two processor times on one thread, measured alternately in this run, each the
minimum of several or the median of pairs, so that it means the same on every machine, busy or not. Prints a table,
writes ``benchmarks/results/core.json``, and fails if a bar is missed. A median of pairs has an interval: its bar is
held where the interval ends below it, missed where it lies above as a whole, and else not decided.
``python -m benchmarks.core FOLDER`` measures another model.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import flux_bars, presets, together
from benchmarks.measure import (
    MEGABYTE,
    Paired,
    Verdict,
    fastest,
    paired,
    processor_time,
    resident_bytes,
    tensor_bytes,
    verdict,
)
from undrift import EditPlan, Session, load, run_turn, start_session
from undrift.attention.columns import TextColumns
from undrift.attention.highlight import AdaptiveHighlight, HighlightSettings
from undrift.attention.kernel import KernelName
from undrift.backbones import Backbone, Geometry
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.locate import LITTLEWORLD
from undrift.backbones.placement import Placement
from undrift.errors import ModelError
from undrift.flow import Step
from undrift.littleworld import demo
from undrift.littleworld.render import SIZE
from undrift.methods import registry

RESULTS = Path(__file__).parent / "results" / "core.json"
TOKENS = 1100
STEPS = 8
TURNS = 8
PROMPTS = ("a red cat in the snow", "a red dog in the snow")
STEP = 4
"""The first step that the paper scales."""


@dataclass(frozen=True)
class Figure:
    """One measured ratio, the bar that it must not exceed, and between what it lies (``Paired``) if that is known."""

    name: str
    ratio: float
    bar: float
    detail: str
    interval: tuple[float, float] | None = None

    @property
    def verdict(self) -> Verdict:
        return verdict(*(self.interval or (self.ratio, self.ratio)), self.bar)


def main() -> int:
    """Measure everything; the exit code is 1 if a bar is missed."""
    torch.set_num_threads(1)
    with ExitStack() as stack:
        name = sys.argv[1] if len(sys.argv) > 1 else LITTLEWORLD
        backbone, model = stack.enter_context(_model(name))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        session = start_session(folder / "session", demo.picture(SIZE), PROMPTS[0], backbone)
        figures = [
            turn_over_forwards(session, backbone),
            *(highlight_over_plain(backbone, kernel) for kernel in ("fused", "materialised")),
            highlight_at_head_size_128(),
            batch_over_single(backbone, SIZE, bar=1 / 1.7),
            batch_over_single(backbone, 2 * SIZE),
            memory_over_turns(session, backbone),
            help_over_torch(),
        ]
    asked = presets.measured()
    figures += [asked_after(name, asked[name]) for name in ("`undrift`", "`multi_turn:fast`", "`flowedit`")]
    _print(figures, model)
    print(presets.table(asked))
    _write(figures, model)
    return 1 if any(figure.verdict == "MISSED" for figure in figures) else 0


def turn_over_forwards(session: Session, backbone: Backbone, rounds: int = 8) -> Figure:
    """A whole turn, from the stored latent to the appended turn on disk, over as many bare forward passes."""
    method = registry.get(overrides={"steps": STEPS})
    latent = backbone.encode([session.picture(session.original)])
    fields = [backbone.velocity_field(backbone.embed([p]), latent.geometry, 3.5) for p in PROMPTS]
    plan = EditPlan(prompt=PROMPTS[1], seed=0, parent="original")
    # What this turn asks, not what any turn could: an addition begins earlier.
    evaluations = run_turn(session, backbone, method, plan).evaluations

    def forwards() -> None:
        for number in range(evaluations):
            fields[number % 2](latent.packed, 0.5)

    found = paired(forwards, lambda: run_turn(session, backbone, method, plan), rounds, clock=processor_time)
    detail = f"{1e3 * found.other:.0f} ms over {evaluations} x {1e3 * found.base / evaluations:.1f} ms"
    return _of_pairs("a turn / its bare forwards", found, 1.15, detail)


def highlight_over_plain(backbone: Backbone, kernel: KernelName, rounds: int = 12) -> Figure:
    """A forward of about 1100 tokens that reads maps and scales attention, over a plain one."""
    conditioning = backbone.embed([PROMPTS[1]])
    columns = (TOKENS - conditioning.text_tokens) // 32
    geometry = Geometry(height=32, width=columns, rows=32, columns=columns, token_side=1)
    x = torch.randn(1, geometry.tokens, _channels(backbone), generator=torch.Generator().manual_seed(0))
    field = backbone.velocity_field(conditioning, geometry, 3.5)
    words = TextColumns.of([[1, 2]])
    sites = backbone.capabilities.map_sites
    settings = HighlightSettings(ranks=(0, len(sites)), threshold=0.0)
    tap = AdaptiveHighlight(words, words, sites, settings, kernel)

    def highlighted() -> None:
        tap.begin(Step(STEP, STEPS, 0.5, 0.4))
        with backbone.tapped(tap):
            field(x, 0.5)

    tap.begin(Step(STEP - 1, STEPS, 0.6, 0.5))
    with backbone.tapped(tap):
        field(x, 0.6)
    found = paired(lambda: field(x, 0.5), highlighted, rounds, clock=processor_time)
    tokens = geometry.tokens + conditioning.text_tokens
    detail = f"{1e3 * found.other:.0f} ms over {1e3 * found.base:.0f} ms, {tokens} tokens"
    bar = 1.05 if kernel == "fused" else float("inf")
    return _of_pairs(f"highlighted forward / plain, {kernel}", found, bar, detail)


def highlight_at_head_size_128(rounds: int = 20) -> Figure:
    """The bar of ``benchmarks.flux_bars``, of 4 heads: of FLUX.1's 24 highlighting is a smaller part."""
    device = torch.device("cpu")
    network = flux_bars.transformer((1, 2), device, torch.float32, heads=4)
    backbone = FluxBackbone(network, placement=Placement(device, torch.float32))
    found = flux_bars.in_layers(flux_bars.forwards(backbone, flux_bars.BAR_SIZE), rounds)
    return _of_pairs(
        "highlighted forward / plain, 4096 tokens", found, flux_bars.BAR, f"a forward {found.base:.2f} s"
    )


def _of_pairs(name: str, found: Paired, bar: float, detail: str) -> Figure:
    return Figure(name, found.ratio, bar, f"{found.low:.3f} to {found.high:.3f}, {detail}", (found.low, found.high))


def batch_over_single(backbone: Backbone, size: int, bar: float = float("inf"), repeats: int = 7) -> Figure:
    """A forward of several candidates at once, over as many forwards of one."""
    ratio = 1.0 / together.forwards(backbone, size, repeats, processor_time)
    detail = f"{together.CANDIDATES} candidates together, {1 / ratio:.2f} times as fast"
    return Figure(f"forward of a batch / single ones, {size} px", ratio, bar, detail)


def memory_over_turns(session: Session, backbone: Backbone) -> Figure:
    """Tensors alive after eight turns over those after one, with the process's memory beside it."""
    method = registry.get(overrides={"steps": STEPS})
    tensors, resident = [], []
    for number in range(TURNS):
        run_turn(session, backbone, method, EditPlan(prompt=PROMPTS[1 - number % 2], seed=number))
        tensors.append(tensor_bytes())
        resident.append(resident_bytes())
    megabytes = [f"{value / MEGABYTE:.0f}" for value in (resident[0], resident[-1])]
    detail = f"{tensors[-1] - tensors[0]:+d} bytes of tensors; process {' to '.join(megabytes)} MB"
    return Figure(f"memory after {TURNS} turns / after 1", resident[-1] / resident[0], 1.02, detail)


def asked_after(name: str, asked: presets.Asked) -> Figure:
    """The evaluations of a turn of FLUX.1 that run after it is asked for, over all of them."""
    detail = f"{asked.ahead} ahead, {asked.after} after"
    return Figure(f"evaluations after / all, {name.strip('`')}", asked.after / asked.evaluations, 0.5, detail)


def help_over_torch(repeats: int = 5) -> Figure:
    """``undrift --help`` over ``import torch``, each in a process of its own."""

    def run(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    cases = {
        "help": lambda: run("-m", "undrift.cli.main", "--help"),
        "torch": lambda: run("-c", "import torch"),
    }
    best = fastest(cases, repeats, clock=processor_time)
    detail = f"{1e3 * best['help']:.0f} ms over {1e3 * best['torch']:.0f} ms"
    return Figure("undrift --help / import torch", best["help"] / best["torch"], 0.3, detail)


@contextmanager
def _model(name: str) -> Iterator[tuple[Backbone, str]]:
    """The model, or a tiny one of random weights in a checkout without the embedded ones."""
    try:
        yield load(name, device="cpu"), name
        return
    except ModelError as error:
        if name != LITTLEWORLD:
            raise
        print(f"note: {error}; measuring a tiny model of random weights instead", file=sys.stderr)
    from tests.support.tiny_flux import save_tiny_flux

    with tempfile.TemporaryDirectory() as folder:
        yield load(str(save_tiny_flux(Path(folder))), device="cpu"), "tiny random FLUX"


def _channels(backbone: Backbone) -> int:
    return int(backbone.encode([demo.picture(SIZE)]).packed.shape[-1])


def _print(figures: list[Figure], model: str) -> None:
    table = Table(title=f"{model}, torch {torch.__version__}, one thread")
    for name in ("ratio of", "measured", "bar", "", "in detail"):
        table.add_column(name, no_wrap=True)
    for figure in figures:
        bar = "-" if figure.bar == float("inf") else f"{figure.bar:.2f}"
        table.add_row(figure.name, f"{figure.ratio:.3f}", bar, figure.verdict, figure.detail)
    Console(width=140).print(table)


def _write(figures: list[Figure], model: str) -> None:
    about = {"model": model, "torch": torch.__version__, "python": platform.python_version(), "cpus": os.cpu_count()}
    rows = [{**asdict(figure), "bar": figure.bar if figure.bar < float("inf") else None} for figure in figures]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**about, "figures": rows}, indent=1) + "\n")
    print(f"written: {RESULTS}")


if __name__ == "__main__":
    sys.exit(main())
