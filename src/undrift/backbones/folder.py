"""A pipeline folder as diffusers saves it: read and checked before any weight is loaded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from undrift.attention.sites import Site
from undrift.backbones.given import GivenFile, scale_text
from undrift.backbones.weights import chosen_weights, has_usual_name, read_header, resident_bytes, weights_digest
from undrift.errors import ModelError
from undrift.files import open_regular
from undrift.from_json import from_json
from undrift.wording import problem, size

MOST_JSON = 32 * 2**20
"""Bytes of a configuration; the indexes of the largest models' weights have some megabytes."""

PLAIN_INDEX = {"model", "diffusion_pytorch_model", "safetensors", "index", "json"}
"""The words of the file names that say which shard holds which tensor, but for a variant's."""

NETWORKS = ("transformer", "unet")
"""What a pipeline calls the part that predicts."""

REQUIRED = ("scheduler", "vae")
"""Parts without which no picture is made."""

UNUSED = ("safety_checker",)
"""Parts that pipelines of diffusers have and that are never loaded here."""

NEEDLESS = ("feature_extractor", "image_encoder")
"""Parts that pipelines declare for what is not done here, and may be left out of a folder."""

VOCABULARIES = (
    {"tokenizer.json"},
    {"spiece.model"},
    {"tokenizer.model"},
    {"vocab.json", "merges.txt"},
    {"vocab.txt"},
)
"""Files of which a tokenizer has one set or more."""

SHARDS = "*.safetensors.index*.json"
"""What the files are called that say which shard holds which tensor."""

SHARD = re.compile(r"-\d{5}-of-\d{5}")
NOT_SAFE = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True)
class Lora:
    """An adapter of low rank for a pipeline's network.

    Attributes:
        path: its safetensors file.
        scale: how strongly it is added, 1 as it was trained.
    """

    path: Path
    scale: float = 1.0

    @property
    def digest(self) -> str:
        """Which adapter it is, 16 hex digits."""
        return weights_digest([self.path])

    @property
    def label(self) -> str:
        """As turns record it: ``name:scale@digest``."""
        return GivenFile(self.path.name, self.digest, scale_text(self.scale)).label


@dataclass(frozen=True)
class ModelFolder:
    """A local folder with ``model_index.json`` and one subfolder per part.

    Attributes:
        name: what the user loads it by.
        path: the folder.
        index: ``model_index.json``.
        extra: the optional ``undrift.json``: ``tuned`` parameters per method, ``vital_sites``, ``vocabulary``,
            ``notes``.
        revision: the hub's commit, empty for a folder of the user's.
        file: holds the weights of the parts ``replaced``, which are taken instead of the folder's.
        replaced: the network alone, or more of them of a whole checkpoint.
        beside: whether ``file`` was given beside the folder, which is the model; else the file is.
        loras: adapters for the network, in the order in which they are added.
        text_tokens: that prompts take at most, fewer than the model was made for; None for as many.
    """

    name: str
    path: Path
    index: Mapping[str, Any]
    extra: Mapping[str, Any]
    revision: str = ""
    file: Path | None = None
    replaced: tuple[str, ...] = ()
    beside: bool = False
    loras: tuple[Lora, ...] = ()
    text_tokens: int | None = None

    @property
    def pipeline_class(self) -> str:
        return str(self.index.get("_class_name", "none"))

    @property
    def weights_hash(self) -> str:
        """Which weights these are, 16 hex digits: of what the files hold, adapters and their scales included."""
        files = [*self.weight_files(), *([] if self.file is None else [self.file])]
        if not self.loras:
            return weights_digest(files)
        added = "+".join(f"{lora.digest}:{scale_text(lora.scale)}" for lora in self.loras)
        return hashlib.sha256(f"{weights_digest(files)}+{added}".encode()).hexdigest()[:16]

    @property
    def given(self) -> str:
        """As turns record a file that was given beside the folder: ``name@digest``; empty without one."""
        if self.file is None or not self.beside:
            return ""
        return GivenFile(self.file.name, weights_digest([self.file])).label

    @property
    def vae_hash(self) -> str:
        """Which autoencoder this is: latents mean something to every model that has it."""
        if "vae" in self.replaced and self.file is not None:
            return weights_digest([self.file])
        return weights_digest(self.files("vae")) if "vae" in self.parts() else ""

    @property
    def network(self) -> str:
        """The name of the part that makes pictures of noise; empty if there is none."""
        return next((name for name in NETWORKS if name in self.parts()), "")

    def quantized(self, part: str) -> str:
        """How a part was quantised before it was saved, as its configuration says; empty if it was not."""
        given = self.part_config(part).get("quantization_config")
        return quantization_name(given) if isinstance(given, dict) else ""

    def packed(self, part: str) -> str:
        """How the file that a part is taken from holds it quantised: ``gguf``, or ``saved-`` and how; else empty."""
        if part in self.replaced and self.file is not None:
            return "gguf" if self.file.suffix == ".gguf" else ""
        saved = self.quantized(part)
        return f"saved-{saved}" if saved else ""

    def quantizable(self) -> tuple[str, ...]:
        """Names of the parts that quantisation takes: large, and not quantised in their files."""
        return tuple(part for part in self.weighty_parts() if self.is_large(part) and not self.packed(part))

    @property
    def vital_sites(self) -> tuple[Site, ...] | None:
        """``vital_sites`` of ``undrift.json``, written as ``["double", 0]``; None if it has none."""
        given = self.extra.get("vital_sites")
        return None if given is None else tuple(Site(kind, index) for kind, index in given)

    def parts(self) -> tuple[str, ...]:
        """Names of the parts that the index declares present, but for ``UNUSED`` ones."""
        declared = (name for name, value in self.index.items() if name.isidentifier() and _is_part(value))
        return tuple(name for name in declared if name not in UNUSED)

    def weighty_parts(self) -> tuple[str, ...]:
        """Names of the parts that have weights."""
        return tuple(part for part in self.parts() if self.part_config(part))

    def is_large(self, part: str) -> bool:
        """Whether quantisation applies to a part: the network, and text encoders beside CLIP's small ones."""
        name = str(self.index[part][1]) if part in self.parts() else ""
        return part in NETWORKS or (part.startswith("text_encoder") and not name.startswith("CLIP"))

    def files(self, part: str) -> list[Path]:
        """The files of a part's weights, sorted: one variant of them, where there are several."""
        path = self.path / part
        names, _ = chosen_weights([file.name for file in path.glob("*.safetensors")])
        return [path / name for name in names]

    def variant(self, part: str) -> str | None:
        """The variant of a part's weights that is taken, such as ``fp16``; None for those without."""
        names = [file.name for file in (self.path / part).glob("*.safetensors")]
        return chosen_weights(names)[1] or None

    def weight_files(self) -> list[Path]:
        """The files of all parts' weights, sorted; without those of parts that another file holds."""
        return sorted(file for part in self.parts() if part not in self.replaced for file in self.files(part))

    def resident_bytes(self, number_bytes: int) -> int:
        """Bytes that the weights take in memory, ``number_bytes`` a number where they are not packed."""
        packed = 0 if self.file is None else self.file.stat().st_size
        parts = (part for part in self.parts() if part not in self.replaced)
        return packed + sum(self.part_resident_bytes(part, number_bytes) for part in parts)

    def part_resident_bytes(self, part: str, number_bytes: int) -> int:
        """Bytes that a part's files in the folder take in memory, likewise."""
        quantized = bool(self.quantized(part))
        return sum(resident_bytes(file, number_bytes, quantized=quantized) for file in self.files(part))

    def part(self, name: str) -> Path:
        """The subfolder of a part.

        Raises:
            ModelError: the index or the disk lacks it.
        """
        path = self.path / name
        if name not in self.parts() or not path.is_dir():
            raise ModelError(f"{self.name} lacks the part '{name}': {self.path} is incomplete, download it again")
        return path

    def config(self, name: str) -> Mapping[str, Any]:
        """The configuration of a part without weights, such as the scheduler."""
        return _read_json(self.part(name) / f"{name}_config.json")

    def part_config(self, name: str) -> Mapping[str, Any]:
        """The configuration of a part with weights; empty for a part that has none."""
        file = self.path / name / "config.json"
        return _read_json(file) if file.is_file() else {}

    def check_whole(self) -> None:
        """Check that every part is there with its configuration, and as ``check_weights`` says; nothing is loaded.

        Raises:
            ModelError: one of these fails, as after a download that was stopped.
        """
        for name in (*REQUIRED, *self.parts()):
            if name in NEEDLESS or name in self.replaced:
                continue
            path = self.part(name)
            if name.startswith("tokenizer"):
                self._check_tokenizer(path)
            if self.files(name) and not (path / "config.json").is_file():
                raise ModelError(f"{path} holds weights and no config.json: download {self.name} again")
        for name in self.weighty_parts():
            self.check_weights(name)
        self._check_latents()

    def _check_tokenizer(self, path: Path) -> None:
        """Raises ModelError where a tokenizer lacks a file: the libraries make do, and read prompts otherwise."""
        here = {file.name for file in path.iterdir()}
        lacks = "" if "tokenizer_config.json" in here else "tokenizer_config.json"
        if not any(files <= here for files in VOCABULARIES):
            lacks = "tokenizer.json"
        if lacks:
            raise ModelError(f"{path} has no {lacks}: download {self.name} again")

    def _check_latents(self) -> None:
        """Raises ModelError where the network takes other latents than the VAE makes, singly or 2 x 2 a token."""
        network, vae = self.part_config(self.network), self.part_config("vae")
        takes, makes = network.get("in_channels"), vae.get("latent_channels", vae.get("z_dim"))
        if isinstance(takes, int) and isinstance(makes, int) and takes not in (makes, 4 * makes):
            raise ModelError(
                f"the vae of {self.name} makes {makes} latent channels and its {self.network} takes {takes}: one of"
                " them is another model's"
            )

    def check_weights(self, name: str) -> None:
        """Check that the weights of a part are there, complete and in safetensors format.

        Raises:
            ModelError: one of these fails; the message names the file.
        """
        path = self.part(name)
        if name in self.replaced and self.file is not None:
            return  # its file was looked at when it was named
        files = self.files(name)
        if not files and any(next(path.glob(pattern), None) for pattern in NOT_SAFE):
            raise ModelError(
                f"{path} holds pickled weights only, which can run code when read: convert them to safetensors"
            )
        if not files:
            raise ModelError(f"{path} holds no weights (*.safetensors): download {self.name} again")
        if not any(has_usual_name(file.name) for file in files) and not any(path.glob(SHARDS)):
            raise ModelError(
                f"{files[0]} has a name that no library looks for: expected model.safetensors or"
                " diffusion_pytorch_model.safetensors; rename it, or give a transformer's with --transformer"
            )
        if all(SHARD.search(file.name) for file in files) and not any(path.glob(SHARDS)):
            raise ModelError(f"{path} holds shards and no index of them ({SHARDS}): download {self.name} again")
        for missing in _missing_shards(path, self.variant(name) or ""):
            raise ModelError(f"{path / missing} is missing: download {self.name} again")
        for file in files:
            read_header(file)


def quantization_name(config: Mapping[str, Any]) -> str:
    """How weights are quantised, as a part's configuration says: ``nf4``, else the name of the method."""
    if config.get("load_in_4bit"):
        return str(config.get("bnb_4bit_quant_type"))
    method = config.get("quant_method")
    return str(getattr(method, "value", method))


def read_folder(path: Path, name: str, revision: str = "") -> ModelFolder:
    """Read the index of a pipeline folder.

    Raises:
        ModelError: not a folder, or not one of a diffusers pipeline.
    """
    index = path / "model_index.json"
    if not path.is_dir():
        raise NoPipelineError(f"{path} is no folder: expected a pipeline folder with model_index.json", path)
    if not index.is_file():
        raise NoPipelineError(f"{path} has no model_index.json: expected the folder of a diffusers pipeline", path)
    extra = path / "undrift.json"
    known = _read_json(extra) if extra.is_file() else {}
    try:
        _Extra.model_validate(known)
    except ValidationError as error:
        raise ModelError(f"{extra} is not what undrift writes: {problem(error)}") from None
    return ModelFolder(name=name, path=path, index=_read_json(index), extra=known, revision=revision)


class NoPipelineError(ModelError):
    """Something that was named in place of a pipeline's folder, at ``path``."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class _Extra(BaseModel):
    """What ``undrift.json`` may hold."""

    tuned: dict[str, dict[str, Any]] = {}
    vital_sites: list[tuple[str, int]] | None = None
    vocabulary: list[str] | None = None
    notes: str = ""


def _is_part(value: object) -> bool:
    """Whether an entry of the index is a part: its library and its class, which are null for a part left out."""
    return isinstance(value, list) and len(value) == 2 and all(isinstance(name, str) for name in value)


def _read_json(file: Path) -> Mapping[str, Any]:
    try:
        with open_regular(file) as stream:
            data = stream.read(MOST_JSON + 1)
        if len(data) > MOST_JSON:
            raise ModelError(f"{file} has more than {size(MOST_JSON)}, expected a configuration")
        content = from_json(data.decode("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise ModelError(f"{file} holds a {type(content).__name__}, expected an object")
    return content


def _missing_shards(path: Path, variant: str) -> Iterator[str]:
    for index in path.glob(SHARDS):
        if set(index.name.split(".")) - PLAIN_INDEX != ({variant} if variant else set()):
            continue  # of another variant, which may have been left where it was
        named = _read_json(index).get("weight_map")
        if not isinstance(named, dict) or not named:
            raise ModelError(f"{index} names no shards (weight_map): download it again")
        shards = {str(shard) for shard in named.values()}
        yield from sorted(shard for shard in shards if Path(shard).name != shard or not (path / shard).is_file())
