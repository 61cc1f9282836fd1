"""Models of the Hugging Face hub: judged by their index before anything large is fetched, and only what is used."""

from __future__ import annotations

import fnmatch
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from undrift.backbones.folder import ModelFolder, NoPipelineError, read_folder
from undrift.backbones.weights import chosen_weights
from undrift.errors import ModelError

log = logging.getLogger(__name__)

INDEXES = ["model_index.json", "modular_model_index.json", "adapter_config.json", "undrift.json"]
"""What is fetched first, to say what a repository is."""

BESIDE = ("*.json", "*.txt", "*.model", "*.jinja")
"""What is fetched of a part beside its weights: configurations and tokenizers, nothing that runs."""

DESCRIPTIONS = [*INDEXES, *(f"*/{pattern}" for pattern in BESIDE)]
"""A pipeline without its weights."""

FILES = [*DESCRIPTIONS, "*/*.safetensors"]
"""What is fetched where the hub does not tell which files there are."""

Tell = Callable[[str], None]

Arrived = Callable[[int, int], None]
"""How many bytes have come, and how many there are to come in all."""


@dataclass(frozen=True)
class Listing:
    """The files of one commit: sizes in bytes by path."""

    commit: str
    sizes: Mapping[str, int]

    def needed(self, folder: ModelFolder) -> list[str]:
        """The files that loading ``folder`` uses, sorted: of each part one variant of its weights, and no pickles."""
        wanted = [path for path in INDEXES if path in self.sizes]
        for part in folder.parts():
            inside = [path for path in self.sizes if path.startswith(f"{part}/") and path.count("/") == 1]
            wanted += [path for path in inside if any(fnmatch.fnmatch(path, f"*/{kind}") for kind in BESIDE)]
            names = [path.partition("/")[2] for path in inside if path.endswith(".safetensors")]
            wanted += [f"{part}/{name}" for name in chosen_weights(names)[0]]
        return sorted(set(wanted))


def fetched(
    name: str, revision: str | None, check: Callable[[ModelFolder], None], tell: Tell = log.info
) -> ModelFolder:
    """A model of the hub, downloaded where it is not here.

    Args:
        name: its hub id.
        revision: branch, tag or commit.
        check: raises ModelError for a model that cannot be used, when nothing but its index was fetched.
        tell: is told in one line what is about to be downloaded.

    Raises:
        ModelError: it cannot be found or reached; the message says what to do.
    """
    with explained(name, revision):
        first = _snapshot(name, revision, INDEXES)
        judged = _judged(first, name)
        check(judged)
        listing = _listing(name, first.name)
        files: Sequence[str] = FILES
        if listing is not None:
            files = listing.needed(judged)
            absent = [listing.sizes[path] for path in files if not (first / path).is_file()]
            if absent:
                tell(f"downloading {name}: {sum(absent) / 1e9:.1f} GB in {len(absent)} files")
        path = _snapshot(name, first.name if listing is not None else revision, files)
    return read_folder(path, name, revision=path.name)


def download(name: str, check: Callable[[ModelFolder], None], arrived: Arrived) -> ModelFolder:
    """A model of the hub, downloaded file by file as far as it is not here; what has come stays if it is stopped.

    Args:
        name: its hub id.
        check: raises ModelError for a model that cannot be used, when nothing but its index was fetched.
        arrived: is told how many bytes have come, and of how many; may raise to stop.

    Raises:
        ModelError: it cannot be found or reached, or there is no room for it; the message says what to do.
    """
    from huggingface_hub import hf_hub_download

    with explained(name, None):
        first = _snapshot(name, None, INDEXES)
        judged = _judged(first, name)
        check(judged)
        listing = _listing(name, first.name)
        if listing is None:
            raise ModelError(f"{name}: the hub does not say which files it has: try again later")
        absent = {path: listing.sizes[path] for path in listing.needed(judged) if not (first / path).is_file()}
        _check_room(name, first, sum(absent.values()))
        done = 0
        for path, size in absent.items():
            tell = _counting(partial(_told, arrived, done, sum(absent.values())))
            hf_hub_download(name, path, revision=first.name, tqdm_class=tell)
            done += size
            arrived(done, sum(absent.values()))
    return read_folder(first, name, revision=first.name)


def _told(arrived: Arrived, before: int, total: int, came: int) -> None:
    arrived(min(before + came, total), total)


def _check_room(name: str, beside: Path, needed: int) -> None:
    free = shutil.disk_usage(beside).free
    if needed > free:
        raise ModelError(
            f"{name} needs {needed / 1e9:.1f} GB of disk and {free / 1e9:.1f} GB are free there: make room, or set"
            " $HF_HOME to a larger disk"
        )


def _counting(came: Callable[[int], None]) -> type[Any]:
    """A progress bar that shows nothing, and tells ``came`` how many bytes of its file are here."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    class Counting(tqdm):
        def __init__(self, *args: Any, **given: Any) -> None:
            super().__init__(*args, **{**given, "disable": True})  # type: ignore[no-untyped-call]
            self._here = int(given.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self._here += int(n or 0)
            came(self._here)
            return None

    return Counting


def _judged(path: Path, name: str) -> ModelFolder:
    """A repository by its index alone.

    Raises:
        ModelError: it has none, and is something else.
    """
    try:
        return read_folder(path, name, revision=path.name)
    except NoPipelineError:
        if (path / "modular_model_index.json").is_file():
            what = "is a modular pipeline (modular_model_index.json): use the repository that it was made from"
        elif (path / "adapter_config.json").is_file():
            what = "is a LoRA: download it, give the model that it is for with --model, and its file with --lora"
        else:
            what = "has no model_index.json: expected a diffusers pipeline, not a file of weights or a LoRA"
        raise ModelError(f"{name} {what}") from None


def cached(name: str, revision: str | None) -> Path:
    """The folder of a model in the hub's cache; nothing is contacted.

    Raises:
        huggingface_hub.errors.LocalEntryNotFoundError: it is not there.
    """
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, revision=revision, allow_patterns=FILES, local_files_only=True))


class NotCachedError(ModelError):
    """Something that is not in the hub's cache and was not to be downloaded."""


def configurations(name: str, *, download: bool, tell: Tell = log.info) -> Path:
    """A folder with all of a pipeline but its weights; the hub is asked for nothing that is in its cache.

    Raises:
        NotCachedError: they are not there and not to be fetched.
        ModelError: they cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        path = Path(snapshot_download(name, allow_patterns=DESCRIPTIONS, local_files_only=True))
        if _described(path, name):
            return path
    except (LocalEntryNotFoundError, OSError, ValueError):
        pass
    if not download:
        raise NotCachedError(f"{name} is not on this machine")
    tell(f"downloading the tokenizer and the configurations of {name}")
    with explained(name, None):
        return _snapshot(name, None, DESCRIPTIONS)


def _described(path: Path, name: str) -> bool:
    """Whether the folder of every part is in a snapshot, which may be that of an index alone."""
    return (path / "model_index.json").is_file() and all(
        (path / part).is_dir() for part in read_folder(path, name).parts() if part != "feature_extractor"
    )


def _snapshot(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns), local_files_only=False))


def _listing(name: str, commit: str) -> Listing | None:
    """The files of a commit; None where the hub cannot be asked and what is cached has to do."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        info = HfApi().model_info(name, revision=commit, files_metadata=True, timeout=20)
    except (HfHubHTTPError, OSError, ValueError):
        return None
    return Listing(commit, {file.rfilename: int(file.size or 0) for file in info.siblings or ()})


@contextmanager
def explained(name: str, revision: str | None) -> Iterator[None]:
    """Turn what the hub's library raises into one line that says what to do."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
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
        raise ModelError(f"'{name}' is no hub id: {first_line(error)}") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"{name} is not on this machine and cannot be downloaded ({first_line(error)}):"
            f" check the network, or give a local folder"
        ) from None


def first_line(error: Exception) -> str:
    """The first line of an error's message, or what kind it is."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def cached_models() -> dict[str, Path]:
    """The newest snapshot in the hub's cache of every model that has an index of a pipeline, by hub id."""
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos: Any = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return {}
    found: dict[str, Path] = {}
    for repo in sorted(repos, key=lambda repo: str(repo.repo_id)):
        snapshots = sorted(repo.revisions, key=lambda revision: float(revision.last_modified), reverse=True)
        paths = [Path(one.snapshot_path) for one in snapshots if (one.snapshot_path / "model_index.json").is_file()]
        if repo.repo_type == "model" and paths:
            found[str(repo.repo_id)] = paths[0]
    return found
