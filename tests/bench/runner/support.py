"""Runs in a few lines, and what is left of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from PIL import Image

from tests.support.toy import toy_picture
from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone
from undrift.backbones.flux import FluxBackbone
from undrift.bench.case import Case, Task
from undrift.bench.records import Manifest, RunFolder, TurnRecord
from undrift.bench.runner.place import Here, Job
from undrift.bench.runner.plan import plan
from undrift.bench.runner.start import Order, begin
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import open_suite
from undrift.errors import PictureError
from undrift.files import sha256
from undrift.flow import Observer
from undrift.methods.base import EditMethod, EditRequest, EditResult, Params
from undrift.methods.cost import REFERENCE_SIZE, Cost

TINY = ("multi_turn::steps=2;highlight_start=1", "fireflow::steps=2", "no_edit")
SUITE = SuiteSpec(name="littleworld", variant="quick", limit=3, turns=2)


class PictureCase(Case):
    """A case of one toy picture; ``original`` may be missing."""

    def __init__(self, name: str, size: tuple[int, int] = (16, 16), turns: int = 2, missing: bool = False) -> None:
        self.id, self.seed, self.missing, self.size = name, sum(map(ord, name)), missing, size
        prompts = [f"{name} {turn}" for turn in range(turns + 1)]
        self.tasks = tuple(Task(a, b, "replace") for a, b in zip(prompts, prompts[1:], strict=False))

    def original(self) -> Image.Image:
        if self.missing:
            raise PictureError(f"'{self.id}.png' is missing")
        return toy_picture(*self.size)


class Failing(EditMethod):
    """Paints with the toy's colours, but fails at the prompts that end in ``fails_at``."""

    name: ClassVar[str] = "failing"
    title: ClassVar[str] = "Failing"
    paper: ClassVar[str] = "none"
    presets: ClassVar[Mapping[str, Params]] = MappingProxyType({"default": Params()})
    fails_at: ClassVar[set[str]] = set()
    seen: ClassVar[list[tuple[str, ...]]] = []

    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        return Cost()

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        self.seen.append(tuple(request.target_prompts))
        bad = self.fails_at & set(request.target_prompts)
        if bad:
            raise ValueError(f"cannot do\n{min(bad)}")
        return EditResult(request.previous)


def order(
    words: Sequence[str] = TINY, suite: SuiteSpec = SUITE, batch: int = 8, seed: int = 0, handover: str = "latent"
) -> Order:
    """What to run, with a model that is whatever backbone the test has."""
    return Order(suite=suite, words=words, model="littleworld", batch=batch, seed=seed, handover=handover)


def make(folder: Path, backbone: Backbone, asked: Order, cases: Sequence[Case] | None = None) -> RunFolder:
    """Run what is asked, in this process, on the suite's cases or others."""
    run = RunFolder(folder)
    manifest = begin(asked, run, backbone.identity, backbone.tuned)
    Here(backbone).work(job(run, manifest, cases), lambda record: None)
    return run


def job(run: RunFolder, manifest: Manifest, cases: Sequence[Case] | None = None) -> Job:
    """Everything there is to do."""
    chosen = open_suite(manifest.suite) if cases is None else cases
    return Job(run, manifest, chosen, plan(chosen, manifest.methods, manifest.batch))


def records(run: RunFolder, cases: Sequence[Case] | None = None) -> list[TurnRecord]:
    """All records of a run."""
    manifest = run.manifest()
    chosen = open_suite(manifest.suite) if cases is None else cases
    return [record for spec in manifest.methods for case in chosen for record in run.records(spec.label, case.id)]


def hashes(run: RunFolder) -> dict[str, str]:
    """Pictures and latents by their place in the folder."""
    files = [file for file in run.path.rglob("*") if file.suffix in (".png", ".safetensors")]
    return {str(file.relative_to(run.path)): sha256(file.read_bytes()) for file in files}


@contextmanager
def counted(backbone: Backbone) -> Iterator[list[int]]:
    """Rows of every call of the network itself while the block runs."""
    assert isinstance(backbone, FluxBackbone)
    rows: list[int] = []
    hook = backbone._network.register_forward_hook(lambda module, inputs, output: rows.append(len(output[0])))
    try:
        yield rows
    finally:
        hook.remove()
