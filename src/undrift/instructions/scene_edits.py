"""Edits of the whole picture: where, when, in which weather and style. Named as in ``forms.toml``."""

from __future__ import annotations

from undrift.instructions.checks import check_place
from undrift.instructions.draft import Draft
from undrift.instructions.forms import Gaps
from undrift.instructions.places import set_place
from undrift.instructions.refusals import NotUnderstood, Why
from undrift.instructions.scene_slots import Place


def background(draft: Draft, gaps: Gaps) -> None:
    """Put the picture in another place."""
    place: Place = gaps["place"] if "place" in gaps else gaps["located"]
    if "from" in gaps:
        check_place(draft, gaps["from"])
    for reference in gaps.get("things", ()):
        if not reference.is_pronoun:
            draft.find(reference)
    set_place(draft, place)


def when(draft: Draft, gaps: Gaps) -> None:
    """Change the time of day or the weather."""
    if "from" in gaps:
        check_place(draft, gaps["from"])
    set_place(draft, gaps["time"] if "time" in gaps else gaps["weather"], weather=True)


def style(draft: Draft, gaps: Gaps) -> None:
    """Give the whole picture a style, or none."""
    before = (draft.opening, draft.manner)
    if "formerly" in gaps and draft.opening.removesuffix(" of") != gaps["formerly"]:
        raise NotUnderstood(Why.NOT_THIS_STYLE, style=gaps["formerly"] or "a normal picture")
    if "artist" in gaps:
        draft.manner = f", in the style of {gaps['artist']}"
    else:
        named = gaps.get("style", "") if draft.world is None else draft.world.style(gaps.get("style", ""))
        draft.opening, draft.manner = f"{named} of" if named else "", ""
    if before == (draft.opening, draft.manner):
        raise NotUnderstood(Why.STYLE_ALREADY if draft.opening else Why.NO_STYLE)
    draft.kinds.append("style")
