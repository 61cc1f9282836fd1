"""Another model for the same page: which there are on this machine, and changing to one.

A model is loaded by the queue's thread, in its place among the turns: those asked for before are made with the old
one. The old one stays in memory until the new one is there: a model that cannot be loaded takes nothing away.
"""

from __future__ import annotations

from typing import Any

from undrift.backbones.local_models import KNOWN, is_here, local_models
from undrift.backbones.placement import free_memory
from undrift.studio.forms import ModelForm
from undrift.studio.http_errors import Refused
from undrift.studio.jobs import About, Job, Running
from undrift.studio.studio import Studio

KIND = "model"


def offers(studio: Studio) -> list[dict[str, Any]]:
    """Every model that could be asked for: those that undrift knows, then others in the hub's cache.

    ``why_not`` says in words why it cannot be changed to, empty if it can.
    """
    free, found = free_memory(), {one.name: one for one in local_models() if one.use != "editor"}
    names = dict.fromkeys([*KNOWN, *found])
    return [_offer(studio, name, free, found.get(name)) for name in names]


def _offer(studio: Studio, name: str, free: int, found: Any) -> dict[str, Any]:
    ready = is_here(name) if found is None else not found.problem and found.use == "model"
    fits = found is None or found.fits(free)
    why_not = ""
    if found is not None and (found.problem or found.use != "model"):
        why_not = found.problem or f"a {found.pipeline} cannot be edited with"
    elif not ready:
        why_not = f"not on this machine: undrift studio --model {name} downloads it"
    elif not fits:
        why_not = f"needs {found.size / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
    return {
        "name": name,
        "about": KNOWN.get(name, ""),
        "bytes": found.size if found is not None else None,
        "licence": found.licence if found is not None else "",
        "used": name == studio.backbone.identity.name,
        "why_not": why_not,
    }


def change(studio: Studio, form: ModelForm) -> Job:
    """Go on with another model, once the turns that are on their way are there.

    Raises:
        Refused: this studio has one model for good, no such model is offered, or it cannot be loaded here (400).
    """
    load = studio.load
    if load is None:
        raise Refused(400, "this studio has one model for good: start another one with --model")
    offered = next((one for one in offers(studio) if one["name"] == form.name), None)
    if offered is None:
        raise Refused(400, f"no model {form.name[:80]!a} on this machine: start the studio with --model")
    if offered["why_not"]:
        raise Refused(400, f"{form.name}: {offered['why_not']}")

    def work(running: Running) -> None:
        running.say("loading")
        made = load(form.name)
        running.check()
        studio.use(made)

    return studio.jobs.submit(About(KIND, "", f"change to {form.name}", form.tab), work)


def check_settled(studio: Studio) -> None:
    """Refuse work that would be planned for one model and done by another.

    Raises:
        Refused: the model is about to be another one (409).
    """
    coming = next((job for job in studio.jobs.open_jobs() if job.about.kind == KIND), None)
    if coming is not None:
        raise Refused(409, f"the studio is about to {coming.about.title}: ask again when it has, or cancel that")
