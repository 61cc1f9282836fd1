"""Pipelines of diffusers made to keep a picture's own size and to tell of their steps, where no argument does it.

Each is a block around a call, after which the pipeline is as it was.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

MEGAPIXEL = 1024 * 1024
"""What pipelines scale the pictures to that they give their VAE."""

_BENT = threading.RLock()
"""Held while a module of diffusers, which all threads share, does otherwise than it was written."""


@contextmanager
def after_steps(pipe: Any, told: Callable[..., object], calls: int) -> Iterator[None]:
    """Within the block ``told`` hears of every step's end, which is that of its last call of the network."""
    count = 0

    def called(*_: object) -> None:
        nonlocal count
        count += 1
        if count % calls == 0:
            told(pipe, count // calls - 1, None, {})

    hook = pipe.transformer.register_forward_hook(called)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def scaled_to(size: tuple[int, int], pipeline: str) -> Iterator[None]:
    """Have the pipeline of a module give its VAE pictures of ``size``, where it would scale them to a megapixel.

    Another thread that asks for this waits until the block ends.
    """
    module: Any = importlib.import_module(pipeline)
    with _BENT:
        plain = module.calculate_dimensions

        def dimensions(area: int, ratio: float) -> tuple[int, int]:
            if area == MEGAPIXEL:
                return size
            found: tuple[int, int] = plain(area, ratio)
            return found

        module.calculate_dimensions = dimensions
        try:
            yield
        finally:
            module.calculate_dimensions = plain


@contextmanager
def copied_at(copy: tuple[int, int], processor: Any, size: tuple[int, int]) -> Iterator[None]:
    """Have the pipeline's processor make ``copy`` of every other size than ``size`` that it is asked for.

    The pipeline halves the picture that it gives its VAE for its language model, which would read a photo of 12
    megapixels as one of 3, and an icon as a few dots.
    """
    plain = processor.resize

    def resized(image: Any, height: int, width: int, **more: Any) -> Any:
        wanted = size if (width, height) == size else copy
        return plain(image, wanted[1], wanted[0], **more)

    processor.resize = resized
    try:
        yield
    finally:
        del processor.resize
