"""What an editing method is: one turn, composed from backbone, solver, controller and taps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Self

import torch
from PIL import Image
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from undrift import wording
from undrift.backbones.architecture import Architecture
from undrift.backbones.base import Backbone, Geometry, Latent
from undrift.errors import InputError
from undrift.flow import Observer
from undrift.from_json import from_json
from undrift.methods.cost import REFERENCE_SIZE, Cost
from undrift.methods.needs import Need
from undrift.methods.references import Reference


@dataclass(frozen=True)
class EditRequest:
    """One turn for a batch of pictures; a single picture is a batch of one. All sequences have the batch's length.

    Attributes:
        original: latent of turn 0, X_0.
        previous: latent of the turn to edit, X_{k-1} (the original itself at turn 1).
        turn: k, from 1.
        source_prompts: what ``previous`` shows.
        target_prompts: what the result is to show.
        words: per row the target words that steer the highlighting; None takes those that differ.
        seeds: per row; everything random of the row comes from it, whatever batch it is in.
        original_prompts: what ``original`` shows, for methods that start over from it; empty if unknown.
        previous_images: the pictures of ``previous``, for methods that work on pixels; empty has them decoded.
        instructions: what was said, for methods that follow it; empty has them told the target prompts.
        editable_tokens: (batch, tokens) in [0, 1], 0 where a token must stay as it is in ``previous``; None lets all
            change. Whoever asks puts those tokens back afterwards; a method that heeds it makes the edit fit in.
        original_images: the pictures of ``original``, for methods that work on pixels; empty if unknown.
        references: further anchors, for methods that take them (``EditMethod.takes_references``).
    """

    original: Latent
    previous: Latent
    turn: int
    source_prompts: Sequence[str]
    target_prompts: Sequence[str]
    words: Sequence[Sequence[str] | None]
    seeds: Sequence[int]
    original_prompts: Sequence[str] = ()
    previous_images: Sequence[Image.Image] = ()
    instructions: Sequence[str] = ()
    editable_tokens: Tensor | None = None
    original_images: Sequence[Image.Image] = ()
    references: Sequence[Reference] = ()


@dataclass(frozen=True)
class EditResult:
    """What a method returns.

    Attributes:
        latent: the edited pictures.
        mask: (batch, rows, columns) float in [0, 1], where the method highlighted; None if it has no mask.
        images: the pictures, where the method settles them pixel by pixel; None has the latent decoded.
        evaluations: network calls that a picture took part in (NFE), as the backbone counted them: pictures that are
            made together share theirs. ``EditMethod.edit`` fills it in.
        sample_evaluations: rows evaluated per edited picture, likewise.
        backward_passes: gradients taken through those calls, likewise.
        remembered: those of the evaluations that were computed before, likewise (``Backbone.memory``).
    """

    latent: Latent
    mask: Tensor | None = None
    images: tuple[Image.Image, ...] | None = None
    evaluations: int = 0
    sample_evaluations: int = 0
    backward_passes: int = 0
    remembered: int = 0

    @classmethod
    def of(cls, geometry: Geometry, final: Tensor, mask: Tensor | None = None) -> Self:
        """The result of a pass over the grid that ended at ``final``; ``mask`` is per token, (batch, tokens)."""
        grid = None if mask is None else mask.reshape(-1, geometry.rows, geometry.columns)
        return cls(Latent(final, geometry), mask=grid)


LARGEST = 1e6
"""No parameter of an editor means anything beyond it."""

_BEYOND = 1e30


class Params(BaseModel):
    """Base of the methods' parameters: plain JSON values, each field with its unit, range and source.

    They cross every border (command line, session file, browser), hence validated and immutable.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="after")
    def _of_a_size(self) -> Self:
        """Refuse numbers that no editor means and float32 cannot work with, before the work."""
        for value in _numbers(list(self.__dict__.values())):
            if not abs(value) <= LARGEST:
                raise ValueError(f"{value:.3g} is out of range, expected {-LARGEST:g} to {LARGEST:g}")
        return self

    def updated(self, overrides: Mapping[str, Any]) -> Self:
        """A validated copy with ``overrides``. Strings are parsed, lists, objects and null from JSON ("[11, 15]").

        Raises:
            InputError: an unknown name or a value out of range; the message names it and what is possible.
        """
        unknown = sorted(set(overrides) - set(type(self).model_fields))
        if unknown:
            names = ", ".join(type(self).model_fields)
            raise InputError(f"no parameter named '{unknown[0]}', expected one of: {names}")
        try:
            parsed = {name: _from_json(value) for name, value in overrides.items()}
            return type(self).model_validate({**self.model_dump(), **parsed})
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            where = f"parameter {name}={wording.value(first['input'])}" if name else "parameters"
            raise InputError(f"{where}: {wording.said(first['msg'])}") from None


def _numbers(value: Any) -> Iterator[float]:
    """The numbers in plain JSON values."""
    if isinstance(value, int | float):
        # Integers of any size do not fit a float, nor a message.
        yield float(max(-_BEYOND, min(_BEYOND, value)))
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _numbers(part)


def _odd(side: int) -> int:
    if side % 2 == 0:
        raise ValueError("input should be odd, so that the square has a middle")
    return side


OddSide = Annotated[int, Field(ge=1, le=255), AfterValidator(_odd)]
"""Side of a square around a pixel or token."""


def _from_json(value: Any) -> Any:
    """What a string that can only be JSON stands for; anything else as it is."""
    if isinstance(value, str) and (value == "null" or value.startswith(("[", "{"))):
        with suppress(ValueError):
            return from_json(value)
    return value


Dial = Mapping[str, tuple[Any, Any]]
"""Parameters by name, each with its two ends, (obey, preserve)."""

CUSTOM = "custom"
"""Stands in the place of a preset's name once a parameter is not the preset's any more."""


class EditMethod(ABC):
    """One editor. Subclass it in one file under ``undrift.methods`` and it is found (see ``registry``).

    Class attributes:
        name: what the user types, snake_case.
        title: a short human name.
        paper: title and arXiv number of the source.
        presets: named parameter sets; ``default`` always exists.
        variations: presets that are the default but for the parameters in which they differ from it, and so take what
            a model was tuned to as well; the others may promise a source's exact numbers.
        dial: what the dial between obeying and preserving turns, see ``undrift.methods.dial``.
        follows_instructions: whether it is told instructions as they were said, and edits by a model of its own.
        takes_references: whether pictures can be given that it pulls an edit towards, see ``EditRequest.references``.
        redraws: whether it draws what a region covers anew from the prompt alone: it does nothing sensible without a
            region, and a next turn does not go on with it.
        carried: parameters that a next turn goes on with, as it does with the method.

    Attributes:
        params: this one's parameters.
        preset: the name of the preset that it has the parameters of, ``custom`` once any was overridden or turned.
        dial_value: where the dial stood that gave the parameters, -1 to 1; 0 if it was not turned.
        turned_from: the method that the dial was turned on; None if it was not turned.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    presets: ClassVar[Mapping[str, Params]]
    variations: ClassVar[tuple[str, ...]] = ()
    dial: ClassVar[Dial] = MappingProxyType({})
    follows_instructions: ClassVar[bool] = False
    takes_references: ClassVar[bool] = False
    redraws: ClassVar[bool] = False
    carried: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        presets = vars(cls).get("presets")
        if presets is not None and "default" not in presets:
            raise TypeError(f"{cls.__name__}.presets has no 'default', which is what a turn takes that names none")

    def __init__(self, params: Params | None = None, *, preset: str | None = None, dial_value: float = 0.0) -> None:
        """Without parameters, those of the default preset; which preset given parameters are, ``preset`` says."""
        self.params = params or self.presets["default"]
        self.preset = preset or ("default" if params is None else CUSTOM)
        self.dial_value = dial_value
        self.turned_from: Self | None = None

    def updated(self, overrides: Mapping[str, Any]) -> Self:
        """This method with ``overrides``, see ``Params.updated``; itself where they change nothing."""
        params = self.params.updated(overrides)
        return self if params == self.params else type(self)(params)

    def resolved(self, tuned: Mapping[str, Mapping[str, Any]] | None = None) -> Self:
        """This method with nothing left to a model's ``tuned`` values: what is recorded and run again later."""
        return self

    @abstractmethod
    def cost(self, model: Architecture, size: tuple[int, int] = REFERENCE_SIZE) -> Cost:
        """What one turn with these parameters costs on ``model``, without running it.

        Args:
            model: a backbone, or a description of one without weights.
            size: (width, height) of the picture; only what is kept depends on it.
        """

    def needs(self) -> tuple[Need, ...]:
        """The layers that a turn with these parameters cannot do without."""
        return ()

    def check(self, backbone: Backbone) -> None:
        """Say before a turn starts what ``backbone`` lacks for it.

        Raises:
            InputError: a layer is missing; the message names what and how to do without.
        """
        for need in self.needs():
            need.check(self.name, backbone)

    def chosen_here(self) -> Self:
        """This method; somebody at this machine chose its parameters, and not the record of a session.

        Records may be a stranger's: a model that parameters name is fetched for nobody else.

        Raises:
            ModelError: it cannot be.
        """
        return self

    def pinned(self, backbone: Backbone) -> Self:
        """This method with nothing left open that only a model of its own can tell: what is recorded.

        Raises:
            InputError: that model is not the recorded one.
            ModelError: it cannot be found.
        """
        return self

    def draws_noise(self) -> bool:
        """Whether two seeds give two pictures with these parameters. All noise comes from ``seeded_noise``."""
        return False

    def steered_by_words(self) -> bool:
        """Whether words of the prompt steer where these parameters edit, see ``EditRequest.words``."""
        return False

    def one_by_one(self) -> bool:
        """Whether the pictures of a batch are made one after the other, none sharing a network call with another."""
        return False

    def rehearsed(self) -> Self | None:
        """This method for a turn whose prompt nobody knows yet (``undrift.backbones.rehearsal``).

        What words decide is set so that all is asked of the network that they could have asked. None where nothing
        that a turn asks is known before.
        """
        return None if self.follows_instructions else self

    def edit(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer] = ()) -> EditResult:
        """Run one turn. Deterministic in the request; leaves no tap behind; observers may cancel it.

        Raises:
            InputError: the model lacks layers that the method needs, or the request is one that it refuses.
        """
        self.check(backbone)
        before = backbone.counter.copy()
        with backbone.turning():
            made = self.make(backbone, request, observers)
        spent, pictures = backbone.counter.since(before), len(request.seeds)
        apart = pictures if self.one_by_one() else 1
        return replace(
            made,
            evaluations=spent.evaluations // apart,
            sample_evaluations=spent.rows // pictures,
            backward_passes=spent.backward_passes // apart,
            remembered=spent.remembered // apart,
        )

    @abstractmethod
    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        """Make the edit, for ``edit`` alone, which counts what it takes."""


def seeded_noise(seeds: Sequence[int], like: Tensor, stream: int = 0) -> Tensor:
    """Standard normal noise (rows, ...) whose row r depends on ``seeds[r]`` and ``stream`` alone.

    Drawn on the CPU, so that a seed means the same noise on every device, and row by row, so that a batch has the
    noise of its rows run singly. ``stream`` keeps several draws of one turn independent.
    """
    rows = []
    for seed in seeds:
        generator = torch.Generator("cpu").manual_seed((seed * 1_000_003 + stream) % 2**63)
        rows.append(torch.randn(like.shape[1:], generator=generator, dtype=torch.float32))
    return torch.stack(rows).to(like)
