"""What one turn of a sequence changes, found from the scenes before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from undrift.errors import InputError
from undrift.littleworld.captions import OPENINGS, caption, phrase, subject_phrase
from undrift.littleworld.scenes import POSES, Scene, Thing

EditType = Literal["object", "add", "delete", "colour", "background", "material", "pose", "style"]
RICH_EDIT_TYPES: tuple[EditType, ...] = get_args(EditType)
EDIT_TYPES = RICH_EDIT_TYPES[:5]
"""The types of the plain world, in which nothing has a pattern, a pose or a style."""

_TARGETS = ("background", "subject", "wearable", "companion", "pattern", "pose", "style")
_VERBS = dict(zip(POSES, ("stand", "sit", "jump", "wave"), strict=True))
_NO_STYLE = "a normal picture"


@dataclass(frozen=True)
class Edit:
    """What one turn changes.

    Attributes:
        type: One of `RICH_EDIT_TYPES`.
        target: What changes: "background", "subject", "wearable", "companion", "pattern", "pose" or "style".
        before: The target in words, such as "a red cat", "meadow" or "a pencil drawing"; None where it is added, or
            where the picture had no style.
        after: The target in words after the turn; None where it is deleted, or where the picture then has no style.
        source_prompt: Caption before the turn.
        target_prompt: Caption after the turn.
        label: The edit as an instruction, such as "turn the red cat into a red dog".
    """

    type: EditType
    target: str
    before: str | None
    after: str | None
    source_prompt: str
    target_prompt: str
    label: str


def edit_between(before: Scene, after: Scene) -> Edit:
    """The edit that leads from one scene to another.

    Raises:
        InputError: If they differ in nothing, in more than one thing, or in what no edit changes.
    """
    targets = [name for name in _TARGETS if getattr(before, name) != getattr(after, name)]
    if len(targets) != 1 or before.placement != after.placement:
        raise InputError(f"no single edit leads from {caption(before)!r} to {caption(after)!r}; change one thing")
    target = targets[0]
    kind, label = _describe(target, before, after)
    old, new = _in_words(target, before), _in_words(target, after)
    return Edit(kind, target, old, new, caption(before), caption(after), label)


def _in_words(target: str, scene: Scene) -> str | None:
    """The target as the caption says it."""
    if target == "style":
        return OPENINGS[scene.style].removesuffix(" of") or None
    if target in ("subject", "pattern"):
        return subject_phrase(scene)
    if target == "pose":
        return f"{subject_phrase(scene)} {scene.pose}".removesuffix(f" {POSES[0]}")
    value = getattr(scene, target)
    return phrase(value) if isinstance(value, Thing) else value


def _describe(target: str, before: Scene, after: Scene) -> tuple[EditType, str]:
    """The type of an edit, and the edit as an instruction."""
    subject = f"the {before.subject.colour} {before.subject.kind}"
    if target == "background":
        return "background", f"change the background from {before.background} to {after.background}"
    if target == "pattern":
        return "material", f"make {subject} {after.pattern}"
    if target == "pose":
        return "pose", f"let {subject} {_VERBS[after.pose]}"
    if target == "style":
        return "style", f"turn the picture into {_in_words('style', after) or _NO_STYLE}"
    return _describe_thing(target, getattr(before, target), getattr(after, target), before.subject)


def _describe_thing(target: str, old: Thing | None, new: Thing | None, subject: Thing) -> tuple[EditType, str]:
    if old and new:
        if old.kind == new.kind:
            return "colour", f"make the {old.colour} {old.kind} {new.colour}"
        if old.colour == new.colour:
            return "object", f"turn the {old.colour} {old.kind} into {phrase(new)}"
        raise InputError(f"{phrase(old)} becomes {phrase(new)}; one edit changes either the kind or the colour")
    if new:
        return "add", f"put {phrase(new)} on the {subject.kind}" if target == "wearable" else f"add {phrase(new)}"
    assert old is not None, "a thing that changes is there before or after"
    return "delete", f"remove the {old.colour} {old.kind}"
