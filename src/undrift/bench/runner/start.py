"""What a run is to do, and whether a folder that is there already does the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from undrift.backbones.base import ModelIdentity
from undrift.backbones.locate import locate
from undrift.bench.case import Case
from undrift.bench.records import MANIFEST, Manifest, MethodSpec, RunFolder
from undrift.bench.runner.methods import specs
from undrift.bench.runner.oracle import knows_masks
from undrift.bench.suites.base import SuiteSpec
from undrift.bench.suites.registry import all_suites, open_suite
from undrift.discovery import look_up
from undrift.errors import InputError
from undrift.methods.registry import Tuned
from undrift.session.engine import versions

ASKED = ("suite", "model", "seed", "handover", "batch")
FOUND = ("weights_hash", "dtype", "quantize", "loras", "options", "versions")


@dataclass(frozen=True)
class Order:
    """What a user asks for; see ``Manifest`` for what the words mean.

    Attributes:
        words: of methods, see ``methods.Word``.
        as_published: whether the model's weights are those of its folder, without adapters or a file in their place.
    """

    suite: SuiteSpec
    words: Sequence[str]
    model: str
    seed: int = 0
    handover: str = "latent"
    batch: int = 8
    as_published: bool = True

    def methods(self, tuned: Tuned) -> tuple[MethodSpec, ...]:
        """The methods of ``words``; see ``specs`` for what is refused."""
        found = specs(self.words, tuned)
        told = any(spec.oracle for spec in found)
        return specs(self.words, tuned, masks=False) if told and not knows_masks(self.suite) else found

    def manifest(self, identity: ModelIdentity, tuned: Tuned) -> Manifest:
        """The order with nothing left open."""
        return Manifest(
            suite=self.suite,
            methods=self.methods(tuned),
            model=self.model,
            weights_hash=identity.weights_hash,
            dtype=identity.dtype,
            quantize=identity.quantize,
            loras=identity.loras,
            options=identity.options,
            seed=self.seed,
            handover=self.handover,
            batch=self.batch,
            versions=dict(versions()),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def suite_spec(text: str, data: Path | None, limit: int | None, turns: int | None) -> SuiteSpec:
    """The suite that a word names: ``name``, ``name:variant``, or the variant alone of a suite that is ``short``.

    Raises:
        InputError: no such suite or variant.
    """
    name, _, variant = text.partition(":")
    suites = all_suites()
    alone = {each: suite for suite, cls in suites.items() if cls.short for each in cls.variants if each != "default"}
    if not variant and name in alone:
        name, variant = alone[name], name
    look_up("suite", name, dict.fromkeys([*suites, *alone], name))
    data = data if data is None else data.absolute()
    return SuiteSpec(name=name, variant=variant or "default", data=data, limit=limit, turns=turns)


def check(order: Order, run: RunFolder) -> Sequence[Case]:
    """Everything that can be refused before a model is loaded; the cases of the suite.

    Raises:
        InputError: what is asked for cannot be, or the folder holds another run.
    """
    order.methods({})
    cases = open_suite(order.suite)
    if (run.path / MANIFEST).exists():
        there = run.manifest()
        for name in ASKED:
            _same(run, name, getattr(there, name), getattr(order, name))
        if not order.as_published:
            return cases  # which weights these are is known when they are loaded
        folder = locate(order.model)
        # Runs of earlier versions have the hub's commit in the place of the weights.
        here = there.weights_hash if there.weights_hash == folder.revision[:16] else folder.weights_hash
        _same(run, "weights_hash", there.weights_hash, here)
    elif run.path.is_dir() and any(run.path.iterdir()):
        raise InputError(f"'{run.path}' holds other files and no run: choose another folder with --output")
    return cases


def begin(order: Order, run: RunFolder, identity: ModelIdentity, tuned: Tuned) -> Manifest:
    """Start a run, or go on with one that does the same; methods that it lacks are added to it.

    Returns:
        The manifest with the ordered methods only; the folder's may have more.

    Raises:
        InputError: the folder holds another run.
        SessionError: it cannot be written.
    """
    wanted = order.manifest(identity, tuned)
    if not (run.path / MANIFEST).exists():
        run.start(wanted)
        return wanted
    there = run.manifest()
    if identity.has_weights(there.weights_hash):
        wanted = wanted.model_copy(update={"weights_hash": there.weights_hash})
    for name in ASKED + FOUND:
        _same(run, name, getattr(there, name), getattr(wanted, name))
    known = {spec.label: spec for spec in there.methods}
    for spec in wanted.methods:
        _same(run, f"method {spec.label}", known.get(spec.label, spec), spec)
    added = tuple(spec for spec in wanted.methods if spec.label not in known)
    if added:
        run.start(there.model_copy(update={"methods": there.methods + added}))
    return there.model_copy(update={"methods": wanted.methods})


def _same(run: RunFolder, what: str, there: object, asked: object) -> None:
    if there != asked:
        raise InputError(
            f"'{run.path}' is a run with {what} {_shown(there)}, not {_shown(asked)}: "
            "repeat its command to go on with it, or choose another folder with --output"
        )


def _shown(value: object) -> str:
    if isinstance(value, SuiteSpec):
        cuts = [f"{name} {cut}" for name, cut in (("limit", value.limit), ("turns", value.turns)) if cut is not None]
        data = [f"data {value.data}"] if value.data else []
        return ", ".join([f"{value.name}:{value.variant}", *data, *cuts])
    if isinstance(value, MethodSpec):
        return f"{value.method}:{value.preset} {value.params}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    if isinstance(value, tuple):
        return f"'{', '.join(map(str, value)) or 'none'}'"
    return f"'{value}'"
