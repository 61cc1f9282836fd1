"""What is said to a language model and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from undrift.errors import UndriftError

Message = tuple[str, str]
"""Who speaks (``system``, ``user`` or ``assistant``), and what."""


@dataclass(frozen=True)
class Exchange:
    """One instruction put to a language model, verbatim. Neither its address nor its key is part of it.

    Attributes:
        model: the model's name.
        messages: all that the model was given, in order; a first answer that was no answer is among them.
        answer: what it answered in the end.
    """

    model: str
    messages: tuple[Message, ...]
    answer: str


@dataclass(frozen=True)
class Said:
    """One turn so far: what was said, None for the original and for a caption, and what it showed."""

    instruction: str | None
    caption: str


class NoAnswer(UndriftError):
    """A language model gave nothing that can be used; why, in one line.

    Attributes:
        final: whether the server refuses the request itself (key, model, address): no other one will do better.
    """

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class LanguageModel(Protocol):
    """Answers messages with JSON."""

    @property
    def name(self) -> str:
        """What the model is called."""

    def answer(self, messages: Sequence[Message], schema: dict[str, Any] | None, seed: int = 0) -> str:
        """The text of the answer to ``messages``; it is asked to fit the JSON ``schema``, if there is one.

        Raises:
            NoAnswer: there is none.
        """
