"""From what a user calls a model to a folder on this machine."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from undrift.backbones.folder import ModelFolder, read_folder
from undrift.errors import ModelError

LITTLEWORLD = "littleworld"
EXAMPLE = "black-forest-labs/FLUX.1-dev"

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
FILES = ["model_index.json", "undrift.json", "*/*.json", "*/*.safetensors", "*/*.txt", "*/*.model"]
"""What is fetched from the hub: configurations, tokenizers and safetensors of the parts, nothing that runs."""


class NotHereError(ModelError):
    """A model of the hub that is not on this machine, and was not to be downloaded."""


def locate(name: str, revision: str | None = None, *, download: bool = True) -> ModelFolder:
    """The folder of ``littleworld``, of a local path, or of a hub id.

    Args:
        name: which; it may come from somebody else's session.
        revision: branch, tag or commit of a hub id.
        download: whether the hub may be asked for what is not cached; else nothing is ever contacted.

    Raises:
        NotHereError: it is not cached, and not to be downloaded.
        ModelError: it cannot be found, reached or read; the message says what to do.
    """
    if name == LITTLEWORLD:
        return _littleworld()
    if (path := _existing(name)) is not None:
        return read_folder(path, name)
    if HUB_ID.fullmatch(name) and not name.startswith("."):
        return _from_hub(name, revision, download)
    raise ModelError(
        f"no model '{name}': expected '{LITTLEWORLD}', an existing folder, or a hub id such as {EXAMPLE}"
    )


def _existing(name: str) -> Path | None:
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


def _from_hub(name: str, revision: str | None, download: bool) -> ModelFolder:
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
        path = Path(snapshot_download(name, revision=revision, allow_patterns=FILES, local_files_only=not download))
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
        if not download:
            raise NotHereError(f"{name} is not on this machine; to download it, add: --model {name}") from None
        raise ModelError(
            f"{name} is not on this machine and cannot be downloaded ({_line(error)}):"
            f" check the network, or give a local folder"
        ) from None
    return read_folder(path, name, revision=path.name)


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
