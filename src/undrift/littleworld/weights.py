"""Where the embedded model lies."""

from __future__ import annotations

from pathlib import Path

from undrift.errors import ModelError

_FOLDER = Path(__file__).parent / "model"


def model_path() -> Path:
    """The folder of the embedded model, an ordinary `FluxPipeline` folder.

    Raises:
        ModelError: If the package was installed without its weights.
    """
    if not (_FOLDER / "model_index.json").is_file():
        raise ModelError(
            f"no model in {_FOLDER}; reinstall undrift with its package data, "
            "or make the weights with the commands in training/README.md"
        )
    return _FOLDER
