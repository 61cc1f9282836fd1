"""Stands in for ComfyUI's module: whether somebody wants to stop."""

from __future__ import annotations


class InterruptProcessingException(Exception):
    """Somebody wants to stop."""


interrupt_processing = False


def throw_exception_if_processing_interrupted() -> None:
    """Raise once if somebody wants to stop."""
    global interrupt_processing
    if interrupt_processing:
        interrupt_processing = False
        raise InterruptProcessingException
