"""A model family: a fork of FLUX under a pipeline name of its own."""

from __future__ import annotations

from undrift.backbones.flux import FluxBackbone


class ForkBackbone(FluxBackbone):
    """Loads what the fork saved; everything else is as in FLUX."""

    pipeline_classes = ("ForkPipeline",)
