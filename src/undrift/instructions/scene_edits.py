"""Edits of the whole picture: where, when, in which weather and style. Named as in ``forms.toml``."""

from __future__ import annotations

import re

from undrift.instructions.checks import check_place
from undrift.instructions.draft import Draft
from undrift.instructions.forms import Gaps
from undrift.instructions.lexicon import pairs
from undrift.instructions.places import set_place
from undrift.instructions.qualities import drop_quality
from undrift.instructions.refusals import NotUnderstood, Why
from undrift.instructions.scene_slots import Place
from undrift.instructions.things import take_away


def background(draft: Draft, gaps: Gaps) -> None:
    """Put the picture in another place."""
    place: Place = next(gaps[name] for name in ("place", "scenic", "elsewhere", "located") if name in gaps)
    for name in {"from", "leaving"} & gaps.keys():
        check_place(draft, gaps[name])
    spoken = [draft.parts[draft.find(each)] for each in gaps.get("things", ()) if not each.is_pronoun]
    set_place(draft, place)
    if len(spoken) == 1:
        draft.last = spoken[0]


def when(draft: Draft, gaps: Gaps) -> None:
    """Change the time of day or the weather."""
    if "from" in gaps:
        check_place(draft, gaps["from"])
    set_place(draft, gaps["time"] if "time" in gaps else gaps["weather"], weather=True)


def style(draft: Draft, gaps: Gaps) -> None:
    """Give the whole picture a style, or none."""
    before = (draft.opening, draft.manner)
    if "formerly" in gaps and not _is_style(draft.opening, gaps["formerly"]):
        raise NotUnderstood(Why.NOT_THIS_STYLE, style=gaps["formerly"] or "a normal picture")
    if "artist" in gaps:
        draft.manner = f", in the style of {gaps['artist']}"
    else:
        said = gaps.get("style", gaps.get("sketching", ""))
        named = said if draft.world is None else draft.world.style(said)
        draft.opening, draft.manner = f"{named} of" if named else "", ""
    if before == (draft.opening, draft.manner):
        raise NotUnderstood(Why.STYLE_ALREADY if draft.opening else Why.NO_STYLE)
    draft.kinds.append("style")


def in_colour(draft: Draft, gaps: Gaps) -> None:
    """Give a picture its colours: a black and white photo becomes a photo, a drawing what it draws."""
    kept = re.sub(r"\ban? (?:black and white|black-and-white|monochrome|sepia)\b", "a", draft.opening)
    if kept == draft.opening:
        style(draft, {"style": ""})
        return
    draft.opening = kept
    draft.kinds.append("style")


def clear_up(draft: Draft, gaps: Gaps) -> None:
    """Take a weather away, whether the caption says "in the rain" or "rainy"."""
    noun = gaps["weather"].phrase.noun
    adjective = pairs("weather", "adjectives").get(noun, noun)
    placed = [k for k, part in enumerate(draft.parts) if part.is_place and draft.phrase(k).noun.lower() == noun]
    if placed:
        take_away(draft, placed[0])
        draft.kinds.append("background")
        return
    said = [k for k, phrase in draft.named() if adjective in map(str.lower, phrase.modifiers)]
    if not said:
        raise NotUnderstood(Why.NO_SUCH_THING, said=noun, named=draft.names())
    for number in said:
        drop_quality(draft, number, adjective)
    draft.kinds.append("background")


def _is_style(opening: str, said: str) -> bool:
    """Whether a caption that begins so is in the style that was named: "a drawing" of "a pencil drawing of"."""
    shown, wanted = opening.removesuffix(" of").split()[1:], said.split()[1:]
    return " ".join(shown) == " ".join(wanted) or (bool(wanted) and set(wanted) <= set(shown))
