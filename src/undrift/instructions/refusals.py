"""Why an instruction is not carried out: each reason by a name that stays, and its sentence.

``str(refusal)`` is the sentence in English. Whoever says it in another language goes by ``key`` and ``values``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from string import Formatter

from undrift.errors import InputError


class Names(tuple[str, ...]):
    """Several things as a sentence lists them: "a, b"; ``{:or}`` and ``{:and}`` put them in quotes, "'a' or 'b'"."""

    def __format__(self, joiner: str) -> str:
        return f" {joiner} ".join(f"'{name}'" for name in self) if joiner else ", ".join(self)


Value = str | int | Names


@unique
class Why(Enum):
    """Every reason, with its sentence; its name in lower case is the key."""

    # Nothing to read, or nothing to read it by.
    EMPTY = "the text is empty: say what to change, or what the picture is to show"
    NO_WORDS = "'{text}' has no words: say what to change, or what the picture is to show"
    TOO_LONG = (
        "this has {words} words, an instruction has at most {most}: say it in several turns, or give the whole "
        "caption (--caption, read_as)"
    )
    NO_CAPTION = "no caption says what the picture shows: give one first, or say all that it is to show"
    NO_THING_IN_CAPTION = "'{said}' in the caption names no thing: give the whole caption of the next picture"

    # No reading of all the words.
    QUESTION = (
        "cannot tell what '{text}' asks for: questions get no answer, the picture shows '{caption}'; say a change, "
        "such as '{example}'"
    )
    ONLY_A_PART = (
        "cannot tell what '{text}' asks for: understood '{part}' and not the rest; say that alone, or give the whole "
        "caption"
    )
    WITHOUT = (
        "cannot tell what '{text}' asks for: without '{left}' it would read '{kept}'; say that, or give the whole "
        "caption"
    )
    CHANGE_OR_CAPTION = (
        "cannot tell what '{text}' asks for: a change, or all that the picture is to show? Say '{example}', or give "
        "the whole caption (--caption, read_as)"
    )
    NEAREST = "cannot tell what '{text}' asks for; the nearest form is '{example}', or give the whole caption"
    UNKNOWN_WORD = "'{word}' is no word that is known here: did you mean '{close}'? In quotes it stays"
    MODEL_UNSURE = "the language model {model} is not sure what '{text}' asks for: say more"
    MODEL_ASKS = "the language model {model} is not sure what '{text}' asks for: {question}"

    # What it speaks of.
    NO_SUCH_THING = "the caption has no '{said}'; it names {named}: say one of these"
    AMBIGUOUS = "'{said}' can mean more than one thing: say {choices:or}"
    NOTHING_IS = "nothing in the caption is {quality}; it names {named}: say one of these"
    NOT_WHAT_IT_SAYS = "the caption says '{shown}', not '{said}'"
    SAYS_ALREADY = "the caption says '{shown}' already"
    HAS_ALREADY = "the caption has '{said}' already"
    CHANGES_NOTHING = "'{text}' changes nothing: the caption says '{caption}' already"
    SHARED = "'{said}' is said of several things: give the whole caption"
    ONE_OF_WHAT = "'{said}' of what? Name the thing"

    # Qualities, colours, patterns and poses.
    IS_ALREADY = "'the {thing}' is {quality} already"
    IS_NOT = "'the {thing}' is not {quality}"
    WHICH_COLOUR = "'not {colour}' leaves open which colour it is to be: say 'make the {thing} ...'"
    NO_COLOUR = "the caption names no colour of 'the {thing}': say which colour it is to be"
    SAME_AS_WHAT = "the same colour as what? Say 'the same colour as the ...'"
    WHICH_TWO = "the colours of which two? The caption names {named}"
    SWAP_WHAT = "what of the two is to be swapped? Say 'swap the colours of the {one} and the {other}'"
    MAY_BE_WORN = "'in {colour}' may be what 'the {thing}' wears: say what is to be so"
    NO_WEATHER_OF_ITS_OWN = "'the {thing}' cannot be {quality}; say 'change the background to ...'"
    PATTERN_IS_NO_THING = "'{said}' is a pattern, no thing: say 'make the ... {pattern}'"
    POSE_AND_QUALITY = "'{pose}' is a pose, '{quality}' is none: say one after the other"
    POSE_NOT_SAID = "the caption does not say that 'the {thing}' is {pose}"
    POSE_BOUND = "the caption says '{shown}': say 'remove the {thing}' first"
    NO_OTHER_POSE = "'the {thing}' takes no other pose: it stands already"
    MAKES_NO_SENSE = "'{said}' may make no sense: give the whole caption"
    UNCLEAR_REST = "what becomes of '{said}' is not clear: give the whole caption"

    # Things that come, go, and take each other's place.
    LEFT_OVER = "'{said}' would be left over: give the whole caption"
    NOTHING_LEFT = (
        "without 'the {thing}' the picture has nothing to show: say what is to be there instead, such as "
        "'replace the {thing} with a ...'"
    )
    THERE_ALREADY = "the caption has 'the {thing}' already: to add one more say 'another {thing}'"
    SAY_WHICH_CHANGE = (
        "the picture has 'the {thing}' already: say 'make the {thing} {quality}', or 'add another {thing}'"
    )
    IS_THERE_ALREADY = "'the {new}' is there already: say 'remove the {thing}'"
    COMPARED_WITH_WHAT = "'{said}' is {quality} than what? Say 'make the {thing} {quality}' of one that is there"
    INSTEAD_OF_WHAT = "instead of what? Say 'replace the ... with a ...'"
    ONE_AT_A_TIME = "one thing at a time can take the place of another: say the second in a sentence of its own"
    IS_ONE = "'the {thing}' is one: say 'turn the {thing} into {new}'"
    WHO_WEARS = "who is to wear '{new}'? Say {choices:or}"
    CANNOT_WEAR = "a {thing} cannot wear '{new}': only {wearers} can"
    WHERE_WORN = "where '{new}' is to be is not clear: say what it is next to"
    HOLDS_ALREADY = "'{thing}' cannot hold more: the caption says '{shown}'"
    NO_HANDS = "'{thing}' cannot hold more: it has no hands"
    BEGINS_CAPTION = "'the {thing}' is what the caption begins with: say where the other thing is to be"

    # Places, times and styles.
    IS_BACKGROUND = "'{said}' is the background: say 'change the background to ...'"
    BACKGROUND_NOT_ADDED = "'{said}' is a background: say 'change the background to {said}'"
    OTHER_BACKGROUND = "the caption has {shown:and}, not '{said}', for a background"
    NO_BACKGROUND = "the caption has no background, not '{said}', for a background"
    ONLY_BACKGROUND = "'{new}' would take '{shown}' away, the one background here: say 'change the background to ...'"
    DOES_NOT_GO_WITH = "the caption says '{shown}', which '{weather}' does not go with"
    TOO_MUCH_FOR_PLACE = "'{said}' is too much for a place: give the whole caption"
    IS_SETTING = "'{said}' is where the picture is set: say 'change the background to ...'"
    NO_TIME = "'{said}' is no time or weather: say 'change the background to ...'"
    IS_TIME = "'{said}' is a time or weather: say 'make it {time}'"
    IS_STYLE = "'{said}' is a style of the whole picture: say 'make it {said}'"
    NOT_THIS_STYLE = "the picture is not {style}"
    STYLE_ALREADY = "the picture already has this style"
    NO_STYLE = "the picture has no style"

    # What the drawn world lacks.
    NOT_DRAWN = "'{said}' is nothing that can be drawn here: say one edit after the other"
    NO_PATTERN_HERE = "the {thing} cannot be {pattern}: here only the {first} has a pattern"
    NOT_WORN_HERE = "nobody can wear '{new}' here: say 'add {new}', and what is to go"
    TAKE_OFF_FIRST = "a {thing} cannot wear '{shown}': say 'remove the {worn}' as well"
    NO_POSE_HERE = "a {thing} cannot be {pose}: only {wearers} can"

    # Steps through the turns.
    NOTHING_TO_UNDO = "there is nothing to {step}: no turn was made yet"
    NOTHING_TO_GO_BACK_TO = "there is nothing to go back to for '{said}': no turn was made yet"
    NO_SUCH_TURN = "there is no turn {turn} to go back to: so far there are turns 0 to {last}, the last is shown"
    NOT_SO_MANY_TURNS = (
        "{count} turns cannot be undone, so far {last} can: say 'undo 1', up to {last}, or 'back to the original'"
    )
    NO_SUCH_CHANGE = "the last turn did not change '{said}': say 'undo that', 'remove ...' or 'back to turn 1'"
    NEVER_THERE = "no earlier picture has '{said}': say 'add ...' for something new"
    UNCLEAR_TURN = "which turn 'back to {said}' means is not clear: say 'back to turn 1' or 'undo that'"
    BACK_TO_THE_SAME = "the caption has '{said}' already: say 'back to turn 1' or 'undo that'"
    NO_PICTURE_LIKE_THAT = "no earlier picture is '{said}': say 'back to turn 1' or 'undo that'"
    NO_TURN_TO_STRENGTHEN = "'{step}' of what? No turn was made yet: say what to change"
    ORIGINAL_IS_NO_EDIT = "'{text}' of what? Turn {turn} is no edit: say what to change"
    DIAL_AT_END = "'{text}': the dial is at its end already, at {dial}; say what to change"
    NO_EDIT = "'{text}' is no edit of its own: say what to change"

    @property
    def key(self) -> str:
        """What stays the same however the sentence is put: "no_such_thing"."""
        return self.name.lower()

    @property
    def fields(self) -> frozenset[str]:
        """The names of what is put into the sentence."""
        return frozenset(name for _, name, _, _ in Formatter().parse(self.value) if name)


class Refusal(InputError):
    """An instruction that is not carried out.

    Attributes:
        why: the reason.
        values: what its sentence speaks of, by the names of its fields; words of captions and instructions.
        note: what else whoever asked should know, such as that a language model gave no answer; empty for nothing.
    """

    def __init__(self, why: Why, **values: Value) -> None:
        super().__init__(why.value.format(**values))
        self.why = why
        self.values: Mapping[str, Value] = values
        self.note = ""

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.sentence, self.note)))

    @property
    def sentence(self) -> str:
        """The reason in English, without the note."""
        return super().__str__()

    @property
    def key(self) -> str:
        """As ``Why.key``."""
        return self.why.key


class NotUnderstood(Refusal):
    """An instruction that has no sure reading. The message says what is missing and gives the nearest form."""
