"""The options that choose a language model to read instructions, which several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from undrift.cli.options import bundle

if TYPE_CHECKING:
    from undrift.instructions.chat_model import ChatModel


@dataclass(frozen=True)
class LanguageChoice:
    """The language model that reads instructions; None leaves them to the grammar."""

    llm: str | None
    llm_model: str | None

    def opened(self) -> ChatModel | None:
        """The model, its key from the environment.

        Raises:
            InputError: half of it is given, or it cannot be used.
        """
        from undrift.instructions.chat_model import chat_model

        return chat_model(self.llm, self.llm_model)


language_options = bundle(
    "chosen_language",
    LanguageChoice,
    (
        click.option(
            "--llm",
            metavar="URL",
            envvar="UNDRIFT_LLM",
            help="OpenAI-compatible address, up to /v1, of a language model that reads instructions; its key goes "
            "into $UNDRIFT_LLM_KEY. Default: $UNDRIFT_LLM, else the grammar, offline.",
        ),
        click.option(
            "--llm-model",
            metavar="NAME",
            envvar="UNDRIFT_LLM_MODEL",
            help="The model's name there. Default: $UNDRIFT_LLM_MODEL.",
        ),
    ),
)
"""The options that choose a language model; the command receives one ``LanguageChoice`` as ``chosen_language``."""
