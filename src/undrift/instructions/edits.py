"""Every edit by the name that ``forms.toml`` calls it by: what it does to a caption."""

from __future__ import annotations

from collections.abc import Callable

from undrift.instructions.colours import keep_colour, match, swap, swap_colours, tinted
from undrift.instructions.draft import Draft
from undrift.instructions.forms import Gaps
from undrift.instructions.quality_edits import (
    fragment,
    instead,
    lack,
    material,
    patterned,
    patterned_in,
    pose,
    pose_there,
    quality,
    recolour,
    stated,
)
from undrift.instructions.scene_edits import background, clear_up, in_colour, style, when
from undrift.instructions.thing_edits import (
    add,
    becomes,
    count,
    hold,
    position,
    remove,
    replace_things,
    swap_in,
    transform,
    want,
    wear,
)

Edit = Callable[[Draft, Gaps], None]


def unwanted(draft: Draft, gaps: Gaps) -> None:
    """Change nothing, but know what was spoken of: "do not make the hat blue, make it green"."""
    for reference in gaps["things"]:
        draft.last = draft.parts[draft.find(reference)]


def keep(draft: Draft, gaps: Gaps) -> None:
    """Leave things as they are, which they are anyway; only their names are checked."""
    for reference in gaps.get("things", ()):
        draft.find(reference)


EDITS: dict[str, Edit] = {
    "quality": quality,
    "keep": keep,
    "lack": lack,
    "instead": instead,
    "unwanted": unwanted,
    "hold": hold,
    "material": material,
    "patterned": patterned,
    "patterned_in": patterned_in,
    "match": match,
    "tinted": tinted,
    "keep_colour": keep_colour,
    "swap": swap,
    "swap_colours": swap_colours,
    "swap_in": swap_in,
    "pose": pose,
    "pose_there": pose_there,
    "stated": stated,
    "remove": remove,
    "wear": wear,
    "add": add,
    "want": want,
    "recolour": recolour,
    "replace": replace_things,
    "transform": transform,
    "becomes": becomes,
    "fragment": fragment,
    "elsewhere": background,
    "count": count,
    "clear_up": clear_up,
    "in_colour": in_colour,
    "background": background,
    "when": when,
    "style": style,
    "position": position,
}
