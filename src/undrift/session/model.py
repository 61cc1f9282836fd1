"""What a session remembers of a turn. Plain values only: this is what the SQLite file and the PNGs carry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from undrift.session.fields import (
    Count,
    Decibels,
    Dial,
    Fraction,
    Label,
    Length,
    Name,
    Option,
    Seconds,
    Seed,
    Sha256,
    Time,
    TurnId,
    Values,
    Versions,
)

TurnKind = Annotated[
    Literal["original", "edit", "import", "restore"],
    BeforeValidator(lambda kind: "original" if kind == "source" else kind),
]
"""What a turn is; earlier versions called the original ``source``."""


class DriftNumbers(BaseModel):
    """Change nobody asked for, measured on the pictures, relative to an anchor picture.

    Attributes:
        psnr: dB between the turn and the anchor outside the edited region (higher is closer; None = identical, or
            nothing to compare where ``outside`` is 0).
        changed: fraction of the pixels outside the edited region that changed by more than 8/255.
        outside: fraction of the picture that counts as outside the edited region.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    psnr: Decibels | None
    changed: Fraction
    outside: Fraction

    @property
    def text(self) -> str:
        """In words, such as ``31.2 dB, 0.4 % changed``."""
        if self.outside == 0:
            return "everything is edited"
        level = "identical" if self.psnr is None else f"{self.psnr:.1f} dB"
        return f"{level}, {100 * self.changed:.1f} % changed"


class Stored(BaseModel):
    """Base of what is stored; what earlier versions stored is read under its name of then.

    Class attributes:
        before: the fields' names of today by their former ones.
        rare: fields that are stored only where they hold something, so that a record without them is that of before
            they existed.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    before: ClassVar[Mapping[str, str]] = MappingProxyType({})
    rare: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _without_rare(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        record: dict[str, Any] = handler(self)
        return {name: value for name, value in record.items() if value is not None or name not in self.rare}

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, record: Any) -> Any:
        if not isinstance(record, dict):
            return record
        return {cls.before.get(name, name): value for name, value in record.items()}


class Exchange(Stored):
    """How a language model read an instruction, verbatim; see ``undrift.instructions.exchange``."""

    model: Name
    messages: tuple[tuple[str, str], ...]
    answer: str


class TurnSpec(Stored):
    """Everything that decides a turn's result, resolved and recorded before the work starts.

    Attributes:
        source_prompt: what the parent shows.
        target_prompt: what the turn is to show.
        instruction: what was said, where that was an instruction from which the target prompt was made; None where
            the prompt was given as it is.
        exchange: what was said to the language model that read the instruction, and what it answered; None without.
        words: words of the target prompt that steer the highlighting, None for those that differ.
        region_hash: sha256 of the file that says where the picture may change, None for everywhere.
        references_hash: sha256 of the file with the references, None without any.
        method, preset, params: the editor, its preset's name (``custom`` if it has other parameters than a preset),
            and its resolved parameters.
        dial: where the dial stood that gave the parameters, 0 if it was not turned; None in records of before it was
            recorded.
        seed: the resolved seed, never -1.
        handover: ``latent`` continues from the parent's stored latent, ``image`` re-encodes its picture.
        together: how many candidates the batch had that it was made in; None for one that was made alone.
        model, weights_hash, dtype, quantize, device: what ran.
        loras: adapters of the model, ``file:scale@hash`` each.
        options: how it was loaded beside, ``name=value`` each, see ``ModelIdentity``.
        versions: package versions.
    """

    before: ClassVar[Mapping[str, str]] = MappingProxyType({"region": "region_hash"})
    rare: ClassVar[tuple[str, ...]] = ("references_hash", "together")

    source_prompt: str
    target_prompt: str
    instruction: str | None = None
    exchange: Exchange | None = None
    words: tuple[str, ...] | None = None
    region_hash: Sha256 | None = None
    references_hash: Sha256 | None = None
    method: Label
    preset: Label
    params: Values
    dial: Dial | None = None
    seed: Seed
    handover: Literal["latent", "image"] = "latent"
    together: Count | None = None
    model: Name
    weights_hash: Name
    dtype: Label
    quantize: Label = "none"
    loras: tuple[Name, ...] = ()
    options: tuple[Option, ...] = ()
    device: Label
    versions: Versions


class Loaded(Stored):
    """The model that encoded a picture which no edit made, and how it was loaded: as in ``TurnSpec``."""

    # No base of both: ``TurnSpec`` lists its fields in the order in which pictures carry them, byte for byte.
    model: Name
    weights_hash: Name
    dtype: Label
    quantize: Label = "none"
    loras: tuple[Name, ...] = ()
    options: tuple[Option, ...] = ()
    device: Label


class RestoreSpec(Stored):
    """Everything that decides what putting an earlier picture back gives.

    Attributes:
        anchor: id of the turn whose picture comes back.
        region_hash: sha256 of the file that says where.
    """

    before: ClassVar[Mapping[str, str]] = MappingProxyType({"region": "region_hash"})

    anchor: TurnId
    region_hash: Sha256


class Turn(Stored):
    """A finished turn: an immutable node of the session's tree.

    Attributes:
        id: 12 hex digits, derived from the parent's id and the spec (the original's from its picture and prompt), and
            from a count where a session repeats a turn. The same turns of the same picture have the same ids.
        number: turns from the original (0).
        parent: id of the turn it was made from, None for the original.
        kind: ``original`` (the picture the session began with), ``edit``, ``import`` (a picture put in by hand), or
            ``restore`` (an earlier picture put back in places).
        prompt: what the picture shows.
        spec: of an edit, else None.
        restore: of a restore, else None.
        encoded_by: of the original and of an import; None in sessions of before it was recorded.
        image, latent, mask, region_file, references_file: paths of the files within the session folder, with forward
            slashes. The mask is a grey PNG with one pixel per token, white where the method edited, None if it has
            none; the region is a grey PNG of the picture's size, black where the turn left the picture as it was,
            None for nowhere; the references are a sheet (``undrift.session.references``), None without any.
        image_hash, latent_hash, mask_hash: sha256 of the files; that of the mask was not recorded before.
        width, height: of the picture in pixels.
        token_side: in pixels, of the square that one pixel of the mask stands for; None without a mask, and in
            sessions of version 0.1.0, whose models' were powers of two.
        evaluations, sample_evaluations: NFE.
        remembered: those of the evaluations that were computed before the turn was asked for, ahead of it
            (``undrift.session.ahead``) or for an earlier one; None for none.
        seconds: wall time of the turn.
        drift_original, drift_previous: drift against turn 0 and against the parent, None for an original.
        created: UTC, ISO 8601.
    """

    before: ClassVar[Mapping[str, str]] = MappingProxyType({"region": "region_file"})
    rare: ClassVar[tuple[str, ...]] = ("encoded_by", "references_file", "remembered")

    id: TurnId
    number: Count
    parent: TurnId | None
    kind: TurnKind
    prompt: str
    spec: TurnSpec | None
    restore: RestoreSpec | None = None
    encoded_by: Loaded | None = None
    image: str
    latent: str | None
    mask: str | None = None
    region_file: str | None = None
    references_file: str | None = None
    image_hash: Sha256
    latent_hash: Sha256 | None
    mask_hash: Sha256 | None = None
    width: Length
    height: Length
    token_side: Length | None = None
    evaluations: Count = 0
    sample_evaluations: Count = 0
    remembered: Count | None = None
    seconds: Seconds = 0.0
    drift_original: DriftNumbers | None = None
    drift_previous: DriftNumbers | None = None
    created: Time

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of its files, those that it has."""
        return tuple(self.hashes)

    @property
    def told(self) -> str:
        """What the picture shows, behind the instruction that led to it, if one did: ``make it blue: a blue dog``."""
        said = self.spec and self.spec.instruction
        return f"{said}: {self.prompt}" if said else self.prompt

    @property
    def cost(self) -> str:
        """In words, such as ``18 evaluations, 9 of them ahead, 0.7 s``."""
        ahead = f", {self.remembered} of them ahead" if self.remembered else ""
        return f"{self.evaluations} evaluations{ahead}, {self.seconds:.1f} s"

    @property
    def hashes(self) -> dict[str, str | None]:
        """sha256 of its files by their paths; None for a mask of before that was recorded."""
        of = (self.image_hash, self.latent_hash, self.mask_hash, self.region_hash, self.references_hash)
        names = (self.image, self.latent, self.mask, self.region_file, self.references_file)
        return {name: value for name, value in zip(names, of, strict=True) if name is not None}

    @property
    def region_hash(self) -> str | None:
        """sha256 of the region's file."""
        decided = self.spec or self.restore
        return None if decided is None else decided.region_hash

    @property
    def references_hash(self) -> str | None:
        """sha256 of the file with the references."""
        return None if self.spec is None else self.spec.references_hash
