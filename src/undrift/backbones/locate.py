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


def locate(name: str, revision: str | None = None) -> ModelFolder:
    """The folder of ``littleworld``, of a local path, or of a hub id, downloaded if it is not cached.

    Raises:
        ModelError: it cannot be found, reached or read; the message says what to do.
    """
    if name == LITTLEWORLD:
        return _littleworld()
    path = Path(name).expanduser()
    if path.exists():
        return read_folder(path, name)
    if HUB_ID.fullmatch(name) and not name.startswith("."):
        return _from_hub(name, revision)
    raise ModelError(
        f"no model '{name}': expected '{LITTLEWORLD}', an existing folder, or a hub id such as {EXAMPLE}"
    )


def _littleworld() -> ModelFolder:
    from undrift.littleworld.captions import VOCABULARY
    from undrift.littleworld.weights import model_path

    folder = read_folder(Path(model_path()), LITTLEWORLD)
    return replace(folder, extra={**folder.extra, "vocabulary": VOCABULARY})


def _from_hub(name: str, revision: str | None) -> ModelFolder:
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
        path = Path(snapshot_download(name, revision=revision, allow_patterns=FILES))
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
        raise ModelError(
            f"{name} is not on this machine and cannot be downloaded ({_line(error)}):"
            f" check the network, or give a local folder"
        ) from None
    return read_folder(path, name, revision=path.name)


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
