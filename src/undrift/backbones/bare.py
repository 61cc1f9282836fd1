"""Which model one is that was put together by hand, from a network and perhaps an autoencoder."""

from __future__ import annotations

from typing import Any

from torch import nn

from undrift.backbones.base import ModelIdentity
from undrift.backbones.placement import Placement
from undrift.backbones.weights import tensors_digest

NAME = "bare"


def bare_identity(network: Any, vae: Any, placement: Placement) -> ModelIdentity:
    """Called ``bare`` and told from others by its weights; ``vae`` may be None.

    Sessions of it open again; nobody loads it by this name.
    """
    modules = [part for part in (network, vae) if isinstance(part, nn.Module)]
    return ModelIdentity(
        NAME,
        tensors_digest(modules),
        placement.dtype_name,
        str(placement.device),
        vae_hash=tensors_digest(modules[1:]) if modules[1:] else "",
    )
