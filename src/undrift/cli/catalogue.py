"""What there is: methods, models, and completion for the shell."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undrift.cli.options import common, json_option
from undrift.cli.output import emit, say
from undrift.wording import size

KEEPS = (
    "keeps: what one picture's turn holds from step to step on FLUX.1 at 1024 px, attention features and states of\n"
    "the trajectory, on top of the model and of what an evaluation needs."
)

if TYPE_CHECKING:
    from undrift.backbones.local_models import LocalModel
    from undrift.methods.base import EditMethod


@click.command()
@click.option("--long", "-l", is_flag=True, help="With every parameter, its default and its meaning.")
@json_option
@common
def methods(long: bool, as_json: bool) -> None:
    """List the editing methods, their presets and parameters."""
    from undrift.methods.registry import all_methods

    known = list(all_methods().values())
    text = "\n\n".join([_describe(method, long) for method in known] + ([KEEPS] if long else []))
    emit(as_json, {"methods": [_as_json(method) for method in known]}, text)


@click.command()
@click.option(
    "--models",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also list the pipelines' folders in this one.",
)
@json_option
@common
def models(directory: Path | None, as_json: bool) -> None:
    """List models to edit with, and those on this machine: in the Hub's cache and in a folder of yours."""
    from undrift.backbones.local_models import KNOWN, is_here, local_models
    from undrift.backbones.placement import free_memory

    known = [{"model": name, "about": about, "here": is_here(name)} for name, about in KNOWN.items()]
    found, free = list(local_models(directory)), free_memory()
    width = max(map(len, [*KNOWN, *(one.name for one in found)]))
    rows = [f"{m['model']:<{width}}  {'ready' if m['here'] else 'not here yet'}: {m['about']}" for m in known]
    rows += [f"{one.name:<{width}}  {_local_model(one, free)}" for one in found if one.name not in KNOWN]
    rows.append("Any folder or Hub id of a pipeline of docs/models.md works too: --model FOLDER.")
    here = [{**asdict(one), "fits": one.fits(free)} for one in found]
    emit(as_json, {"models": known, "here": here}, "\n".join(rows))


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash: eval "$(undrift completion bash)"   in ~/.bashrc
    zsh:  eval "$(undrift completion zsh)"    in ~/.zshrc
    fish: undrift completion fish > ~/.config/fish/completions/undrift.fish
    """
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    assert complete is not None  # the choices above are the ones click knows
    script = complete(click.get_current_context().find_root().command, {}, "undrift", "_UNDRIFT_COMPLETE")
    say(script.source_template % script.source_vars())


def _local_model(one: LocalModel, free: int) -> str:
    """One model of this machine in a line."""
    if one.problem:
        return f"{one.pipeline}: {one.problem}"
    if not one.use:
        return f"{one.pipeline}: cannot be edited with"
    option = "--editor" if one.use == "editor" else "--model"
    amount = f"{one.size / 1e9:.1f} GB" if one.size >= 10**8 else size(one.size)
    held = f"{amount} in 16 bits, {'fits' if one.fits(free) else 'does not fit'} as it is"
    return f"{one.pipeline} ({option}): {held}, licence {one.licence or 'unknown'}"


def _describe(method: type[EditMethod], long: bool) -> str:
    lines = [f"{method.name}: {method.title}", f"  {method.paper}", "  presets:"]
    width = max(map(len, method.presets))
    for name, params in method.presets.items():
        lines.append(f"    {name:<{width}}  {_cost(method(params), long)}")
    return "\n".join(lines + (_parameters(method) if long else []))


def _cost(method: EditMethod, long: bool) -> str:
    from undrift.backbones.flux_architecture import FLUX_1

    cost = method.cost(FLUX_1)
    calls, rows, kept = cost.evaluations, cost.sample_evaluations, cost.kept_bytes(FLUX_1)
    text = f"{calls} evaluations a turn" + (f" ({rows} rows)" if rows != calls else "")
    return f"{text}, keeps {size(kept) if kept else 'nothing'} at 1024 px" if long else text


def _parameters(method: type[EditMethod]) -> list[str]:
    default = method.presets["default"]
    fields = type(default).model_fields
    width = max(map(len, fields), default=0)
    lines = ["  parameters (default):"]
    for name, field in fields.items():
        lines.append(f"    {name:<{width}}  {field.description or ''} ({getattr(default, name)})")
    return lines


def _as_json(method: type[EditMethod]) -> dict[str, Any]:
    from undrift.backbones.flux_architecture import FLUX_1

    costs = {name: method(params).cost(FLUX_1) for name, params in method.presets.items()}
    return {
        "name": method.name,
        "title": method.title,
        "paper": method.paper,
        "presets": {
            name: {
                "evaluations": costs[name].evaluations,
                "sample_evaluations": costs[name].sample_evaluations,
                "kept_bytes_1024px": costs[name].kept_bytes(FLUX_1),
                "feature_bytes_1024px": costs[name].feature_bytes,
                "params": params.model_dump(),
            }
            for name, params in method.presets.items()
        },
        "parameters": type(method.presets["default"]).model_json_schema()["properties"],
    }
