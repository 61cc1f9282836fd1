"""The references of a turn: pictures whose look it takes on, as a page gives them and as the engine takes them."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageOps

from undrift.methods.base import EditMethod
from undrift.pictures import Check
from undrift.session.engine import check_takes_references
from undrift.session.references import Look
from undrift.session.store import Session
from undrift.session.tree import Tree
from undrift.studio.forms import EditForm, ReferenceForm, painted
from undrift.studio.studio import Studio

Looks = Callable[[Check], tuple[Look, ...]]
"""Opens the references of a turn; what it is given is called meanwhile and may raise."""

Opened = Callable[[Check], Look]


def looks(studio: Studio, session: Session, method: EditMethod, form: EditForm) -> Looks | None:
    """What opens the references that ``form`` gives; None for none.

    Without any they are those of the turn that is made again, if ``method`` takes them. Masks are read at once,
    pictures by the work: an upload may have many megapixels.

    Raises:
        Refused: an upload that is not held any more (404).
        InputError: no such turn, or references for a method that takes none.
        PictureError: a mask is no picture.
    """
    tree = session.tree()
    if form.references:
        check_takes_references(method)
        opened = [_opened(studio, session, tree, one) for one in form.references]
        return lambda check: tuple(one(check) for one in opened)
    like = None if form.like is None else tree.turn(form.like)
    if like is None or like.references_file is None or not method.takes_references:
        return None
    return lambda check: session.references(like)


def fitted(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """``picture`` scaled until it covers ``size``, and cropped to its middle; one of that size stays as it is."""
    if picture.size == size:
        return picture
    return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)


def _opened(studio: Studio, session: Session, tree: Tree, form: ReferenceForm) -> Opened:
    size = (tree.original.width, tree.original.height)
    mask = None if form.mask is None else painted(form.mask, size)
    if form.turn is not None:
        turn = tree.turn(form.turn)
        return lambda check: Look(session.picture(turn), form.weight, mask)
    upload = studio.uploads.get(str(form.upload))
    return lambda check: Look(fitted(upload.picture(check), size), form.weight, mask)
