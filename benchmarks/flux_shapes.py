"""Timings of a turn on a device, with weights that nobody has to download.

On a GPU: a transformer of FLUX.1-dev's shape with random bfloat16 weights, because time does not depend on their
values. On a CPU: LittleWorld. For every picture size, and for highlighting off, fused and materialised, it prints the
seconds of a forward and of an 8-step turn (transformer only), the turn against its 18 bare forwards and against the
device's arithmetic limit, and the peak memory::

    python -m benchmarks.flux_shapes --sizes 512 1024 --compiled --offload none model group
    python -m benchmarks.flux_shapes --blocks 4 8 --offload none group        # a fifth of the network
    python -m benchmarks.flux_shapes --device cpu --model flux --blocks 1 1 --heads 1 --sizes 64
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.flux_bars import device_name, transformer, write_rows
from benchmarks.measure import fastest, peak_bytes, reset_peak
from undrift.attention.kernel import KernelName
from undrift.attention.words import changed_spans
from undrift.backbones import Backbone, Conditioning, Geometry, Latent, PromptTokens, load
from undrift.backbones.compiling import compile_blocks
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.placement import Offload, Placement
from undrift.backbones.prompts import conditioning_of
from undrift.methods.base import EditRequest
from undrift.methods.multi_turn import MultiTurn, MultiTurnParams

STEPS = 8
PROMPTS = ("a red cat in the snow", "a red dog in the snow")
TEXT_TOKENS = 512
TOKEN_SIDE = 16
FULL, HEADS, HEAD_WIDTH = (19, 38), 24, 128
HIGHLIGHTS = ("off", "fused", "materialised")
PEAK_FLOPS = {"H100": 800e12, "H200": 800e12, "A100": 280e12}
"""Dense bfloat16 rates that large matrix products reach, by a part of the device's name."""


@dataclass(frozen=True)
class Row:
    """One line of the table; seconds, and bytes."""

    size: int
    mode: str
    offload: str
    highlight: str
    forward: float
    turn: float
    evaluations: int
    over_forwards: float
    over_limit: float | None
    peak: int


class RandomFlux(FluxBackbone):
    """A transformer of FLUX.1-dev's shape with random weights; prompts embed to noise of the right shape."""

    def __init__(self, device: torch.device, offload: Offload, blocks: Sequence[int], heads: int) -> None:
        made = transformer(blocks, device, torch.bfloat16, heads)
        placement = Placement(device, torch.bfloat16, offload)
        placement.place([made if offload == "none" else made.cpu()])
        super().__init__(made, placement=placement)
        self.transformer = made

    def embed(self, prompts: Sequence[str]) -> Conditioning:
        tokens = tuple(_words(prompt) for prompt in prompts)
        config = self.transformer.config
        text = torch.randn(len(prompts), TEXT_TOKENS, config.joint_attention_dim)
        pooled = torch.randn(len(prompts), config.pooled_projection_dim)
        return conditioning_of(text, pooled, tokens)

    def compile(self) -> None:
        """Compile the blocks, each kind once."""
        compile_blocks(self.transformer)


class KernelMultiTurn(MultiTurn):
    """The paper's method with a chosen attention kernel, and a mask that is never empty."""

    def __init__(self, kernel: KernelName | None) -> None:
        super().__init__(MultiTurnParams(steps=STEPS, highlight=kernel is not None, ranks=(0, 15), threshold=0.0))
        self.kernel = kernel or "auto"


def measure(
    backbone: Backbone, size: int, mode: str, offload: str, device: torch.device, options: Any
) -> Iterator[Row]:
    """A row for each way of highlighting."""
    geometry = backbone.geometry((size, size))
    latent = _latent(backbone, geometry, device)
    field = backbone.velocity_field(backbone.embed(PROMPTS[:1]), geometry, 3.5)
    request = EditRequest(latent, latent, 1, PROMPTS[:1], PROMPTS[1:], [None], [0])
    for highlight in options.highlight:
        method = KernelMultiTurn(None if highlight == "off" else highlight)
        reset_peak(device.type)
        cases: dict[str, Callable[[], object]] = {
            "forward": partial(field, latent.packed, 0.5),
            "turn": partial(method.edit, backbone, request),
        }
        best = fastest(cases, options.repeats, device.type)
        evaluations = method.cost(backbone).evaluations
        limit = evaluations * _limit(backbone, geometry, device)
        yield Row(
            size=size,
            mode=mode,
            offload=offload,
            highlight=highlight,
            forward=best["forward"],
            turn=best["turn"],
            evaluations=evaluations,
            over_forwards=best["turn"] / (evaluations * best["forward"]),
            over_limit=best["turn"] / limit if limit else None,
            peak=peak_bytes(device.type),
        )


def flops(geometry: Geometry, blocks: int, heads: int) -> int:
    """Floating point operations of a forward: (24 d^2 S + 4 S^2 d) a block, for S tokens of text and image."""
    tokens, width = geometry.tokens + TEXT_TOKENS, heads * HEAD_WIDTH
    return blocks * (24 * width**2 * tokens + 4 * tokens**2 * width)


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    options = _options()
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    rows: list[Row] = []
    for backbone, mode, offload in _backbones(device, options):
        for size in options.sizes or ([512, 1024] if device.type == "cuda" else [128, 256]):
            for row in measure(backbone, size, mode, offload, device, options):
                rows.append(row)
                write_rows(rows, device, options)
    _print(rows, device_name(device))


def _backbones(device: torch.device, options: Any) -> Iterator[tuple[Backbone, str, str]]:
    if (options.model or ("flux" if device.type == "cuda" else "littleworld")) != "flux":
        yield load(options.model or "littleworld", device=str(device)), "eager", "none"
        return
    for offload in options.offload:
        backbone = RandomFlux(device, offload, options.blocks, options.heads)
        yield backbone, "eager", offload
        if options.compiled and offload == "none":
            backbone.compile()
            yield backbone, "compiled", offload
        del backbone
        torch.cuda.empty_cache()


def _words(prompt: str) -> PromptTokens:
    spans = changed_spans("", prompt)
    return PromptTokens(prompt, tuple(prompt[start:stop] for start, stop in spans), spans)


def _latent(backbone: Backbone, geometry: Geometry, device: torch.device) -> Latent:
    if isinstance(backbone, RandomFlux):
        channels = int(backbone.transformer.config.in_channels)
    else:
        from PIL import Image

        channels = int(backbone.encode([Image.new("RGB", (64, 64))]).packed.shape[-1])
    return Latent(torch.randn(1, geometry.tokens, channels, device=device), geometry)


def _limit(backbone: Backbone, geometry: Geometry, device: torch.device) -> float:
    """Seconds of a forward if the device did nothing but arithmetic at its peak; 0 if its peak is not known."""
    if device.type != "cuda" or not isinstance(backbone, RandomFlux):
        return 0.0
    name = torch.cuda.get_device_name(device)
    config = backbone.transformer.config
    operations = flops(geometry, config.num_layers + config.num_single_layers, config.num_attention_heads)
    return next((operations / peak for part, peak in PEAK_FLOPS.items() if part in name), 0.0)


def _options() -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flux_shapes", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", help="sides of the square picture, in pixels")
    parser.add_argument("--device", help="default: cuda if there is any")
    parser.add_argument(
        "--model", help="flux for FLUX.1's shape and random weights, as on a GPU; on a CPU littleworld"
    )
    parser.add_argument("--blocks", type=int, nargs=2, default=FULL, help="double and single blocks")
    parser.add_argument("--heads", type=int, default=HEADS, help="of 128 channels each")
    parser.add_argument("--offload", nargs="+", default=["none"], choices=["none", "model", "group"])
    parser.add_argument("--highlight", nargs="+", default=HIGHLIGHTS, choices=HIGHLIGHTS)
    parser.add_argument("--compiled", action="store_true", help="on a GPU, measure compiled blocks too")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, help="write JSON here")
    return parser.parse_args(sys.argv[1:])


def _print(rows: Sequence[Row], device: str) -> None:
    table = Table(title=f"{device}, torch {torch.__version__}")
    heads = ("size", "mode", "offload", "highlight", "bare forward", "turn", "/ forwards", "/ limit", "peak GB")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        limit = "-" if row.over_limit is None else f"{row.over_limit:.2f}"
        times = (f"{1e3 * row.forward:.1f} ms", f"{row.turn:.2f} s", f"{row.over_forwards:.3f}")
        table.add_row(str(row.size), row.mode, row.offload, row.highlight, *times, limit, f"{row.peak / 1e9:.2f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
