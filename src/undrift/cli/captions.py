"""What a picture shows where ``--prompt`` does not say it; whoever it came from is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from undrift.cli.output import say
from undrift.cli.text import line
from undrift.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

prompt_option = click.option(
    "--prompt", "-p", help="What the picture shows. Default: what its own metadata says, if undrift made it."
)
caption_option = click.option(
    "--caption-model",
    metavar="MODEL",
    help="Where no prompt says what a picture shows: have this captioning model say it, a folder or a Hub id such as "
    "Salesforce/blip-image-captioning-base.",
)


_EMPTY = (
    "the prompt is empty, so that nothing tells what is there from what an edit adds, which may change nothing: "
    "say what the picture shows with --prompt"
)


def caption_of(image: Path, picture: Image.Image, prompt: str | None, model: str | None) -> str:
    """What ``picture``, read from ``image``, shows. A caption that nobody typed is told on stderr.

    Raises:
        InputError: nobody says it, or two do.
        ModelError: the captioning model cannot be used.
    """
    from undrift.session.provenance import known_prompt

    if prompt is not None and model is not None:
        raise InputError("--prompt and --caption-model both say what the picture shows: give one of them")
    if prompt is not None:
        if not prompt.strip():
            say(f"note: {_EMPTY}", err=True)
        return prompt
    if model is not None:
        from undrift.services.captions import Captioner

        text, source = Captioner(model).caption(picture), f"the caption model {model}"
    else:
        text, source = known_prompt(image), "its own metadata"
    if not text:
        raise InputError("say what the picture shows with --prompt, or name a model that does with --caption-model")
    say(f"note: the picture shows, says {source}: {line(text)}", err=True)
    return text
