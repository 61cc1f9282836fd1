"""A method: the picture's negative."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import ImageOps

from undrift.backbones import Backbone
from undrift.flow import Observer
from undrift.methods.base import EditRequest, EditResult
from undrift.methods.no_edit import NoEdit


class Negative(NoEdit):
    """X_k = 255 - X_{k-1}, value by value."""

    name = "negative"
    title = "Negative"

    def make(self, backbone: Backbone, request: EditRequest, observers: Sequence[Observer]) -> EditResult:
        images = tuple(ImageOps.invert(image) for image in backbone.decode(request.previous))
        return EditResult(backbone.encode(images), images=images)
