"""What taps, tiles and compiled blocks cost at FLUX.1's width, with weights that nobody has to download.

Time and memory do not depend on the weights' values, so they are random. FLUX.1 has 19 double blocks and 38 single
ones; with 1 and 2 the ratio of a highlighted forward to a plain one is the same but for what is not in blocks. With
fewer heads it is larger: what highlighting adds grows with the width, as attention does, linear layers with its
square. On a CPU the time of the layers that are highlighted is compared, with that of making the mask, and the rest
of a forward, which is the same work, is taken from the plain ones: whole forwards differ from each other by more than
what is measured. On a GPU whole forwards are compared. The exit code is 1 if the whole interval of the ratio lies
above the bar; one that holds the bar decides nothing::

    python -m benchmarks.flux_bars --compiled                              # on a GPU
    python -m benchmarks.flux_bars --blocks 1 2 --heads 4 --dtype fp32     # on a CPU
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import (
    Paired,
    Stopwatch,
    Verdict,
    fastest,
    paired,
    peak_bytes,
    processor_time,
    reset_peak,
    settle,
    verdict,
)
from undrift.attention.columns import TextColumns
from undrift.attention.highlight import AdaptiveHighlight, HighlightSettings
from undrift.backbones.compiling import compile_blocks
from undrift.backbones.conditioning import PromptTokens
from undrift.backbones.flux import FluxBackbone
from undrift.backbones.placement import DTYPES, Placement
from undrift.backbones.prompts import conditioning_of
from undrift.flow import Step

WORDS = 15
"""Text columns that are scaled, as in the paper's released code."""

BAR = 1.01
"""Of a highlighted forward over a plain one at ``BAR_SIZE``."""

BAR_SIZE = 1024
STEP, STEPS = 4, 8
TEXT_TOKENS = 512


@dataclass(frozen=True)
class Row:
    """One line: what was measured, seconds or bytes, and a ratio with its interval where there is one."""

    what: str
    size: int
    value: float
    ratio: float | None = None
    interval: tuple[float, float] | None = None


def transformer(blocks: Sequence[int], device: torch.device, dtype: torch.dtype, heads: int = 24) -> Any:
    """FLUX.1-dev's transformer with so many double and single blocks, and heads of 128, random weights."""
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

    with torch.device("meta"):
        double, single = blocks
        made = FluxTransformer2DModel(
            guidance_embeds=True, num_layers=double, num_single_layers=single, num_attention_heads=heads
        )
    made = made.to(dtype).to_empty(device=device)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.02)
    return made.requires_grad_(False)


def autoencoder(device: torch.device, dtype: torch.dtype) -> Any:
    """FLUX.1's autoencoder, random weights."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=16,
        sample_size=1024,
    ).to(device, dtype)


@dataclass(frozen=True)
class Forwards:
    """A plain forward, and one in which every map site reads and scales the words' columns.

    Attributes:
        plain: the forward.
        tap: has something to do in it once it has begun its step.
        backbone: of both.
    """

    plain: Callable[[], Tensor]
    tap: AdaptiveHighlight
    backbone: FluxBackbone

    def highlighted(self, around: AbstractContextManager[None] | None = None) -> Tensor:
        """The highlighted forward; ``around`` is entered while the mask is made."""
        with around or nullcontext():
            self.tap.begin(Step(STEP, STEPS, 0.5, 0.4))
        with self.backbone.tapped(self.tap):
            return self.plain()


def forwards(backbone: FluxBackbone, size: int) -> Forwards:
    """Those of a picture of ``size`` x ``size`` pixels, after the step whose maps make the mask."""
    geometry = backbone.geometry((size, size))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, geometry.tokens, 64, generator=generator).to(backbone.placement.device)
    text, pooled = (torch.randn(1, *shape, generator=generator) for shape in ((TEXT_TOKENS, 4096), (768,)))
    prompt = PromptTokens("words", tuple("w" * WORDS), ((0, 1),) * WORDS)
    field = backbone.velocity_field(conditioning_of(text, pooled, (prompt,)), geometry, 3.5)
    sites = backbone.capabilities.map_sites
    settings = HighlightSettings(ranks=(0, len(sites)), threshold=0.0)
    tap = AdaptiveHighlight(TextColumns.of([[2]]), TextColumns.first(WORDS, 1), sites, settings, "fused")
    plain = partial(field, x, 0.5)
    tap.begin(Step(STEP - 1, STEPS, 0.6, 0.5))
    with backbone.tapped(tap):
        plain()
    return Forwards(plain, tap, backbone)


def highlighting(backbone: FluxBackbone, mode: str, sizes: Sequence[int], rounds: int) -> Iterator[Row]:
    """Forwards with and without highlighting, in ``rounds`` of two each."""
    device = backbone.placement.device
    for size in sizes:
        both = forwards(backbone, size)
        began = time.perf_counter()
        both.highlighted()
        settle(str(device))
        yield Row(f"{mode}: the first highlighted forward, s", size, time.perf_counter() - began)
        found = (
            in_layers(both, rounds)
            if device.type == "cpu"
            else paired(both.plain, both.highlighted, rounds, str(device))
        )
        yield Row(f"{mode}: a plain forward, s", size, found.base)
        yield Row(f"{mode}: a highlighted forward, s", size, found.other, found.ratio, (found.low, found.high))


def in_layers(both: Forwards, rounds: int) -> Paired:
    """What ``paired`` gives for whole forwards on a CPU, but for the noise of what is the same in both.

    The ratio of forwards is 1 + (r - 1) a / t, where the layers that are highlighted take a of a plain forward's t
    seconds, and r times that highlighted.
    """
    watch = Stopwatch(processor_time)
    whole: list[float] = []

    def plain() -> None:
        began = processor_time()
        both.plain()
        whole.append(processor_time() - began)

    with timed(both.backbone, watch):
        found = paired(plain, lambda: both.highlighted(watch), rounds, clock=watch)
    seconds = median(whole)
    ratio, low, high = (1.0 + (r - 1.0) * found.base / seconds for r in (found.ratio, found.low, found.high))
    return Paired(ratio, low, high, seconds, seconds * ratio)


@contextmanager
def timed(backbone: FluxBackbone, watch: Stopwatch) -> Iterator[None]:
    """Within the block ``watch`` goes while an attention layer runs that makes maps."""
    layers = [backbone._layers[site] for site in backbone.capabilities.map_sites]
    hooks = [layer.register_forward_pre_hook(lambda *_: watch.__enter__()) for layer in layers]
    hooks += [layer.register_forward_hook(lambda *_: watch.__exit__()) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def working_memory(backbone: FluxBackbone, sizes: Sequence[int]) -> Iterator[Row]:
    """What a forward takes on top of the weights; on a GPU."""
    for size in sizes:
        both = forwards(backbone, size)
        for name, run in (("plain", both.plain), ("highlighted", both.highlighted)):
            yield Row(f"working memory of a {name} forward, GB", size, _peak(run, backbone.placement.device) / 1e9)


def vae_memory(device: torch.device, dtype: torch.dtype, sizes: Sequence[int]) -> Iterator[Row]:
    """What the autoencoder takes on top of its weights, whole and in tiles, and how long; on a GPU."""
    vae = autoencoder(device, dtype)
    for size in sizes:
        for tiling in (False, True):
            vae.use_tiling = tiling
            latent = torch.randn(1, 16, size // 8, size // 8, device=device, dtype=dtype)
            pixels = torch.randn(1, 3, size, size, device=device, dtype=dtype)
            for name, run in (("decode", partial(vae.decode, latent)), ("encode", partial(vae.encode, pixels))):
                how = f"{name}{', tiled' * tiling}"
                with torch.inference_mode():
                    bytes_ = _peak(run, device)
                    seconds = fastest({how: run}, 1, str(device))[how]
                yield Row(f"working memory of the VAE, {how}, GB", size, bytes_ / 1e9)
                yield Row(f"the VAE, {how}, s", size, seconds)


def _peak(run: Callable[[], object], device: torch.device) -> int:
    run()
    settle(str(device))
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    reset_peak(str(device))
    run()
    return peak_bytes(str(device)) - before


def main() -> int:
    """Measure, print, write JSON where asked; 1 if the bar is missed."""
    options = _options()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = DTYPES[options.dtype]
    backbone = FluxBackbone(
        transformer(options.blocks, device, dtype, options.heads), placement=Placement(device, dtype)
    )
    rows: list[Row] = []
    for row in _rows(backbone, device, dtype, options):
        rows.append(row)
        print(f"{row.what:<52} {row.size:>5} {row.value:>9.4f} {said(row)}".rstrip(), flush=True)
        write_rows(rows, device, options)
    return 1 if any(judged(row) == "MISSED" for row in rows) else 0


def judged(row: Row) -> Verdict | None:
    """What a row says of the bar; None for one that has no interval, or is not of the bar's size."""
    return None if row.interval is None or row.size != BAR_SIZE else verdict(*row.interval, BAR)


def said(row: Row) -> str:
    """The ratio and its interval, and at the bar's size whether that lies below it, above it, or holds it."""
    if row.ratio is None or row.interval is None:
        return ""
    low, high = row.interval
    figures = f"{row.ratio:.4f} ({low:.4f} to {high:.4f})"
    found = judged(row)
    if found is None:
        return figures
    return f"{figures}: {found}{', give more --rounds' if found == 'not decided' else ''}"


def write_rows(rows: Sequence[Any], device: torch.device, options: Any) -> None:
    """Write what was measured so far as JSON where ``--output`` says, with what measured it."""
    if options.output:
        about = {
            "device": device_name(device),
            "torch": torch.__version__,
            "blocks": options.blocks,
            "heads": options.heads,
        }
        options.output.write_text(json.dumps({**about, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")


def device_name(device: torch.device) -> str:
    """What the device calls itself."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"


def _rows(backbone: FluxBackbone, device: torch.device, dtype: torch.dtype, options: Any) -> Iterator[Row]:
    yield from highlighting(backbone, "eager", options.sizes, options.rounds)
    if device.type == "cuda" and not options.time_only:
        yield from working_memory(backbone, options.sizes)
        yield from vae_memory(device, dtype, [*options.sizes, 2048])
    if options.compiled:
        compile_blocks(backbone._network)
        yield from highlighting(backbone, "compiled", options.sizes, options.rounds)


def _options() -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flux_bars", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024], help="sides of the picture, in pixels")
    parser.add_argument("--blocks", type=int, nargs=2, default=[19, 38], help="double and single blocks")
    parser.add_argument("--heads", type=int, default=24, help="of 128 channels each")
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="bf16")
    parser.add_argument("--compiled", action="store_true", help="measure compiled blocks, too")
    parser.add_argument("--time-only", action="store_true", help="leave out the memory and the autoencoder")
    parser.add_argument("--rounds", type=int, default=20, help="of two plain and two highlighted forwards each")
    parser.add_argument("--output", type=Path, help="write JSON here")
    return parser.parse_args(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
