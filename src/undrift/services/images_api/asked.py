"""What a request to ``/v1/images/edits`` asks for. Everything is checked here, where bytes cross the border."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

from PIL import Image
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from undrift.instructions import TextForm
from undrift.pictures import open_holes
from undrift.pictures.limits import MAX_SIDE
from undrift.session.next_turn import DIALS
from undrift.session.region import checked
from undrift.session.seeds import SEEDS
from undrift.studio import uploads
from undrift.studio.forms import LONGEST_PROMPT, MethodForm
from undrift.studio.http_errors import Refused
from undrift.wording import said

logging.getLogger("python_multipart").addHandler(logging.NullHandler())  # what it logs about forms anybody may send

MAX_BYTES = 2 * uploads.MAX_BYTES + 2**20
"""A picture, a mask, and what is said of them."""

MOST_PARTIAL = 3
_FIELD_BYTES = 64 * 1024
_IMAGES = ("image", "image[]")
_FILES = (*_IMAGES, "mask")
_IGNORED = (
    "background",
    "input_fidelity",
    "moderation",
    "output_compression",
    "quality",
    "safety_identifier",
    "user",
)
"""Fields of the API that mean nothing here; they change no picture."""


def _written(text: str) -> str:
    if found := next((letter for letter in text if letter < " " and letter not in "\t\n\r"), None):
        raise ValueError(f"it has the control character {found!a}, expected text")
    return text


Text = Annotated[str, Field(max_length=LONGEST_PROMPT), AfterValidator(_written)]


def _truth(value: Any) -> Any:
    return {"true": True, "false": False, "": False}.get(value, value) if isinstance(value, str) else value


class Fields(BaseModel):
    """The texts of a request.

    Attributes:
        prompt: an instruction or a caption, see ``read_as``.
        model: what edits; the one that is served.
        n: candidates of the turn.
        size, response_format, output_format: as they are here, or left out.
        stream, partial_images: whether pictures are sent as they come.
        session, turn: go on with this session, from this turn; None begins one, and takes the picture's turn.
        caption: what the picture shows; None takes what is known of it.
        read_as: "caption" or "instruction"; None has it found out.
        method, preset, dial, seed: as everywhere in undrift.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Annotated[Text, Field(min_length=1)]
    model: str | None = None
    n: int = Field(1, ge=1, le=len(DIALS))
    size: str | None = None
    response_format: Literal["b64_json"] = "b64_json"
    output_format: Literal["png"] = "png"
    stream: Annotated[bool, BeforeValidator(_truth)] = False
    partial_images: int = Field(0, ge=0, le=MOST_PARTIAL)
    session: Annotated[str, Field(max_length=64)] | None = None
    turn: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")] | None = None
    caption: Text | None = None
    read_as: TextForm | None = None
    method: str | None = None
    preset: str = "default"
    dial: float = Field(0.0, ge=-1, le=1)
    seed: int | None = Field(None, ge=0, lt=SEEDS)

    def editor(self, usual: str, preset: str) -> MethodForm:
        """The method; without a name the ``usual`` one with its ``preset``."""
        if self.method is None:
            return MethodForm(name=usual, preset=preset if self.preset == "default" else self.preset, dial=self.dial)
        return MethodForm(name=self.method, preset=self.preset, dial=self.dial)


class Asked:
    """A request that was read: its fields, and the files as they came."""

    def __init__(self, fields: Fields, image: bytes, mask: bytes | None) -> None:
        self.fields, self.image, self.mask = fields, image, mask


async def read(request: Request) -> Asked:
    """What a request asks for.

    Raises:
        Refused: no multipart form (415), a broken one, fields that are not known or have wrong values, or no single
            picture (400).
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Refused(415, "expected a form (multipart/form-data) with an image and a prompt")
    form = await _form(request)
    try:
        images = [await _file(form, name, one) for name in _IMAGES for one in form.getlist(name)]
        masks = [await _file(form, "mask", one) for one in form.getlist("mask")]
        fields = _fields(form)
    finally:
        await form.close()
    if len(images) != 1 or len(masks) > 1:
        raise Refused(400, f"expected one image and at most one mask, not {len(images)} and {len(masks)}")
    return Asked(fields, images[0], masks[0] if masks else None)


class _Parser(MultiPartParser):
    """Knows whether the form's end came: without it the part before is passed over."""

    ended = False

    def on_end(self) -> None:
        self.ended = True


async def _form(request: Request) -> FormData:
    async def whole() -> AsyncGenerator[bytes, None]:
        async for part in request.stream():
            yield part
        if not parser.ended:
            raise MultiPartException("it is cut off: its last line, the boundary between two '--', is missing")

    parser = _Parser(request.headers, whole(), max_files=4, max_fields=64, max_part_size=_FIELD_BYTES)
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise Refused(400, f"not a form that can be read: {said(error.message)}") from None
    except UnicodeError:  # of an encoding that the sender named
        raise Refused(400, "the form's texts are not in the encoding that it names: send UTF-8") from None


def region(mask: bytes | None, size: tuple[int, int]) -> Image.Image | None:
    """Where a picture of ``size`` may change: where the mask is transparent, as this API wants it.

    Raises:
        PictureError: not a picture, or without transparency.
        Refused: of another size (400).
    """
    if mask is None:
        return None
    holes = open_holes(mask, max_megapixels=uploads.MAX_MEGAPIXELS).image
    if holes.size != size:
        given, wanted = (f"{width}x{height}" for width, height in (holes.size, size))
        raise Refused(400, f"the mask is {given}, expected the picture's {wanted} pixels")
    return checked(holes, size)


def check_size(size: str | None, picture: tuple[int, int]) -> None:
    """Pictures are never resized.

    Raises:
        Refused: another size was asked for (400).
    """
    wanted = f"{picture[0]}x{picture[1]}"
    if size not in (None, "", "auto", wanted):
        raise Refused(
            400, f"size {size[: 2 * len(str(MAX_SIDE)) + 1]!a}: pictures keep theirs, {wanted}: leave it out"
        )


def _fields(form: FormData) -> Fields:
    texts: dict[str, str] = {}
    for name, value in form.multi_items():
        if name in (*_FILES, *_IGNORED):
            continue
        if isinstance(value, UploadFile):
            raise Refused(400, f"{name[:40]!a} is a file, expected a text")
        if name in texts:
            raise Refused(400, f"{name[:40]!a} is given twice")
        texts[name] = value
    try:
        return Fields.model_validate(texts)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:80]
        raise Refused(400, f"{where!a}: {said(first['msg'])}") from None


async def _file(form: FormData, name: str, value: UploadFile | str) -> bytes:
    if not isinstance(value, UploadFile):
        raise Refused(400, f"'{name}' is a text, expected a file")
    data = await value.read(uploads.MAX_BYTES + 1)
    if len(data) > uploads.MAX_BYTES:
        raise Refused(413, f"'{name}' is larger than the {uploads.MAX_BYTES // 2**20} MB that are taken")
    return data
