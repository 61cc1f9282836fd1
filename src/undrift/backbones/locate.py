"""From what a user calls a model to a folder on this machine."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

from undrift.backbones.folder import ModelFolder, read_folder
from undrift.backbones.named import was_named
from undrift.errors import ModelError

LITTLEWORLD = "littleworld"
EXAMPLE = "black-forest-labs/FLUX.1-dev"

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
FILES = ["model_index.json", "undrift.json", "*/*.json", "*/*.safetensors", "*/*.txt", "*/*.model"]
"""What is fetched from the hub: configurations, tokenizers and safetensors of the parts, nothing that runs."""


class NotNamedError(ModelError):
    """A model that somebody's file names and nobody here has: it would have to be downloaded or opened.

    Attributes:
        what: the model and why it is not taken, in words.
        question: whether to take it, for whoever is at the terminal.
    """

    def __init__(self, name: str, lacks: str, to_do: str) -> None:
        super().__init__(f"{name} {lacks}; to {to_do} it, add: --model {shlex.quote(name)}")
        self.what = f"{name}, which {lacks}"
        self.question = f"{self.what}: {to_do} it?"


def locate(name: str, revision: str | None = None, *, named: bool = True) -> ModelFolder:
    """The folder of ``littleworld``, of a local path, or of a hub id.

    Args:
        name: which.
        revision: branch, tag or commit of a hub id.
        named: whether somebody at this machine named it. What only somebody's file names, a session's, is opened
            if it is the embedded model, in the hub's cache, or a folder that was named here before
            (``undrift.backbones.named``); the hub is not contacted for it, and no other folder looked at.

    Raises:
        NotNamedError: it would have to be downloaded, or is a folder that was never named.
        ModelError: it cannot be found, reached or read; the message says what to do.
    """
    if name == LITTLEWORLD:
        return _littleworld()
    if (named or was_named(name)) and (path := existing(name)) is not None:
        return read_folder(path, name)
    if HUB_ID.fullmatch(name):
        return _from_hub(name, revision, named)
    if not named:
        raise NotNamedError(name, "is a folder that nobody named on this machine before", "open")
    raise ModelError(
        f"no model '{name}': expected '{LITTLEWORLD}', an existing folder, or a hub id such as {EXAMPLE}"
    )


def existing(name: str) -> Path | None:
    """The file or folder that is called ``name``, if there is one."""
    try:
        path = Path(name).expanduser()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):  # too long, a NUL character, the home of nobody
        return None


def _littleworld() -> ModelFolder:
    from undrift.littleworld.captions import VOCABULARY
    from undrift.littleworld.weights import model_path

    folder = read_folder(Path(model_path()), LITTLEWORLD)
    return replace(folder, extra={**folder.extra, "vocabulary": VOCABULARY})


def _from_hub(name: str, revision: str | None, named: bool) -> ModelFolder:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        path = Path(snapshot_download(name, revision=revision, allow_patterns=FILES, local_files_only=not named))
    except GatedRepoError:
        raise ModelError(
            f"{name} is gated: accept its licence at https://huggingface.co/{name}, then run 'hf auth login'"
        ) from None
    except RevisionNotFoundError:
        raise ModelError(f"{name} has no revision '{revision}': see https://huggingface.co/{name}/commits") from None
    except RepositoryNotFoundError:
        raise ModelError(
            f"{name} is neither a local folder nor public on the hub: check the name, or run 'hf auth login'"
        ) from None
    except HFValidationError as error:
        raise ModelError(f"'{name}' is no hub id: {_line(error)}") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        if not named:
            raise NotNamedError(name, "is not on this machine", "download") from None
        raise ModelError(
            f"{name} is not on this machine and cannot be downloaded ({_line(error)}):"
            f" check the network, or give a local folder"
        ) from None
    return read_folder(path, name, revision=path.name)


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
