"""Where the embedded models lie."""

from __future__ import annotations

from pathlib import Path

from undrift.errors import ModelError

EMBEDDED = {"littleworld": "model", "littleworld-sd": "sd"}
"""Folders beside this file by what users call the models: a `FluxPipeline` and a `StableDiffusionPipeline`."""


def model_path(name: str = "littleworld") -> Path:
    """The folder of an embedded model, an ordinary pipeline folder.

    Raises:
        ModelError: If the package was installed without its weights.
    """
    folder = Path(__file__).parent / EMBEDDED[name]
    if not (folder / "model_index.json").is_file():
        raise ModelError(
            f"no model in {folder}; reinstall undrift with its package data, "
            "or make the weights with the commands in training/README.md"
        )
    return folder
