"""Another model for the same page: which there are, bringing one here, and changing to it.

A model is loaded by the queue's thread, in its place among the turns: those asked for before are made with the old
one. The old one stays in memory until the new one is there: a model that cannot be loaded takes nothing away.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch

from undrift.backbones.examination import examined
from undrift.backbones.local_models import KNOWN, TO_DOWNLOAD, is_here, local_models
from undrift.backbones.locate import download
from undrift.backbones.placement import free_memory
from undrift.studio.forms import ModelForm
from undrift.studio.http_errors import Refused
from undrift.studio.job import About, Job, Running
from undrift.studio.studio import Studio

KIND = "model"
ONE_MODEL = "this studio has one model for good: start another one with --model"
MEGA = 10**6
USUAL_SIZE = (1024, 1024)
"""Of pictures in pixels, where none is open."""


def offers(studio: Studio, size: tuple[int, int]) -> list[dict[str, Any]]:
    """Every model that could be asked for: those that undrift knows, then others in the hub's cache.

    ``why_not`` says in words why it cannot be changed to, empty if it can; ``bytes`` and ``licence`` are told of
    those to be downloaded, too; ``memory`` is what it takes in bytes while it edits pictures of ``size``, None where
    that is not known; ``download`` whether it can be brought here.
    """
    free, found = free_memory(), {one.name: one for one in local_models() if one.use != "editor"}
    names = dict.fromkeys([*KNOWN, *found])
    return [_offer(studio, name, free, found.get(name), size) for name in names]


def _offer(studio: Studio, name: str, free: int, found: Any, size: tuple[int, int]) -> dict[str, Any]:
    here = found is not None or is_here(name)
    memory = memory_of(name, studio.backbone.identity.device, size) if here else None
    used = name == studio.backbone.identity.name
    why_not = ""
    if found is not None and (found.problem or found.use != "model"):
        why_not = found.problem or f"a {found.pipeline} cannot be edited with"
    elif not here:
        why_not = "not on this machine"
        if TO_DOWNLOAD.get(name, (0, ""))[0] > free:
            why_not = f"not on this machine, and larger than the {free / 1e9:.1f} GB of memory that are free"
    elif not used and memory is not None and memory.total > free:
        why_not = f"needs {memory.total / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
    size_there, licence_there = TO_DOWNLOAD.get(name, (None, ""))
    return {
        "name": name,
        "about": KNOWN.get(name, ""),
        "bytes": found.size if found is not None else size_there,
        "memory": None if memory is None else memory.total,
        "licence": found.licence if found is not None else licence_there,
        "used": used,
        "why_not": why_not,
        "download": name in KNOWN and (not here or bool(found is not None and found.problem)),
    }


class Memory(NamedTuple):
    """Bytes that a model takes: its weights, and computing on top of them."""

    weights: int
    working: int

    @property
    def total(self) -> int:
        return self.weights + self.working


@lru_cache(maxsize=64)
def memory_of(name: str, device: str, size: tuple[int, int]) -> Memory | None:
    """What a model on this machine takes on ``device`` while it edits pictures of ``size``, held as it is.

    None where its files do not tell.
    """
    ways = examined(name, device, size).ways
    return Memory(ways[0].needs.device, ways[0].working) if ways else None


def turn_memory(studio: Studio, size: tuple[int, int]) -> dict[str, int]:
    """Bytes that a turn on pictures of ``size`` takes on top of the loaded model, and how many are free; none if the
    model's files do not tell."""
    identity = studio.backbone.identity
    found = memory_of(identity.name, identity.device, size)
    if found is None:
        return {}
    return {"memory": found.working, "free": free_memory(torch.device(identity.device))}


def bring_here(studio: Studio, form: ModelForm) -> Job:
    """Download one of the models that undrift knows, beside the turns.

    Raises:
        Refused: this studio has one model for good, no such model is known, or it is on its way (400, 409).
    """
    if studio.load is None:
        raise Refused(400, ONE_MODEL)
    if form.name not in KNOWN or "/" not in form.name:
        known = ", ".join(name for name in KNOWN if "/" in name)
        raise Refused(400, f"{form.name[:80]!a} is not downloaded by the studio, expected one of: {known}")
    title = f"download {form.name}"
    if any(job.about.title == title for job in studio.jobs.open_jobs()):
        raise Refused(409, f"{form.name} is on its way already")

    def work(running: Running) -> None:
        running.say("asking the hub")

        def arrived(done: int, total: int) -> None:
            running.reach(done // MEGA, total // MEGA, f"{done / 1e9:.2f} of {total / 1e9:.2f} GB")

        download(form.name, arrived)
        memory_of.cache_clear()

    return studio.jobs.beside(About("download", "", title, form.tab), work)


def change(studio: Studio, form: ModelForm) -> Job:
    """Go on with another model, once the turns that are on their way are there.

    Raises:
        Refused: this studio has one model for good, no such model is offered, or it cannot be loaded here (400).
    """
    load = studio.load
    if load is None:
        raise Refused(400, ONE_MODEL)
    offered = next((one for one in offers(studio, USUAL_SIZE) if one["name"] == form.name), None)
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
        name = coming.about.title.removeprefix("change to ")
        raise Refused(409, f"the studio is about to change to {name}: ask again when it has, or cancel that")
