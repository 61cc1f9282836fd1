"""A clip edited frame by frame, each frame anchored on the one before and on the first.

Frames that are edited singly agree in nothing but their seed: what stands still flickers. Here what stands still is
taken over bit for bit, and only what moves is made:

1. A cell of pixels is *still* where a frame shows what the frame before showed there when that pixel was made,
   which may be long ago, so that a slow fade is noticed; else it has *come back* where it shows what the first did.
   A frame all of whose cells are still, or are the first one's, needs no edit.
2. The frame is edited as a picture by itself, from the same seed, and pulled in latent space towards the edited frame
   before where it is still, and towards the edited first one where it has come back (Proposition 1 of arXiv
   2505.04320 with weights per token; ``EditRequest.references``), for methods that take such anchors.
3. What the edit changed apart from where it acted in the frame before stays the frame's own: an editor that redraws
   what merely moves, or is not sure of it, would do so in every frame.
4. Pixels that are still, or have come back, are the anchor's own bytes. What is edited and hangs together with
   something that moves, a hat on a walking cat, is made anew as a whole, or its old place would stay behind.

Where the words speak of the whole picture the edit acts everywhere: 3 is left out, and in 4 cells alone decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from undrift.backbones.base import Backbone, Geometry
from undrift.errors import InputError
from undrift.flow import Observer
from undrift.methods.base import EditMethod, EditRequest
from undrift.methods.changes import Thresholds, cell_side, changed_cells, composed, connected, enlarged, touched
from undrift.methods.references import Reference
from undrift.methods.scope import Scope, scope_of
from undrift.session.engine import check_region

MOVED = Thresholds(weak=0.04, strong=0.08, grow=1)
"""What counts as a change between frames; a camera's noise is less."""

EDITED = Thresholds(weak=0.1, strong=0.2, grow=1)
"""What counts as a change that the edit made."""


FOLLOWED = 0.5
"""An edit is where it was if so much of that area is met again; else its thing has gone further than its own size."""


@dataclass(frozen=True)
class ClipPlan:
    """What is asked of a clip.

    Attributes:
        source_prompt, target_prompt: what every frame shows, and what it is to show.
        seed: of every frame.
        pull: weight of the anchors, 0 to 1; 0 pulls nothing, and still pixels are taken over all the same.
    """

    source_prompt: str
    target_prompt: str
    seed: int = 0
    pull: float = 0.7


@dataclass(frozen=True)
class EditedFrame:
    """An edited frame.

    Attributes:
        picture: RGB, of the frame's size.
        made: part of its pixels that were made for it, 0 to 1; the others are an anchor's.
        evaluations: of the network.
        remembered: those of them that were computed before (``Backbone.memory``): where the same clip was edited
            otherwise.
    """

    picture: Image.Image
    made: float
    evaluations: int
    remembered: int = 0


@dataclass(frozen=True)
class _Shown:
    """An edited frame as an anchor.

    Attributes:
        picture: the edited frame.
        source: of each pixel what it was made from.
        effect: the cells that the edit changed, bool (rows, columns).
    """

    picture: Image.Image
    source: Image.Image
    effect: Tensor


def edited_clip(
    backbone: Backbone,
    method: EditMethod,
    frames: Sequence[Image.Image],
    plan: ClipPlan,
    observers: Sequence[Observer] = (),
) -> Iterator[EditedFrame]:
    """The edited frames, one after another. Deterministic in the frames, the model and the plan.

    Raises:
        InputError: no frame, frames of several sizes, prompts that say the same, a pull out of range, or a method
            that draws a region anew.
    """
    _check(frames, plan)
    check_region(method, None)
    return _Clip(backbone, method, plan, observers).edited(frames)


def _check(frames: Sequence[Image.Image], plan: ClipPlan) -> None:
    if not frames:
        raise InputError("a clip without frames: give at least one picture")
    for number, frame in enumerate(frames, 1):
        if frame.size != frames[0].size:
            given, wanted = (f"{width}x{height}" for width, height in (frame.size, frames[0].size))
            raise InputError(f"frame {number} is {given}, expected the first one's {wanted} pixels")
    if scope_of(plan.source_prompt, plan.target_prompt) is Scope.NONE:
        raise InputError("the edit says what the frames show already: say what they are to show")
    if not 0.0 <= plan.pull <= 1.0:
        raise InputError(f"the pull of the anchors is {plan.pull:g}, expected 0 to 1")


class _Clip:
    def __init__(self, backbone: Backbone, method: EditMethod, plan: ClipPlan, observers: Sequence[Observer]) -> None:
        self._backbone, self._method, self._plan, self._observers = backbone, method, plan, observers
        self._everywhere = scope_of(plan.source_prompt, plan.target_prompt) is Scope.GLOBAL

    def edited(self, frames: Sequence[Image.Image]) -> Iterator[EditedFrame]:
        picture, effect, spent = self._edit(frames[0], ())
        first = last = _Shown(picture, frames[0], effect)
        yield EditedFrame(picture, 1.0, *spent)
        for frame in frames[1:]:
            last, made, spent = self._next(frame, first, last)
            yield EditedFrame(last.picture, made, *spent)

    def _next(self, frame: Image.Image, first: _Shown, last: _Shown) -> tuple[_Shown, float, tuple[int, int]]:
        """The edited ``frame``, the part of it that was made, and its evaluations, with those remembered."""
        cell = cell_side(self._backbone.geometry(frame.size))
        still = ~changed_cells(last.source, frame, cell, MOVED)
        as_first = ~changed_cells(first.source, frame, cell, MOVED)
        if still.all() or as_first.all():
            return (last if still.all() else first), 0.0, (0, 0)
        back = ~still & as_first
        loose, before = ~(still | back), torch.where(still, last.effect, back & first.effect)
        held = ~self._hanging(loose, before)
        pulled = ((last.picture, still & held), (first.picture, back & held))
        picture, effect, spent = self._edit(frame, pulled)
        picture, effect = self._in_place(frame, picture, effect, last.effect)
        fresh = self._hanging(loose, before | effect)
        anchor = _put(last.picture, still, _put(first.picture, back, picture, cell), cell)
        source = _put(frame, fresh, _put(last.source, still, _put(first.source, back, frame, cell), cell), cell)
        shown = _Shown(composed(anchor, picture, fresh, cell), source, torch.where(fresh, effect, before))
        return shown, float(fresh.float().mean()), spent

    def _in_place(
        self, frame: Image.Image, picture: Image.Image, effect: Tensor, before: Tensor
    ) -> tuple[Image.Image, Tensor]:
        """The edited ``frame`` and its effect without what hangs together with nothing of the effect ``before``."""
        kept = connected(before, effect)
        if self._everywhere or kept.equal(effect) or kept.sum() < FOLLOWED * before.sum():
            return picture, effect
        return composed(frame, picture, kept, cell_side(self._backbone.geometry(frame.size))), kept

    def _hanging(self, loose: Tensor, effect: Tensor) -> Tensor:
        """``loose`` cells and what hangs together with them of what was edited."""
        return loose if self._everywhere else connected(loose, loose | effect)

    def _edit(
        self, frame: Image.Image, pulled: Sequence[tuple[Image.Image, Tensor]]
    ) -> tuple[Image.Image, Tensor, tuple[int, int]]:
        """The frame edited by itself, the cells that this changed, its evaluations and those remembered of them."""
        latent, plan = self._backbone.encode([frame]), self._plan
        references = self._references(pulled, latent.geometry) if self._method.takes_references and plan.pull else ()
        request = EditRequest(
            original=latent,
            previous=latent,
            turn=1,
            source_prompts=[plan.source_prompt],
            target_prompts=[plan.target_prompt],
            words=[None],
            seeds=[plan.seed],
            original_prompts=[plan.source_prompt],
            previous_images=[frame],
            original_images=[frame],
            references=references,
        )
        result = self._method.edit(self._backbone, request, self._observers)
        made = (result.images or self._backbone.decode(result.latent))[0]
        # What the autoencoder alone changes is no edit; a method that settles pixels has left it out.
        untouched = frame if result.images else self._backbone.decode(latent)[0]
        effect = changed_cells(untouched, made, cell_side(latent.geometry), EDITED)
        return made, effect, (result.evaluations, result.remembered)

    def _references(self, pulled: Sequence[tuple[Image.Image, Tensor]], geometry: Geometry) -> tuple[Reference, ...]:
        found = []
        for picture, cells in pulled:
            weight = self._plan.pull * (1.0 - touched(~cells, geometry))
            if weight.any():
                latent = self._backbone.encode([picture]).packed
                found.append(Reference(latent, weight.flatten().unsqueeze(0).to(latent.device)))
        return tuple(found)


def single_frames(
    backbone: Backbone,
    method: EditMethod,
    frames: Sequence[Image.Image],
    plan: ClipPlan,
    observers: Sequence[Observer] = (),
) -> Iterator[EditedFrame]:
    """Every frame edited by itself from the same seed, for comparison with ``edited_clip``.

    Raises:
        InputError: as for ``edited_clip``.
    """
    _check(frames, plan)
    for frame in frames:
        yield from _Clip(backbone, method, replace(plan, pull=0.0), observers).edited([frame])


def _put(picture: Image.Image, cells: Tensor, onto: Image.Image, cell: int) -> Image.Image:
    """``picture`` in ``cells``, ``onto`` elsewhere, bit for bit."""
    here = enlarged(cells, cell, onto.size)[..., None].numpy() > 0
    return Image.fromarray(np.where(here, np.asarray(picture.convert("RGB")), np.asarray(onto.convert("RGB"))))
