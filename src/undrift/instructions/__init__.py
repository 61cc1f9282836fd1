"""Turns in plain words: an instruction such as "make the dog blue" becomes the caption that the turn aims at."""

from undrift.instructions.reading import Kind, NotUnderstood, Reading, TextForm
from undrift.instructions.text_form import text_form
from undrift.instructions.understanding import understand

__all__ = ["Kind", "NotUnderstood", "Reading", "TextForm", "text_form", "understand"]
