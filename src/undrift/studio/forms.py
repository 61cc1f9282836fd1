"""What the page may ask for. Everything is checked here, where bytes cross the border."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

from PIL import Image
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError, model_validator

from undrift.instructions import TextForm
from undrift.pictures import read_mask
from undrift.session import references
from undrift.session.next_turn import DIALS
from undrift.session.region import region_of
from undrift.session.seeds import SEEDS
from undrift.studio.http_errors import Refused
from undrift.wording import problem

LONGEST_PROMPT = 4000
MOST_WORDS = LONGEST_PROMPT // 2
"""Words and symbols with spaces between them that the longest prompt can have; all of them may be chosen."""
MOST_CANDIDATES = len(DIALS)
MOST_REFERENCES = references.MOST

Prompt = Annotated[str, Field(max_length=LONGEST_PROMPT)]
TurnId = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
Seed = Annotated[int, Field(ge=0, lt=SEEDS)]
Tab = Annotated[str, Field(max_length=40)]
JobId = TurnId
Place = Annotated[int, Field(ge=-(2**17), le=2**17)]

F = TypeVar("F", bound="Form")


class Form(BaseModel):
    """Base of the forms: nothing unknown is taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StartForm(Form):
    """Start a session with an uploaded picture; no name has one chosen.

    ``longest`` scales it down to that many pixels on its longer side, where somebody chose that; nothing else does.
    """

    upload: str
    prompt: Prompt
    name: str | None = None
    longest: int | None = Field(None, ge=16)
    tab: Tab = ""


class MethodForm(Form):
    """Which editor with which parameters; ``dial`` goes from -1, obey, to 1, preserve."""

    name: str
    preset: str = "default"
    params: dict[str, Any] = Field(default_factory=dict)
    dial: float = Field(0.0, ge=-1, le=1)


class ReferenceForm(Form):
    """A picture whose look a turn is to take on: one that was uploaded, or one of the session's turns.

    ``mask`` is a PNG, white where it pulls; without one it pulls everywhere.
    """

    upload: str | None = None
    turn: TurnId | None = None
    weight: float = Field(0.7, gt=0, le=1)
    mask: Base64Bytes | None = None

    @model_validator(mode="after")
    def _is_one_picture(self) -> Self:
        if (self.upload is None) == (self.turn is None):
            raise ValueError("a reference is an upload or a turn, one of them")
        return self


class EditForm(Form):
    """A turn, or several candidates of one. ``only`` and ``protect`` are PNGs, white where it was painted.

    ``after`` names a job of the same session whose turn it is made from, once it is there, in place of ``parent``;
    ``like`` a turn whose region holds where nothing is painted, and whose references do where none are given and the
    method takes them.
    ``instruction`` is what the prompt was made from, ``exchange`` names how a language model read it (``SayForm``).
    """

    parent: TurnId
    after: JobId | None = None
    prompt: Prompt
    source_prompt: Prompt | None = None
    instruction: Prompt | None = None
    exchange: Annotated[str, Field(max_length=64)] | None = None
    words: Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=MOST_WORDS)] | None = None
    method: MethodForm
    seed: Seed | None = None
    count: int = Field(1, ge=1, le=MOST_CANDIDATES)
    together: bool = False
    only: Base64Bytes | None = None
    protect: Base64Bytes | None = None
    references: Annotated[tuple[ReferenceForm, ...], Field(max_length=MOST_REFERENCES)] = ()
    like: TurnId | None = None
    tab: Tab = ""

    def region(self, size: tuple[int, int]) -> Image.Image | None:
        """Where the turn may change a picture of ``size``; None for everywhere."""
        only, protect = (None if mask is None else painted(mask, size) for mask in (self.only, self.protect))
        return region_of(only, protect, size)


class SayForm(Form):
    """What was said of ``turn``: an instruction or a caption; ``ask_model`` puts it to the language model.

    ``method`` is the editor that is chosen: one by instructions is told what nobody understood.
    """

    turn: TurnId
    text: Prompt
    source_prompt: Prompt | None = None
    form: TextForm | None = None
    ask_model: bool = False
    method: Annotated[str, Field(max_length=200)] | None = None


class RestoreForm(Form):
    """Put the picture of ``anchor`` back where ``brush`` is white."""

    parent: TurnId
    anchor: Literal["original"] | TurnId = "original"
    brush: Base64Bytes
    tab: Tab = ""


class RebaseForm(Form):
    """Make what ``turn`` shows anew from the original picture."""

    turn: TurnId
    method: MethodForm
    seed: Seed | None = None
    tab: Tab = ""


class ImportForm(Form):
    """Put an uploaded picture in as a turn."""

    parent: TurnId
    upload: str
    prompt: Prompt
    tab: Tab = ""


class RepeatForm(Form):
    """Make the way to ``turn`` once more, of an uploaded picture that shows ``prompt``, as a session of its own.

    ``name`` is what the session is to be called, with a number where that is taken; ``called`` what the picture is.
    ``longest`` scales the picture as in ``StartForm``.
    """

    turn: TurnId
    upload: str
    prompt: Prompt
    name: Annotated[str, Field(max_length=80)] | None = None
    called: Annotated[str, Field(max_length=80)] = ""
    longest: int | None = Field(None, ge=16)
    tab: Tab = ""


class FrameForm(Form):
    """Begin a session with a part of ``turn``, or with more around it: a rectangle in pixels of its picture.

    ``prompt`` is what the new picture shows, the turn's own where none is given; ``fill`` draws what is new from it.
    """

    turn: TurnId
    prompt: Prompt | None = None
    fill: bool = False
    left: Place
    top: Place
    width: Place
    height: Place
    tab: Tab = ""


class SelectForm(Form):
    """Select the thing at a point of ``turn``, in pixels; ``reach``, 0 to 1, is how much is taken in."""

    turn: TurnId
    x: float = Field(ge=0, le=2**17)
    y: float = Field(ge=0, le=2**17)
    reach: float = Field(0.5, ge=0, le=1)


class HeadForm(Form):
    """Go to ``turn``, or one step from it."""

    turn: TurnId
    step: Literal["here", "undo", "redo", "keep"] = "here"


class BranchForm(Form):
    """Name a branch at ``turn``."""

    turn: TurnId
    name: str


class NoteForm(Form):
    """Note a name of ``turn``, or that it is a favourite."""

    turn: TurnId
    name: Annotated[str, Field(max_length=80)] = ""
    starred: bool = False


class RenameForm(Form):
    """Call a session ``name``."""

    name: str


class ModelForm(Form):
    """Go on with another model."""

    name: Annotated[str, Field(max_length=400)]
    tab: Tab = ""


class PauseForm(Form):
    """Begin no more jobs, or go on."""

    paused: bool


class DiffForm(Form):
    """Two prompts to compare."""

    source: Prompt
    target: Prompt


def parsed(kind: type[F], body: bytes) -> F:
    """``body`` as a form.

    Raises:
        Refused: not JSON, or not of this form (422); one line says what.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise Refused(422, f"the request cannot be used: {problem(error)}") from None


def painted(data: bytes, size: tuple[int, int]) -> Image.Image:
    """A painted mask.

    Raises:
        PictureError: not a picture, or of more pixels than the session's ``size``.
    """
    return read_mask(data, max_megapixels=size[0] * size[1] / 1e6)
