"""The work of one turn: from a parent and a specification to the contents of the turn's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from time import perf_counter
from typing import Any

from PIL import Image
from torch import Tensor

from undrift.backbones.base import Backbone, Latent
from undrift.flow import Observer
from undrift.methods.base import EditMethod, EditRequest
from undrift.methods.references import Reference
from undrift.methods.scope import Scope, scope_of
from undrift.pictures import mask_bytes, png_bytes
from undrift.session import drift, latents, region
from undrift.session.model import Turn, TurnSpec
from undrift.session.outcome import Outcome
from undrift.session.provenance import recipe
from undrift.session.references import anchors, looks_of
from undrift.session.store import Session
from undrift.session.tree import Tree


@dataclass(frozen=True)
class Work:
    """Making the contents of one turn from ``parent``, changing nothing outside ``allowed``.

    Attributes:
        sheet: the references of the turn as the session keeps them; None without any.
    """

    session: Session
    backbone: Backbone
    tree: Tree
    parent: Turn
    allowed: Image.Image | None
    sheet: Image.Image | None = None

    def edits(
        self,
        previous: Latent | None,
        specs: Sequence[TurnSpec],
        method: EditMethod,
        observers: Sequence[Observer],
        beside: int = 0,
    ) -> list[Outcome]:
        """What ``specs``, which differ in their seeds alone, make as one batch; ``beside`` others share its time."""
        spec = specs[0]
        before, edits = self._before, self._edits()
        began = perf_counter()
        previous = previous or self.backbone.encode([before])
        request = replace(
            self.request(previous, spec.source_prompt, spec.target_prompt, [one.seed for one in specs]),
            words=[spec.words] * len(specs),
            instructions=[spec.instruction or spec.target_prompt] * len(specs),
        )
        result = method.edit(self.backbone, request, observers)
        pictures = result.images or self.backbone.decode(result.latent)
        rows = [Latent(row.unsqueeze(0), result.latent.geometry) for row in result.latent.packed]
        made = [self._kept(*both, before, previous) for both in zip(pictures, rows, strict=True)]
        seconds = (perf_counter() - began) / (len(specs) + beside)
        masks = [None] * len(specs) if result.mask is None else [_mask_picture(mask) for mask in result.mask]
        return [
            replace(
                self._outcome(picture, latent, before, edits, self._recipe(one), mask, everywhere=_asks_for_all(one)),
                evaluations=result.evaluations,
                sample_evaluations=result.sample_evaluations,
                remembered=result.remembered or None,
                seconds=seconds,
            )
            for one, (picture, latent), mask in zip(specs, made, masks, strict=True)
        ]

    @cached_property
    def _before(self) -> Image.Image:
        return self.session.picture(self.parent)

    @cached_property
    def _original(self) -> Image.Image:
        first = self.tree.original
        return self._before if first.id == self.parent.id else self.session.picture(first)

    def _recipe(self, spec: TurnSpec) -> Mapping[str, Any]:
        return recipe(spec.target_prompt, "edit", self.parent.number + 1, spec)

    def request(self, previous: Latent, source_prompt: str, target_prompt: str, seeds: Sequence[int]) -> EditRequest:
        """What a method is asked for a turn from ``previous``, the latent of the parent: a row for each seed."""
        first, rows = self.tree.original, len(seeds)
        original = self._original
        changeable = self._changeable(previous)
        return EditRequest(
            original=_repeated(self._latent(first, original), rows),
            previous=_repeated(previous, rows),
            turn=self.parent.number + 1,
            source_prompts=[source_prompt] * rows,
            target_prompts=[target_prompt] * rows,
            words=[None] * rows,
            seeds=seeds,
            original_prompts=[first.prompt] * rows,
            original_images=[original] * rows,
            instructions=[target_prompt] * rows,
            previous_images=[self._before] * rows,
            editable_tokens=None if changeable is None else changeable.repeat(rows, 1),
            references=[_row_by_row(reference, rows) for reference in self._references(previous)],
        )

    def restore(self, anchor: Turn) -> Outcome:
        before, wanted, edits = self._before, self.session.picture(anchor), self._edits()
        began = perf_counter()
        old, previous = self._latent(anchor, wanted), self._latent(self.parent, before)
        picture, latent = self._kept(wanted, old, before, previous)
        seconds = perf_counter() - began
        metadata = recipe(self.parent.prompt, "restore", self.parent.number + 1, None)
        return replace(self._outcome(picture, latent, before, edits, metadata), seconds=seconds)

    def _latent(self, turn: Turn, picture: Image.Image) -> Latent:
        return stored_latent(self.session, turn, self.backbone) or self.backbone.encode([picture])

    def _changeable(self, previous: Latent) -> Tensor | None:
        if self.allowed is None:
            return None
        return region.changeable(self.allowed, previous.geometry).to(previous.packed.device)

    def _references(self, previous: Latent) -> tuple[Reference, ...]:
        if self.sheet is None:
            return ()
        looks = looks_of(self.sheet, (self.parent.width, self.parent.height))
        return anchors(looks, self.backbone, previous.geometry)

    def _kept(
        self, made: Image.Image, made_latent: Latent, before: Image.Image, previous: Latent
    ) -> tuple[Image.Image, Latent]:
        """What was made within the region, what was before outside it."""
        if self.allowed is None:
            return made, made_latent
        weight = region.weights(self.allowed)
        return region.blended(made, before, weight), region.blended_latent(made_latent, previous, weight)

    def _outcome(
        self,
        picture: Image.Image,
        latent: Latent,
        before: Image.Image,
        edits: Sequence[drift.Edited],
        metadata: Mapping[str, Any],
        mask: Image.Image | None = None,
        *,
        everywhere: bool = False,
    ) -> Outcome:
        """The files of the turn, and its drift, ``edits`` being where the turns before it edited."""
        side = latent.geometry.token_side
        edit = drift.Edited(mask, self.allowed, side, everywhere)
        return Outcome(
            image=png_bytes(picture, metadata),
            width=picture.width,
            height=picture.height,
            latent=latents.to_bytes(latent, self.backbone),
            mask=None if mask is None else png_bytes(mask),
            region=None if self.allowed is None else mask_bytes(self.allowed),
            references=None if self.sheet is None else png_bytes(self.sheet),
            token_side=None if mask is None else side,
            drift_original=drift.measure(picture, self._original, drift.outside([*edits, edit], picture.size)),
            drift_previous=drift.measure(picture, before, drift.outside([edit], picture.size)),
        )

    def _edits(self) -> list[drift.Edited]:
        return edits_before(self.session, self.tree, self.parent)


def edits_before(session: Session, tree: Tree, parent: Turn) -> list[drift.Edited]:
    """Where the turns from the original to ``parent`` edited; what a turn's drift is measured beside.

    Raises:
        SessionError: one of their masks or regions cannot be read.
    """
    return [_edited(session, turn) for turn in tree.path(parent)[1:]]


def check_files(session: Session, tree: Tree, parent: Turn) -> None:
    """Find out before the work whether what a turn from ``parent`` takes of the session can be read.

    Raises:
        SessionError: a file of it is missing, or not what its turn says.
    """
    for turn in (parent, tree.original):
        session.picture(turn), session.latent(turn)
    edits_before(session, tree, parent)


def stored_latent(session: Session, turn: Turn, backbone: Backbone) -> Latent | None:
    """The stored latent of ``turn`` if it was made with the weights of ``backbone``.

    Raises:
        SessionError: it is none, of another size than the picture, or of another model than the record says.
    """
    data = session.latent(turn)
    stored = None if data is None else latents.from_bytes(data, backbone)
    return stored.latent if stored is not None and stored.fits(backbone) else None


def _edited(session: Session, turn: Turn) -> drift.Edited:
    everywhere = turn.kind == "import" or _asks_for_all(turn.spec)
    return drift.Edited(session.mask(turn), session.region(turn), turn.token_side, everywhere)


def _repeated(latent: Latent, rows: int) -> Latent:
    return latent if rows == 1 else replace(latent, packed=latent.packed.repeat(rows, 1, 1))


def _row_by_row(reference: Reference, rows: int) -> Reference:
    return Reference(reference.latent.repeat(rows, 1, 1), reference.weight.repeat(rows, 1))


def _asks_for_all(spec: TurnSpec | None) -> bool:
    return spec is not None and scope_of(spec.source_prompt, spec.target_prompt) is Scope.GLOBAL


def _mask_picture(mask: Tensor) -> Image.Image:
    return Image.fromarray((mask.detach().float().clamp(0, 1) * 255).round().byte().cpu().numpy())
