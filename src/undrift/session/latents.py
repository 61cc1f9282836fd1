"""Latents as safetensors files that know which weights they belong to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from undrift.backbones.base import Backbone, Geometry, Latent
from undrift.errors import ModelError, SessionError
from undrift.from_json import from_json
from undrift.session import drift
from undrift.session.fields import LONGEST_NAME

_TENSOR = "packed"
_KEY = "undrift"
_LONGEST_HEADER = 64 * 1024
PADDING = 1024
"""Tokens beyond a picture's pixels that no model's padding reaches."""


@dataclass(frozen=True)
class StoredLatent:
    """A latent and the autoencoder that it was made for; it means nothing to another.

    Attributes:
        latent: what was stored.
        weights_hash: of the model, which is all that earlier versions recorded.
        vae_hash: of its autoencoder; empty if it was not recorded.
    """

    latent: Latent
    weights_hash: str
    vae_hash: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its picture in pixels."""
        return self.latent.geometry.width, self.latent.geometry.height

    def fits(self, backbone: Backbone) -> bool:
        """Whether ``backbone`` can continue from this latent."""
        here = backbone.identity
        if self.vae_hash and here.vae_hash:
            return self.vae_hash == here.vae_hash
        return here.has_weights(self.weights_hash)


def check_maker(backbone: Backbone) -> None:
    """Refuse a model whose turns could not be read again; asked before the work.

    Raises:
        ModelError: it has no name, or does not say which weights it has.
    """
    made_by = Maker(backbone.identity.name, backbone.identity.weights_hash)
    if not _names_a_model(made_by):
        raise ModelError(
            f"the model '{made_by.name}' has the weights hash '{made_by.weights_hash}': expected a name and a hash"
            f" of 1 to {LONGEST_NAME} characters in its identity, without which a session cannot be opened again"
        )


def to_bytes(latent: Latent, backbone: Backbone) -> bytes:
    """A safetensors file: ``packed`` (batch, tokens, channels) float32; the same latent gives the same bytes.

    Geometry and model travel as one JSON entry, because safetensors writes several in random order.
    """
    identity = backbone.identity
    about = {
        "geometry": asdict(latent.geometry),
        "model": identity.name,
        "weights_hash": identity.weights_hash,
        "vae_hash": identity.vae_hash,
    }
    packed = latent.packed.detach().float().cpu().contiguous()
    data: bytes = save({_TENSOR: packed}, metadata={_KEY: json.dumps(about, sort_keys=True)})
    return data


def from_bytes(data: bytes, backbone: Backbone) -> StoredLatent:
    """The latent in a file of ``to_bytes``, on the backbone's device.

    Raises:
        SessionError: another kind of file.
    """
    with _reading():
        about = _about(data)
        geometry = _geometry(about)
        latent = Latent(_packed(data, geometry).to(backbone.identity.device), geometry)
        return StoredLatent(latent, str(about["weights_hash"]), str(about.get("vae_hash", "")))


class Maker(NamedTuple):
    """A model: its name and its weights hash, see ``ModelIdentity``."""

    name: str
    weights_hash: str


def maker_of(data: bytes) -> Maker:
    """The model that made the latent in a file of ``to_bytes``.

    Raises:
        SessionError: another kind of file.
    """
    with _reading():
        about = _about(data)
        named = Maker(about["model"], about["weights_hash"])
        if not _names_a_model(named):
            raise ValueError("it names no model")
        return named


def _names_a_model(found: Maker) -> bool:
    return all(isinstance(text, str) and 0 < len(text) <= LONGEST_NAME for text in found)


def geometry_of(data: bytes) -> Geometry:
    """The picture's size and the token grid of the latent in a file of ``to_bytes``, all of which is looked at.

    Raises:
        SessionError: another kind of file.
    """
    with _reading():
        geometry = _geometry(_about(data))
        _packed(data, geometry)
        return geometry


def _packed(data: bytes, geometry: Geometry) -> Tensor:
    packed: Tensor = load(data)[_TENSOR]
    if packed.dtype != torch.float32 or packed.ndim != 3 or packed.shape[:2] != (1, geometry.tokens):
        raise ValueError(f"a tensor {tuple(packed.shape)} of {packed.dtype} for {geometry.tokens} tokens")
    if not bool(packed.isfinite().all()):
        raise ValueError("it has values that are no numbers")
    return packed


def _geometry(about: Mapping[str, Any]) -> Geometry:
    given = about["geometry"]
    sides = [given["width"], given["height"], given["rows"], given["columns"], given.get("token_side", 1)]
    if any(type(side) is not int or not 0 < side < 2**31 for side in sides):
        raise ValueError(f"sizes {sides}")
    if given["columns"] > given["width"] + PADDING or given["rows"] > given["height"] + PADDING:
        raise ValueError(f"more tokens than pixels: {sides}")
    if "token_side" in given:
        return Geometry(**given)
    side = drift.unrecorded_token_side((given["columns"], given["rows"]), (given["width"], given["height"]))
    return Geometry(**given, token_side=side)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise SessionError(f"a latent file of the session is not one of undrift's: {error}") from None


def _about(data: bytes) -> dict[str, Any]:
    size = int.from_bytes(data[:8], "little")
    if size > _LONGEST_HEADER:
        raise ValueError(f"a header of {size} bytes")
    about: dict[str, Any] = from_json(from_json(data[8 : 8 + size])["__metadata__"][_KEY])
    return about
