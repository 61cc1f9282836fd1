"""The golden transformer as a backbone, and the recorded arrays as requests (see tests/golden/README.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.support.closeness import flux_operations
from undrift.backbones.base import Conditioning, Geometry, Latent, PromptTokens
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.prompts import conditioning_of
from undrift.methods.base import EditMethod, EditRequest, EditResult

FOLDER = Path(__file__).parent.parent / "golden"
TOLERANCE = 2e-4
"""How far a result may lie from the reference implementation's: the bar of the recorded numbers."""
OPERATIONS = flux_operations(double=19, single=38, width=32, tokens=88)
"""Roundings of one evaluation of the transformer (see ``closeness.rounding``)."""
SOURCE, TARGET = "source", "target"
GRID = Geometry(height=128, width=128, rows=8, columns=8, token_side=16)

INPUT = re.compile(r"^(x0|xp|z|txt|vec)(_|$)|_noise$")
"""Arrays that the reference implementations were given; all others are what they computed."""

_COMPARED: set[int] = set()

Embedded = Mapping[str, tuple[Tensor, Tensor]]


@cache
def arrays(name: str) -> dict[str, Tensor]:
    """The arrays of ``tests/golden/<name>.npz``."""
    with np.load(FOLDER / f"{name}.npz") as recorded:
        return {key: torch.from_numpy(recorded[key]) for key in recorded}


@cache
def transformer() -> Any:
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

    return FluxTransformer2DModel.from_pretrained(FOLDER, dtype=torch.float32)


class GoldenBackbone(FluxBackbone):
    """The golden transformer with recorded embeddings in place of text encoders."""

    def __init__(self, embedded: Embedded) -> None:
        super().__init__(transformer())
        self._embedded = embedded

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        rows = [self._embedded[prompt] for prompt in prompts]
        tokens = tuple(PromptTokens(prompt, (prompt,), ((0, len(prompt)),)) for prompt in prompts)
        text, pooled = torch.cat([row[0] for row in rows]), torch.cat([row[1] for row in rows])
        return conditioning_of(text, pooled, tokens)


@cache
def backbone() -> GoldenBackbone:
    """With the prompts of 24 tokens; the empty prompt is recorded as the original's."""
    a = arrays("mtc")
    source, target = (a["txt_src"], a["vec_src"]), (a["txt_tgt"], a["vec_tgt"])
    return GoldenBackbone({SOURCE: source, TARGET: target, "": source})


def request(original: Tensor | None = None, previous: Tensor | None = None, seed: int = 0) -> EditRequest:
    """A first turn on ``x0``, or a later one where ``previous`` is given."""
    first = arrays("mtc")["x0"] if original is None else original
    return EditRequest(
        original=Latent(first, GRID),
        previous=Latent(first if previous is None else previous, GRID),
        turn=1 if previous is None else 2,
        source_prompts=[SOURCE],
        target_prompts=[TARGET],
        words=[None],
        seeds=[seed],
    )


def edit(method: EditMethod, asked: EditRequest | None = None) -> EditResult:
    """Run ``method`` on the golden backbone and check that it spent what it announced."""
    result = method.edit(backbone(), asked or request())
    assert result.evaluations == method.cost(backbone()).evaluations
    return result


def close(ours: Tensor, recorded: Tensor, tolerance: float = TOLERANCE) -> None:
    """Fail unless the two agree within the golden tolerance; ``recorded`` counts as compared (see ``unchecked``)."""
    torch.testing.assert_close(ours, recorded, atol=tolerance, rtol=0)
    _COMPARED.add(id(recorded))


def unchecked() -> list[str]:
    """Recorded results, as ``file:array``, that nothing has been compared with in this process."""
    files = sorted(path.stem for path in FOLDER.glob("*.npz"))
    everything = [(file, key, tensor) for file in files for key, tensor in arrays(file).items()]
    return [
        f"{file}:{key}" for file, key, tensor in everything if not INPUT.search(key) and id(tensor) not in _COMPARED
    ]
