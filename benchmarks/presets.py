"""``python -m benchmarks.presets``: what a turn asks of FLUX.1, before and after it is asked for, preset by preset.

Evaluations and tokens are counted on a tiny FLUX of random weights, on the grid of a picture of 512 x 512; they do
not depend on the weights. Seconds are arithmetic: operations of FLUX.1-dev's shape at ``RATE``, the least that a
device can take. ``make bench-core`` prints the table too.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image

from undrift import EditMethod, EditRequest, load
from undrift.backbones import Backbone
from undrift.backbones.memory import VelocityMemory
from undrift.backbones.rehearsal import UNKNOWN, Rehearsal, RehearsalOver
from undrift.methods import registry

RATE = 800e12
"""Operations a second, of a GPU of 2024 in bfloat16 at its best."""
WIDTH, BLOCKS, TEXT = 3072, 57, 512
"""FLUX.1-dev's."""
SIDES = (512, 1024)
GRID = 32
"""Tokens a side at 512 pixels."""
SOURCE, LOCAL, ADDITION = "a cat on the grass", "a dog on the grass", "a cat with a red hat on the grass"
ROWS: tuple[tuple[str, str, dict[str, object], str], ...] = (
    ("`undrift`", "undrift:default", {}, LOCAL),
    ("`undrift`, an addition", "undrift:default", {}, ADDITION),
    ("`undrift`, sparse", "undrift:default", {"sparse": True}, LOCAL),
    ("`undrift:fast`", "undrift:fast", {}, LOCAL),
    ("`undrift:fast`, an addition", "undrift:fast", {}, ADDITION),
    ("`multi_turn`", "multi_turn:default", {}, LOCAL),
    ("`multi_turn:fast`", "multi_turn:fast", {}, LOCAL),
    ("`flowedit`", "flowedit:default", {}, LOCAL),
    ("`flowedit`, sparse", "flowedit:default", {"sparse": True}, LOCAL),
)
"""What it is called, method and preset, parameters, and what the turn is to show. A quarter of the picture may change
where it is sparse."""


@dataclass(frozen=True)
class Asked:
    """What a turn asks of the network.

    Attributes:
        evaluations, ahead: in all, and those of them that no prompt decides.
        share: of the image's tokens, that an evaluation after the turn is asked for is of, on average.
    """

    evaluations: int
    ahead: int
    share: float

    @property
    def after(self) -> int:
        return self.evaluations - self.ahead

    def seconds(self, side: int) -> float:
        """The least that the evaluations after it is asked for take, of a picture of ``side`` x ``side``."""
        image = image_tokens(side)
        return self.after * operations(self.share * image + TEXT, image + TEXT) / RATE


def image_tokens(side: int) -> int:
    """Tokens of a picture of ``side`` x ``side`` pixels."""
    return (side // 16) ** 2


def operations(queries: float, keys: float) -> float:
    """Of an evaluation of ``queries`` tokens that attend to ``keys``."""
    return 24 * BLOCKS * WIDTH**2 * queries + 4 * BLOCKS * queries * keys * WIDTH


def counted(backbone: Backbone, method: EditMethod, words: str) -> Asked:
    """What a turn from ``SOURCE`` to ``words`` asks of ``backbone``, half of which was made ready."""
    asked = _request(backbone, words, sparse=bool(getattr(method.params, "sparse", False)))
    with backbone.remembering(VelocityMemory()):
        rehearsed = method.rehearsed()
        if rehearsed is not None:
            with suppress(RehearsalOver):
                rehearsed.edit(Rehearsal(backbone, SOURCE), replace(asked, target_prompts=[UNKNOWN]))
        before = backbone.counter.copy()
        made = method.edit(backbone, asked)
    spent, whole = backbone.counter.since(before), asked.previous.geometry.tokens
    share = (spent.tokens / whole - made.remembered) / (made.evaluations - made.remembered)
    return Asked(made.evaluations, made.remembered, share)


def _request(backbone: Backbone, words: str, *, sparse: bool) -> EditRequest:
    pixels = GRID * backbone.geometry((256, 256)).token_side
    picture = Image.linear_gradient("L").resize((pixels, pixels)).convert("RGB")
    latent = backbone.encode([picture])
    quarter = torch.zeros(1, GRID, GRID)
    quarter[:, : GRID // 2, : GRID // 2] = 1.0
    return EditRequest(
        original=latent,
        previous=latent,
        turn=1,
        source_prompts=[SOURCE],
        target_prompts=[words],
        words=[None],
        seeds=[0],
        original_prompts=[SOURCE],
        previous_images=[picture],
        editable_tokens=quarter.flatten(1) if sparse else None,
    )


def measured() -> dict[str, Asked]:
    """Every row of the table."""
    from tests.support.tiny_flux import save_tiny_flux

    with tempfile.TemporaryDirectory() as folder:
        backbone = load(str(save_tiny_flux(Path(folder) / "flux")), device="cpu")
        found = {}
        for label, named, overrides, words in ROWS:
            name, _, preset = named.partition(":")
            found[label] = counted(backbone, registry.get(name, preset, overrides), words)
        return found


def table(rows: dict[str, Asked]) -> str:
    """In Markdown, as docs/performance.md has it."""
    sizes = " | ".join(f"tokens, {side} px | s, {side} px" for side in SIDES)
    lines = [f"| method | evaluations | ahead | after | {sizes} |", "| --- " * (4 + 2 * len(SIDES)) + "|"]
    for label, row in rows.items():
        costs = " | ".join(f"{row.share * image_tokens(side):.0f} | {row.seconds(side):.2f}" for side in SIDES)
        lines.append(f"| {label} | {row.evaluations} | {row.ahead} | {row.after} | {costs} |")
    return "\n".join(lines)


def main() -> None:
    """Count and print."""
    torch.set_num_threads(1)
    print(table(measured()))
    for side in SIDES:
        whole = image_tokens(side) + TEXT
        print(f"a forward of {side} x {side}: {operations(whole, whole) / RATE:.4f} s at the least")


if __name__ == "__main__":
    main()
