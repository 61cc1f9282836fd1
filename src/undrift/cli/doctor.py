"""``undrift doctor``: what works on this machine for which model, and what to do where it does not."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undrift.cli.options import common, json_option
from undrift.cli.output import emit
from undrift.cli.strings import Name
from undrift.cli.text import line
from undrift.errors import InputError, ModelError
from undrift.wording import size

if TYPE_CHECKING:
    from undrift.backbones.examination import Examined
    from undrift.backbones.machine import Finding
    from undrift.backbones.ways import Way


@click.command()
@click.argument("model", required=False, metavar="[MODEL]", type=Name())
@click.option("--device", default="auto", show_default=True, metavar="DEVICE", help="cpu, cuda, cuda:1 or mps.")
@click.option(
    "--size",
    "side",
    type=click.IntRange(16, 16384),
    default=1024,
    show_default=True,
    help="Side in pixels of the pictures that it is to edit.",
)
@click.option(
    "--transformer",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="MODEL's transformer from this file, as undrift edit takes it.",
)
@json_option
@common
def doctor(model: str | None, device: str, side: int, transformer: Path | None, as_json: bool) -> None:
    """Say what works on this machine: devices, memory, packages, disk; and for MODEL how it can be held in memory.

    Nothing is downloaded. Exits with 2 if something is broken, or if MODEL cannot run here.
    """
    from undrift.backbones.examination import examined
    from undrift.backbones.machine import findings
    from undrift.cli.warm import is_running

    if transformer is not None and model is None:
        raise InputError("--transformer is given without MODEL: name the pipeline that it is for")
    found = [*findings(), _warm(is_running())]
    one = None if model is None else examined(model, device, (side, side), transformer)
    lines = [_told(finding) for finding in found] + ([] if one is None else _model(one, side, transformer))
    value: dict[str, Any] = {"machine": [vars(finding) for finding in found]}
    emit(as_json, value if one is None else {**value, "model": one.as_json()}, "\n".join(lines))
    faults = [finding.text for finding in found if finding.state == "fault"]
    problem = (one.problem if one is not None else "") or "; ".join(faults)
    if problem:
        raise ModelError(problem)


def _warm(running: bool) -> Finding:
    """Whether commands find a model in memory."""
    from undrift.backbones.machine import Finding

    if running:
        return Finding("serve", "ok", "undrift serve runs: commands use the model that it has in memory")
    return Finding("serve", "ok", "undrift serve does not run: every command loads its model")


def _told(finding: Finding) -> str:
    return f"{finding.state:<5}  {finding.topic:<8}  {line(finding.text)}"


def _model(one: Examined, side: int, transformer: Path | None) -> list[str]:
    heads = [f"{'fault' if one.problem else 'ok':<5}  {'model':<8}  {line(one.about)}"]
    if one.parts:
        width = max(len(part) for part in one.parts)
        columns = next(iter(one.parts.values()))
        heads.append(f"\n{'part':<{width}}" + "".join(f"{held:>9}" for held in columns))
        heads += [f"{part:<{width}}" + _cells(sizes.values()) for part, sizes in one.parts.items()]
    if one.ways:
        heads.append(f"\nheld as, for pictures of {side} x {side} pixels on {one.device}:")
        heads += [f"  {_way(way, one.device)}" for way in one.ways]
    if one.best is not None:
        file = "" if transformer is None else f"--transformer {shlex.quote(str(transformer))}"
        flags = " ".join(filter(None, (file, one.best.flags)))
        heads.append(f"\nuse: undrift edit ... --model {shlex.quote(one.name)} {flags}".rstrip())
    heads += [f"note: {note}" for note in one.notes]
    return heads


def _cells(sizes: Iterable[int]) -> str:
    return "".join(f"{size(each):>9}" for each in sizes)


def _way(way: Way, device: str) -> str:
    amounts = [(way.needs.main, ""), (way.needs.loading, " while it is loaded")]
    told = [f"{size(amount)} of main memory{when}" for amount, when in amounts if amount]
    if way.needs.loading <= way.needs.main or not device.startswith("cuda"):
        told = told[: bool(way.needs.main)]
    main = "".join(f" and {each}" for each in told)
    verdict = "fits" if way.fits else f"does not fit {way.short}"
    return f"{way.flags or 'no option':<34}  {size(way.needs.device + way.working)} of {device}{main}: {verdict}"
