"""A wish, a supposition, a question or a cleft means what the order means: both give the same reading."""

from __future__ import annotations

import itertools

import pytest

from tests.support.slow_cases import slow_but_for
from undrift.instructions import NotUnderstood, understand
from undrift.instructions.normal_form import all_rules
from undrift.instructions.templates import Choice, compiled

SCENE = "a red cat wearing a blue hat next to a yellow flower in a meadow"
CAPTIONS = [SCENE, "a purple dog wearing a green crown next to a white star in a city"]
EXAMPLES = sorted({rule.example for rule in all_rules()})

# What a clause is about, and what it says of that behind "should", "if" and "see that"; every kind of LittleWorld's
# edits.
CLAUSES = {
    "colour": ("the {subject}", "be orange", "was orange", "is orange"),
    "colour, passive": ("the {worn}", "be painted pink", "were painted pink", "is painted pink"),
    "colour, becoming": ("the {other}", "turn orange", "turned orange", "turns orange"),
    "object": ("the {subject}", "become a robot", "became a robot", "becomes a robot"),
    "object, passive": (
        "the {other}",
        "be replaced with a tree",
        "was replaced with a tree",
        "is replaced with a tree",
    ),
    "add": ("there", "be a gift near the {subject}", "was a gift near the {subject}", "is a gift near the {subject}"),
    "wear": ("the {subject}", "wear a red scarf", "wore a red scarf", "wears a red scarf"),
    "delete, passive": ("the {other}", "be removed", "was removed", "is removed"),
    "delete": ("the {worn}", "disappear", "disappeared", "disappears"),
    "background": ("the background", "be a beach", "was a beach", "is a beach"),
    "pattern": ("the {subject}", "be striped", "was striped", "is striped"),
    "pattern, had": ("the {subject}", "have stripes", "had stripes", "has stripes"),
    "pose": ("the {subject}", "sit", "sat", "sits"),
    "style": ("the picture", "be a pencil drawing", "was a pencil drawing", "is a pencil drawing"),
    "match": ("the {worn}", "match the {other}", "matched the {other}", "matches the {other}"),
}
ORDERS = {
    "colour": "make the {subject} orange",
    "colour, passive": "paint the {worn} pink",
    "colour, becoming": "make the {other} orange",
    "object": "turn the {subject} into a robot",
    "object, passive": "replace the {other} with a tree",
    "add": "add a gift near the {subject}",
    "wear": "put a red scarf on the {subject}",
    "delete, passive": "remove the {other}",
    "delete": "remove the {worn}",
    "background": "change the background to a beach",
    "pattern": "make the {subject} striped",
    "pattern, had": "give the {subject} stripes",
    "pose": "make the {subject} sit",
    "style": "turn the picture into a pencil drawing",
    "match": "give the {worn} the same colour as the {other}",
}
QUICK = {"colour", "add"}
"""Where every mood is refused, each of which takes a tenth of a second: these in the quick tests."""
NAMES = {SCENE: ("cat", "hat", "flower"), CAPTIONS[1]: ("dog", "crown", "star")}
MOODS = (
    "{s} should {base}", "{s} ought to {base}", "{s} needs to {base}", "{s} has to {base}",
    "{s} is supposed to {base}", "could {s} {base}?", "might {s} perhaps {base}?", "let {s} {base}",
    "any chance {s} could {base}?",
    "do you think {s} could {base}?", "I wonder whether {s} could {base}", "I want {s} to {base}",
    "I'd love for {s} to {base}", "what I'd like is for {s} to {base}", "would it be possible for {s} to {base}?",
    "it would be nicer if {s} could {base}", "it would please me if {s} {past}", "I'd be much happier if {s} {past}",
    "I would really appreciate it if {s} {past}", "suppose {s} {past}", "what if {s} {past}?",
    "if {s} {past}, it would be better", "if only {s} {past}", "make sure that {s} {third}",
    "see to it that {s} {third}",
    "since I got bored with it, {s} should {base}", "{s} should {base}, that would look better",
)  # fmt: skip
POINTING = (
    "it's {s} that should {base}", "what should {base} is {s}", "have {s} {base}", "get {s} to {base}",
    "as for {s}, it should {base}", "tell {s} to {base}",
)  # fmt: skip
"""Moods of what has a name, which "there" has not."""

DENIALS = (
    "{s} should not {base}", "I do not want {s} to {base}", "it would be worse if {s} {past}",
    "it's not {s} that should {base}",
    "I would hate it if {s} {past}", "it would not be nicer if {s} {past}", "why should {s} {base}?",
    "nobody wants {s} to {base}", "I doubt that {s} could {base}", "I hope {s} will never {base}",
    "it would be nice if {s} could {base} or not", "only if you must, {s} should {base}",
    "I believe {s} {third}", "do you think {s} {third}?", "I wonder if {s} {third}", "does {s} {base}?",
)  # fmt: skip


def _clause(kind: str, caption: str) -> tuple[dict[str, str], str]:
    names = dict(zip(("subject", "worn", "other"), NAMES[caption], strict=True))
    subject, base, past, third = (part.format(**names) for part in CLAUSES[kind])
    return {"s": subject, "base": base, "past": past, "third": third}, ORDERS[kind].format(**names)


def _target(text: str, caption: str) -> str:
    """What is to be shown; empty where it is refused."""
    try:
        return understand(text, caption).target
    except NotUnderstood:
        return ""


@pytest.mark.parametrize("caption", CAPTIONS)
@pytest.mark.parametrize("kind", CLAUSES)
def test_every_mood_of_a_clause_means_its_order(kind: str, caption: str) -> None:
    said, order = _clause(kind, caption)
    meant = understand(order, caption, form="instruction")
    for mood in MOODS + (() if said["s"] == "there" else POINTING):
        text = mood.format(**said)
        reading = understand(text, caption)
        assert (text, reading.target, reading.kinds) == (text, meant.target, meant.kinds)


@pytest.mark.parametrize("kind", slow_but_for(QUICK, CLAUSES))
def test_what_no_rule_takes_keeps_a_mood_from_being_read(kind: str) -> None:
    said, _ = _clause(kind, SCENE)
    for mood in MOODS:
        assert not _target(f"{mood.format(**said).rstrip('?')} unless somebody objects", SCENE), mood


@pytest.mark.parametrize("kind", slow_but_for(QUICK, CLAUSES))
def test_a_mood_that_denies_is_never_the_order(kind: str) -> None:
    said, order = _clause(kind, SCENE)
    meant = understand(order, SCENE).target
    for denied in DENIALS:
        assert _target(denied.format(**said), SCENE) != meant, denied


@pytest.mark.parametrize(("mood", "order"), EXAMPLES)
def test_the_example_of_a_rule_means_its_order(mood: str, order: str) -> None:
    scene = SCENE.replace("red cat", "striped red cat")
    assert understand(mood, scene).target == understand(order, scene, form="instruction").target


def test_two_moods_in_one_sentence_are_two_edits() -> None:
    moods = ("{} should be {}", "it would be nicer if {} was {}", "I'd like {} to be {}")
    for one, other in itertools.product(moods, moods):
        text = f"{one.format('the cat', 'orange')} and {other.format('the hat', 'pink')}"
        assert understand(text, SCENE).target == SCENE.replace("a red", "an orange").replace("blue", "pink"), text


def test_a_space_that_ends_a_choice_is_told() -> None:
    """Of "get|take rid|away" nobody can see whether "take rid" was meant to be one."""
    with pytest.raises(ValueError, match=r"write '\[get\|take\] \[rid\|away\]' for two choices, '\[a b\|c d\]'"):
        compiled("get|take rid|away {things}", {})
    assert compiled("[get rid of|remove]", {}) == (Choice((("get", "rid", "of"), ("remove",))),)
