"""Backbones: one adapter per family of flow-matching models, and ``load`` to get one by name."""

from undrift.backbones.base import Backbone, Capabilities, Conditioning, Geometry, Latent, ModelIdentity, PromptTokens
from undrift.backbones.loading import from_pipeline, load

__all__ = [
    "Backbone",
    "Capabilities",
    "Conditioning",
    "Geometry",
    "Latent",
    "ModelIdentity",
    "PromptTokens",
    "from_pipeline",
    "load",
]
