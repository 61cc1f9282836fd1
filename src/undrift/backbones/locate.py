"""From what a user calls a model to a folder on this machine."""

from __future__ import annotations

import logging
import re
import shlex
from dataclasses import replace
from pathlib import Path

from undrift.backbones import hub
from undrift.backbones.checkpoint import NotHereError, checkpoint_folder, pipeline_of
from undrift.backbones.folder import ModelFolder, NoPipelineError, read_folder
from undrift.backbones.hub import Tell
from undrift.backbones.named import was_named
from undrift.errors import ModelError
from undrift.files import named
from undrift.littleworld.weights import EMBEDDED, model_path

log = logging.getLogger(__name__)

LITTLEWORLD = "littleworld"
EXAMPLE = "black-forest-labs/FLUX.1-dev"

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


ADDRESS = re.compile(rf"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/({HUB_ID.pattern})(?:[/?#]|$)")
"""Of a model's page on the hub, as browsers show it."""


class NotNamedError(ModelError):
    """A model that somebody's file names and nobody here has: it would have to be downloaded or opened.

    Attributes:
        lacks: why it is not taken, in words.
        what: the model and why it is not taken, in words.
        question: whether to take it, for whoever is at the terminal.
    """

    def __init__(self, name: str, lacks: str, to_do: str) -> None:
        super().__init__(f"{name} {lacks}; to {to_do} it, add: --model {shlex.quote(name)}")
        self.lacks = lacks
        self.what = f"{name}, which {lacks}"
        self.question = f"{self.what}: {to_do} it?"


def locate(
    name: str,
    revision: str | None = None,
    *,
    named: bool = True,
    download: bool = True,
    tell: Tell = log.info,
) -> ModelFolder:
    """The folder of ``littleworld`` or ``littleworld-sd``, of a local path, or of a hub id.

    A path may be that of a whole checkpoint (``undrift.backbones.checkpoint``).

    Args:
        name: which.
        revision: branch, tag or commit of a hub id.
        named: whether somebody at this machine named it. What only somebody's file names, a session's, is opened
            if it is an embedded model, in the hub's cache, or a folder that was named here before
            (``undrift.backbones.named``); the hub is not contacted for it, and no other folder looked at.
        download: whether what a checkpoint lacks may be fetched, if it is named.
        tell: is told in one line what is about to be downloaded.

    Raises:
        NotNamedError: it, or what it lacks, would have to be downloaded, or it is a folder that was never named.
        ModelError: it cannot be found, reached or read; the message says what to do.
    """
    path = existing(name) if named or was_named(name) else None
    if revision is not None and (name in EMBEDDED or path is not None):
        raise ModelError(f"{name} is on this machine and has no revisions: leave out --revision {revision}")
    if name in EMBEDDED:
        return _littleworld(name)
    if path is not None:
        return _read(path, name, fetch=named and download, tell=tell)
    if HUB_ID.fullmatch(name):
        return _from_hub(name, revision, named, tell)
    if not named and was_named(name):
        raise ModelError(f"the session was made with {name}, which is no longer there: give --model with its path")
    if not named:
        raise NotNamedError(name, "is a folder that nobody named on this machine before", "open")
    if (address := ADDRESS.match(name)) is not None:
        raise ModelError(f"'{name}' is an address, expected a hub id: give --model {address[1]}")
    raise ModelError(
        f"no model '{name}': expected '{LITTLEWORLD}', an existing folder, or a hub id such as {EXAMPLE}"
    )


def download(name: str, arrived: hub.Arrived) -> ModelFolder:
    """Fetch a model of the hub that undrift can edit with; see ``undrift.backbones.hub.download``.

    Raises:
        ModelError: it cannot be edited with, found or reached, or there is no room for it.
    """
    return hub.download(name, _usable, arrived)


def existing(name: str) -> Path | None:
    """The file or folder that is called ``name``, if there is one; the name of an embedded model is its own."""
    if name in EMBEDDED:
        return None
    try:
        path = named(name).expanduser()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):  # too long, a NUL character, the home of nobody
        return None


def _littleworld(name: str) -> ModelFolder:
    from undrift.littleworld.captions import VOCABULARY

    folder = read_folder(model_path(name), name)
    return replace(folder, extra={**folder.extra, "vocabulary": VOCABULARY})


def _from_hub(name: str, revision: str | None, named: bool, tell: Tell) -> ModelFolder:
    from huggingface_hub.errors import LocalEntryNotFoundError

    if named:
        return hub.fetched(name, revision, _usable, tell)
    try:
        path = hub.cached(name, revision)
    except (LocalEntryNotFoundError, OSError, ValueError):
        raise NotNamedError(name, "is not on this machine", "download") from None
    return _read(path, name, path.name)


def _usable(folder: ModelFolder) -> None:
    from undrift.backbones.editors import EDITORS
    from undrift.backbones.refusals import check_index

    if folder.pipeline_class not in EDITORS:
        check_index(folder.name, folder.index)


def _read(path: Path, name: str, revision: str = "", *, fetch: bool = False, tell: Tell = log.info) -> ModelFolder:
    """The pipeline's folder at ``path``; what is there instead is said, with what to do with it."""
    try:
        if pipeline_of(path):
            return checkpoint_folder(path, name, download=fetch, tell=tell)
        return read_folder(path, name, revision)
    except NotHereError as error:
        raise NotNamedError(name, str(error), "download") from None
    except NoPipelineError as error:
        from undrift.backbones.refusals import no_folder, no_pipeline

        raise (no_pipeline(error.path) if error.path.is_dir() else no_folder(error.path)) from None
