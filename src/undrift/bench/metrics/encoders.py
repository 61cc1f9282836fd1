"""Networks that turn pictures and texts into vectors, each loaded once and asked once per picture."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from undrift.bench.metrics.weights import INCEPTION, HubModel, read_network, read_part
from undrift.littleworld.clip import embed_pictures, embed_texts

_TOGETHER = 32
_REMEMBERED = 8192

Encode = Callable[[Sequence[Image.Image]], Tensor]
"""Pictures to vectors (N, D)."""


class Remembering:
    """An encoder that computes each picture once: several metrics look at the same ones."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._rows: dict[bytes, Tensor] = {}

    def __call__(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Vectors (N, D), float32 on the CPU."""
        keys = [_key(picture) for picture in pictures]
        new = {key: picture for key, picture in zip(keys, pictures, strict=True) if key not in self._rows}
        if len(self._rows) + len(new) > _REMEMBERED:
            self._rows.clear()
            new = dict(zip(keys, pictures, strict=True))
        for start in range(0, len(new), _TOGETHER):
            part = list(new.items())[start : start + _TOGETHER]
            rows = self._encode([picture for _, picture in part]).float().cpu()
            self._rows.update(zip([key for key, _ in part], rows, strict=True))
        return torch.stack([self._rows[key] for key in keys])


class Clip(Protocol):
    """A pair of encoders whose vectors, of length one, can be compared.

    Attributes:
        name, title: as in the names and titles of metrics.
        drawn_only: whether it reads the drawn world alone.
    """

    name: str
    title: str
    drawn_only: bool

    def missing(self) -> str | None:
        """What to do before it can be used, in a line; None if nothing."""

    def pictures(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Unit vectors (N, D)."""

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (N, D)."""


class LittleWorldClip:
    """LittleWorld's own; it reads drawn pictures of 128 x 128 alone."""

    drawn_only = True

    def __init__(self, name: str, title: str) -> None:
        self.name, self.title = name, title
        self.pictures = Remembering(embed_pictures)

    def missing(self) -> str | None:
        return None

    def texts(self, texts: Sequence[str]) -> Tensor:
        return embed_texts(texts)


class HubClip:
    """A CLIP in the format of transformers; pictures are prepared with Pillow, as OpenAI's own code does."""

    drawn_only = False

    def __init__(self, name: str, title: str, weights: HubModel) -> None:
        self.name, self.title, self.weights = name, title, weights
        self.pictures = Remembering(self._pictures)

    def missing(self) -> str | None:
        return self.weights.missing()

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors; what exceeds the model's length (77 tokens) is cut off."""
        model, tokenizer, _ = _hub_clip(self.weights.path())
        length = model.config.text_config.max_position_embeddings
        tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=length, return_tensors="pt")
        return _unit(lambda: model.get_text_features(**tokens.to(model.device)))

    def _pictures(self, pictures: Sequence[Image.Image]) -> Tensor:
        model, _, processor = _hub_clip(self.weights.path())
        shown = processor(images=[picture.convert("RGB") for picture in pictures], return_tensors="pt")
        return _unit(lambda: model.get_image_features(pixel_values=shown["pixel_values"].to(model.device)))


_INCEPTION_MODULE = "torch_fidelity.feature_extractor_inceptionv3"
INCEPTION_SIZES = (64, 192, 768, 2048)


class Inception:
    """The Inception-v3 of the original FID, through torch-fidelity: bytes in, resized as TensorFlow 1 did."""

    def __init__(self) -> None:
        self._all = Remembering(self._every_size)

    def missing(self) -> str | None:
        return _torch_fidelity_missing() or INCEPTION.missing()

    def features(self, pictures: Sequence[Image.Image], size: int) -> Tensor:
        """Vectors (N, size) of one of the layers `INCEPTION_SIZES`."""
        start = sum(other for other in INCEPTION_SIZES if other < size)
        return self._all(pictures)[:, start : start + size]

    def _every_size(self, pictures: Sequence[Image.Image]) -> Tensor:
        network = _inception(INCEPTION.path())
        rows = []
        for picture in pictures:
            values = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None]
            with torch.inference_mode():
                rows.append(torch.cat(network(values.to(device())), dim=1)[0])
        return torch.stack(rows)


def _unit(run: Callable[[], Any]) -> Tensor:
    """The vectors of length one; transformers 5 wraps them in an output object, earlier ones did not."""
    with torch.inference_mode():
        found = run()
    vectors = found if isinstance(found, Tensor) else found.pooler_output
    return functional.normalize(vectors.float(), dim=-1).cpu()


@cache
def _hub_clip(folder: Path) -> tuple[Any, Any, Any]:
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    network = read_network(CLIPModel, folder).to(device())
    return network, read_part(CLIPTokenizer, folder), read_part(CLIPImageProcessorPil, folder)


@cache
def _torch_fidelity_missing() -> str | None:
    """torch-fidelity imports torchvision, which refuses to load beside a torch of another build."""
    try:
        importlib.import_module(_INCEPTION_MODULE)
    except ModuleNotFoundError:
        return "install torch-fidelity and the torchvision of your torch: pip install 'undrift[metrics]'"
    except (ImportError, RuntimeError) as error:
        return f"install the torchvision that fits torch {torch.__version__}: {str(error).partition(chr(10))[0]}"
    return None


@cache
def _inception(path: Path) -> Any:
    INCEPTION.state()  # torch-fidelity would run whatever the file says
    network = importlib.import_module(_INCEPTION_MODULE).FeatureExtractorInceptionV3
    sizes = [str(size) for size in INCEPTION_SIZES]
    return network("inception-v3-compat", sizes, feature_extractor_weights_path=str(path)).to(device())


def device() -> torch.device:
    """What the networks that measure run on."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _key(picture: Image.Image) -> bytes:
    return hashlib.sha256(repr((picture.mode, picture.size)).encode() + picture.tobytes()).digest()
