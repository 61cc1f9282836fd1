"""Named lists of methods, so that a table is one word."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from undrift.methods import registry

BOUNDS = ("no_edit", "flowedit::oracle=true")
"""What every table is read between: the floor, nothing edited, and FlowEdit that is told each turn's true mask."""

TABLE1 = (
    "rf_inversion",
    "stable_flow",
    "flowedit",
    "rf_solver",
    "fireflow",
    "multi_turn:paper",
    "multi_turn:paper-8",
    "multi_turn:faithful",
    "multi_turn",
    "steerflow",
    "uniedit_flow",
    "dec_flowedit",
    "direct_edit",
    "flow_align",
    "reflow",
    "from_original",
    "revert_unchanged",
    "undrift",
    "no_edit:round-trip",
    *BOUNDS,
)
"""The paper's Table 1 with our default, later editors, and the floors of the comparison."""

TABLE1_SD = ("ddim", "p2p", "null_text", "pnp_inversion", "pnp_inversion:masactrl", "masactrl")
"""The rows of Table 1, and the editors of the paper's introduction, that were made for Stable Diffusion."""

ABLATIONS: Mapping[str, str] = MappingProxyType(
    {
        "single-objective": "previous_weight=1",
        "high-activation": "ranks=[0,5]",
        "no-attention": "highlight=false",
        "full": "",
    }
)
"""The rows of the paper's Table 2: label and what is changed."""

TABLE2 = tuple(f"multi_turn:paper:{change};label={label}" for label, change in ABLATIONS.items()) + tuple(
    f"multi_turn::{change};label=default-{label}" for label, change in ABLATIONS.items()
)
"""The paper's Table 2 with the paper's parameters, then with our default's."""


PIECES: Mapping[str, str] = MappingProxyType(
    {
        "whole": "",
        "early-start": "skipped=0;addition_skipped=0",
        "one-start": "addition_skipped=0.99",
        "no-closing": "closing=0",
        "all-pixels": "weak=0;strong=0",
        "edited-latent": "anew=false",
    }
)
"""``undrift`` with one piece left out: label and what is changed."""

NO_START, NO_CLOSING, NO_PIXELS = "skipped=0;addition_skipped=0", "closing=0", "weak=0;strong=0;anew=false"

ALONE: Mapping[str, str] = MappingProxyType(
    {
        "none": f"{NO_START};{NO_CLOSING};{NO_PIXELS}",
        "only-start": f"{NO_CLOSING};{NO_PIXELS}",
        "only-closing": f"{NO_START};{NO_PIXELS}",
        "only-pixels": f"{NO_START};{NO_CLOSING}",
        "unequal-guidance": "guidance=5.5;map_steps=0",
        "unequal-guidance-map": "guidance=5.5;map_steps=8",
    }
)
"""``undrift`` with none of its pieces, which is FlowEdit over the whole schedule, and with one alone; and what the
map is for: FlowEdit's guidance without it and with it."""

UNDRIFT = tuple(f"undrift::{change};label={label}" for label, change in {**PIECES, **ALONE}.items())


def named_lists() -> Mapping[str, tuple[str, ...]]:
    """Every list by name, the bounds in each; ``all`` is every method with its default preset that
    needs neither an editor nor a region."""
    known = registry.all_methods().items()
    own = (name for name, method in known if not (method.follows_instructions or method.redraws))
    tables = {"table1": TABLE1, "table1-sd": TABLE1_SD, "table2": TABLE2, "pieces": UNDRIFT}
    bounded = {name: tuple(dict.fromkeys([*table, *BOUNDS])) for name, table in {"all": tuple(own), **tables}.items()}
    return {**bounded, "bounds": BOUNDS}
