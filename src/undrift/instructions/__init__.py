"""Turns in plain words: an instruction such as "make the dog blue" becomes the caption that the turn aims at."""

from undrift.instructions.reading import Kind, Reading, TextForm
from undrift.instructions.refusals import NotUnderstood, Refusal, Why
from undrift.instructions.text_form import text_form
from undrift.instructions.understanding import understand

__all__ = ["Kind", "NotUnderstood", "Reading", "Refusal", "TextForm", "Why", "text_form", "understand"]
