"""The paper's own numbers. Other data than ours: FLUX.1-dev on photos, and a FID whose variant is not public.

Source: Zhou et al. 2025, "Multi-turn Consistent Image Editing", arXiv 2505.04320, Tables 1 and 2: the fourth round of
edits on the authors' multi-turn extension of PIE-Bench. CLIP-T is 100 times a cosine, CLIP-I a cosine.
"""

from __future__ import annotations

from dataclasses import dataclass

from undrift.bench.records import MethodSpec

ROUND = 4
"""The round that both tables show."""

NOTE = (
    "The columns marked “paper” are the published numbers (arXiv 2505.04320): other data, not comparable with "
    "ours. They were made with FLUX.1-dev (MasaCtrl and PnP Inversion: Stable Diffusion) on photos, and with a FID "
    "whose features and reference are not public. Compare orders and gaps, not values."
)


@dataclass(frozen=True)
class Published:
    """A row of the paper's tables.

    Attributes:
        title: the paper's name of the method.
        method: ours, None if undrift has no counterpart.
        fid, clip_t, clip_i: as printed.
        steps: as printed; None where the table has no such column.
    """

    title: str
    method: str | None
    fid: float
    clip_t: float
    clip_i: float
    steps: int | None = None


TABLE_1 = (
    Published("RF-Inversion", "rf_inversion", 5.740, 24.094, 0.904, 28),
    Published("StableFlow", "stable_flow", 20.624, 24.234, 0.899, 50),
    Published("FlowEdit", "flowedit", 14.547, 26.703, 0.894, 28),
    Published("RF-Solver", "rf_solver", 11.581, 25.516, 0.906, 25),
    Published("FireFlow", "fireflow", 7.970, 26.500, 0.897, 8),
    Published("MasaCtrl", "masactrl", 10.811, 23.797, 0.886, 50),
    Published("PnPInversion", "pnp_inversion", 10.262, 25.765, 0.872, 50),
    Published("Ours (15 steps)", "multi_turn", 5.553, 26.831, 0.894, 15),
    Published("Ours (8 steps)", "multi_turn", 5.396, 25.828, 0.902, 8),
)

SINGLE, HIGH, NONE, FULL = "single objective", "high-activation attention", "no attention", "full"

TABLE_2 = {
    SINGLE: Published("Single LQR (previous round only)", "multi_turn", 9.886, 26.484, 0.892),
    HIGH: Published("High-activation attention", "multi_turn", 6.316, 26.878, 0.891),
    NONE: Published("No attention", "multi_turn", 6.678, 26.760, 0.889),
    FULL: Published("Full", "multi_turn", 5.553, 26.831, 0.894, 15),
}
"""The 15-step configuration with one thing changed."""


def published(spec: MethodSpec) -> Published | None:
    """The row of Table 1 for one of our methods; of ``multi_turn`` only the presets after the paper have one.

    A method that is told the true masks is not the published one.
    """
    if spec.oracle:
        return None
    if spec.method == "multi_turn" and not spec.preset.startswith(("paper", "faithful")):
        return None
    if spec.params.get("editor", "p2p") != "p2p":
        return None  # PnP Inversion with MasaCtrl: its figures in the table are nearer to those with Prompt-to-Prompt
    rows = [row for row in TABLE_1 if row.method == spec.method]
    same = [row for row in rows if row.steps == spec.params.get("steps")]
    return next(iter(same or (rows if len(rows) == 1 else [])), None)


def changed(spec: MethodSpec, full: MethodSpec) -> str | None:
    """Which row of Table 2 ``spec`` is, if it is ``full`` with that one thing changed; else None."""
    if spec.method != "multi_turn" or full.method != "multi_turn":
        return None
    a, b = full.params, spec.params
    match [name for name in a.keys() | b.keys() if a.get(name) != b.get(name)]:
        case ["previous_weight"] if b["previous_weight"] == 1.0:
            return SINGLE
        case ["ranks"] if b["ranks"][0] < a["ranks"][0]:
            return HIGH
        case ["highlight"] if not b["highlight"]:
            return NONE
    return None
