"""Where the weights of the networks that measure lie. Nothing is downloaded unless it is allowed.

They are looked for in the folder that UNDRIFT_METRIC_WEIGHTS names (else ~/.cache/undrift/metrics), then where the
hub's and torch's own downloads lie. UNDRIFT_METRIC_DOWNLOAD=1 allows to fetch what is missing, unless
HF_HUB_OFFLINE is set. Pickled weights are read by torch's restricted reader alone (``weights_only``), which runs
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from undrift.errors import ModelError

FOLDER = "UNDRIFT_METRIC_WEIGHTS"
DOWNLOAD = "UNDRIFT_METRIC_DOWNLOAD"
_WEIGHTS = ("*.safetensors", "*.bin")


def weights_folder() -> Path:
    """Where the user puts weights."""
    return Path(os.environ.get(FOLDER) or "~/.cache/undrift/metrics").expanduser()


def download_allowed() -> bool:
    """Whether missing weights may be fetched."""
    from huggingface_hub import constants

    return os.environ.get(DOWNLOAD, "") not in ("", "0") and not constants.HF_HUB_OFFLINE


@dataclass(frozen=True)
class HubModel:
    """A model in the format of transformers.

    Attributes:
        repo: id on the hub; the last part is also its name in the user's folder.
        files: what is fetched.
    """

    repo: str
    files: tuple[str, ...] = ("*.json", "*.txt", "model.safetensors")

    @property
    def place(self) -> Path:
        """Where the user puts it."""
        return weights_folder() / self.repo.rpartition("/")[-1]

    def missing(self) -> str | None:
        """What to do if it is not here, in a line; None if it is, or may be fetched."""
        if self._here() is not None or download_allowed():
            return None
        return f"put {self.repo} into {self.place}, or allow its download with {DOWNLOAD}=1"

    def path(self) -> Path:
        """Its folder, fetched if need be.

        Raises:
            ModelError: it is not here and may not or cannot be fetched.
        """
        here = self._here()
        if here is not None:
            return here
        missing = self.missing()
        if missing is not None:
            raise ModelError(f"no weights of {self.repo} here: {missing}")
        return self._fetched()

    def _here(self) -> Path | None:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(self.repo, "config.json")
        places = [self.place, *([Path(cached).parent] if isinstance(cached, str) else [])]
        return next((place for place in places if _holds_a_model(place)), None)

    def _fetched(self) -> Path:
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(self.repo, allow_patterns=list(self.files)))
        except Exception as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ModelError(f"cannot download {self.repo} ({reason}): put it into {self.place}") from error


@dataclass(frozen=True)
class WeightFile:
    """One file of weights.

    Attributes:
        name: with the first eight digits of its sha256, as torch's downloads are called.
        url: where it comes from.
    """

    name: str
    url: str

    def missing(self) -> str | None:
        """What to do if it is not here, in a line; None if it is, or may be fetched."""
        if self._here() is not None or download_allowed():
            return None
        return f"put {self.url} into {weights_folder()}, or allow its download with {DOWNLOAD}=1"

    def path(self) -> Path:
        """The file, fetched and checked if need be.

        Raises:
            ModelError: it is not here and may not or cannot be fetched.
        """
        here = self._here()
        if here is not None:
            return here
        missing = self.missing()
        if missing is not None:
            raise ModelError(f"no weights {self.name} here: {missing}")
        target = weights_folder() / self.name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(self.url, str(target), self._digest(), progress=False)
        except (OSError, RuntimeError) as error:
            raise ModelError(f"cannot download {self.url} ({error}): put it into {weights_folder()}") from error
        return target

    def state(self) -> dict[str, Any]:
        """The tensors in it.

        Raises:
            ModelError: it is not here, damaged, or more than tensors.
        """
        path = self.path()
        try:
            return dict(torch.load(path, weights_only=True, map_location="cpu"))
        except Exception as error:
            raise ModelError(f"'{path}' holds no weights that can be read safely: fetch {self.url} again") from error

    def _digest(self) -> str:
        return self.name.rpartition("-")[-1].partition(".")[0]

    def _here(self) -> Path | None:
        return next((place for place in self._places() if place.is_file()), None)

    def _places(self) -> Iterator[Path]:
        yield weights_folder() / self.name
        yield Path(torch.hub.get_dir()) / "checkpoints" / self.name


def read_network(cls: Any, folder: Path, **options: Any) -> Any:
    """A network of transformers with all of its weights: by itself, transformers makes up what is missing.

    Raises:
        ModelError: weights are missing, of other shapes, or damaged.
    """
    network, found = _read(cls, folder, output_loading_info=True, **options)
    if found["missing_keys"]:
        raise ModelError(f"'{folder}' lacks {len(found['missing_keys'])} weights of a {cls.__name__}: fetch it again")
    return network.eval()


def read_part(cls: Any, folder: Path) -> Any:
    """A tokenizer or image processor of transformers.

    Raises:
        ModelError: its files are missing or damaged.
    """
    return _read(cls, folder)


def _read(cls: Any, folder: Path, **options: Any) -> Any:
    try:
        return cls.from_pretrained(folder, local_files_only=True, **options)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(f"'{folder}' is no {cls.__name__} that transformers can read ({reason})") from error


CLIP_L14 = HubModel("openai/clip-vit-large-patch14")
CLIP_B32 = HubModel("openai/clip-vit-base-patch32")
DINO_B8 = HubModel("facebook/dino-vitb8", ("*.json", "model.safetensors", "pytorch_model.bin"))
INCEPTION = WeightFile(
    "weights-inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
)
SQUEEZENET = WeightFile(
    "squeezenet1_1-b8a52dc0.pth", "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth"
)


def _holds_a_model(place: Path) -> bool:
    return (place / "config.json").is_file() and any(next(place.glob(kind), None) for kind in _WEIGHTS)
