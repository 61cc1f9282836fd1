"""What stands in the gaps that poses fill."""

from __future__ import annotations

from dataclasses import dataclass

from undrift.instructions.lexicon import pairs, pose_class, verb_forms, words
from undrift.instructions.names import Tokens
from undrift.littleworld.scenes import POSES


@dataclass(frozen=True)
class Pose:
    """A pose in the words of a caption: ("lying", "down")."""

    words: tuple[str, ...]
    kind: str


def read_pose(tokens: Tokens) -> Pose | None:
    """A pose that is known: "sit", "lying down", "look to the left"."""
    lows = [token.low for token in tokens]
    lows = pairs("verbs", "idioms").get(" ".join(lows), " ".join(lows)).split()
    forms = verb_forms()
    verb = forms.get(lows[0], lows[0])
    kind = pose_class(verb)
    rest = [low for low in lows[1:] if low not in ("to", "the", "towards")]
    if kind is None or any(low not in words("verbs", "particles") for low in rest):
        return None
    if kind == "direction" and not rest:
        return None
    return Pose((verb, *rest), kind)


def read_doing(tokens: Tokens) -> Pose | None:
    """A pose as what somebody does: "sits down"."""
    low = tokens[0].low
    base = next((base for base in verb_forms() if low in (f"{base}s", f"{base}es")), None)
    return None if base is None else read_pose([tokens[0]._replace(text=base, low=base), *tokens[1:]])


def read_posing(tokens: Tokens) -> Pose | None:
    """A pose before what takes it: "jumping" of "a jumping cat"."""
    low = tokens[0].low
    return Pose((low,), "posture") if len(tokens) == 1 and pose_class(low) == "posture" else None


def read_act(tokens: Tokens) -> Pose | None:
    """A pose of the drawn world by itself: "jump", "standing up"; of others, such as "park", nobody knows."""
    pose = read_pose(tokens)
    return pose if pose is not None and pose.words[0] in POSES else None


def read_side(tokens: Tokens) -> Pose | None:
    """Where somebody turns to."""
    low = tokens[0].low
    return Pose(("facing", low), "direction") if len(tokens) == 1 and low in ("left", "right") else None
