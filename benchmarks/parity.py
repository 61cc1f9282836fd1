"""How far a velocity lies from what diffusers' own pipeline asks of its transformer: family x dtype x size.

On tiny random pipelines in the published layouts, the same seed for both sides. Prints the table of docs/models.md::

    python -m benchmarks.parity
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tests.support import tiny_flux
from tests.support.tiny_pipelines import EVERY, Family
from undrift.backbones import Backbone, from_pipeline

PROMPT = "a red cat on the grass"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIZES = ((24, 40), (64, 64), (128, 72))
FLUX = Family(tiny_flux.pipeline, guidance="guidance_scale", options={"max_sequence_length": tiny_flux.T5_LIMIT})


@dataclass(frozen=True)
class Row:
    """The largest difference of one velocity, and the largest number in it."""

    family: str
    dtype: str
    size: str
    difference: float
    largest: float


def rows() -> Iterator[Row]:
    """One for every family, dtype and size (width, height)."""
    for name, family in {"flux": FLUX, **EVERY}.items():
        for dtype, torch_dtype in DTYPES.items():
            # Two pipelines of the same weights: a family may put processors of its own into the one it is given.
            pipe, given = (family.make().to(torch_dtype) for _ in range(2))
            pipe.set_progress_bar_config(disable=True)
            backbone = from_pipeline(given, name=name)
            for width, height in SIZES:
                ours, theirs = _velocities(pipe, family, backbone, (width, height))
                difference = float((ours - theirs).abs().max())
                yield Row(name, dtype, f"{width} x {height}", difference, float(theirs.abs().max()))


def _velocities(pipe: Any, family: Family, backbone: Backbone, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """What undrift and what diffusers make of the same latents at the first step, float32."""
    geometry = backbone.geometry(size)
    start = torch.randn(1, geometry.tokens, 16, generator=torch.Generator().manual_seed(1))
    calls: list[tuple[dict[str, Any], Tensor]] = []
    hook = pipe.transformer.register_forward_hook(
        lambda _, args, named, out: calls.append((named, out[0])), with_kwargs=True
    )
    # Without guidance there is one call a step, and nothing to lead away from.
    options = {key: value for key, value in family.options.items() if key != "negative_prompt"}
    try:
        pipe(
            prompt=[PROMPT],
            width=size[0],
            height=size[1],
            num_inference_steps=2,
            latents=family.to_pipeline(start, geometry).to(pipe.transformer.dtype),
            output_type="latent",
            **{family.guidance: 1.0},
            **options,
        )
    finally:
        hook.remove()
    named, velocity = calls[0]
    sigma = float(named["timestep"][0]) / family.timestep_scale
    field = backbone.velocity_field(backbone.embed([PROMPT]), geometry, 1.0)
    ours = field(family.from_pipeline(named["hidden_states"]).float(), sigma)
    return ours, family.from_pipeline(velocity).float()


HEAD = "| family | dtype | size | largest difference | largest number |\n| --- | --- | --- | --- | --- |"


def line(row: Row) -> str:
    """A row of the table, which is headed by ``HEAD``."""
    return f"| {row.family} | {row.dtype} | {row.size} | {row.difference:.1e} | {row.largest:.1f} |"


def main() -> None:
    """Print the table."""
    print(HEAD)
    for row in rows():
        print(line(row))


if __name__ == "__main__":
    main()
