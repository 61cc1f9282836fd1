"""What is said of an instruction that has no reading: how far it was understood, and what to type instead."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence

from undrift.instructions.caption import is_animate, parse
from undrift.instructions.english import indefinite, preposition, same_noun, singular
from undrift.instructions.forms import all_forms
from undrift.instructions.lexicon import all_nouns, is_adjective, words
from undrift.instructions.refusals import NotUnderstood, Why
from undrift.instructions.text_form import QUESTIONS, is_whole, nouns_of
from undrift.instructions.tokens import Token, joined

Reads = Callable[[Sequence[Token]], bool]
"""Whether words are an instruction that can be carried out."""

LONGEST_GAP = 3
"""So many words in a row are left out to find what the rest asks for."""

NEAREST = 3
"""So many of the examples that are most like an instruction are tried on the picture's own things."""

MOST_WORDS = 16
"""Longer instructions get an example only: the pieces of them are too many."""

MOST_THINGS = 8
"""So many things of a caption are made examples of, to be tried."""

_COMPARED = 200
"""Characters of a text that are compared with the examples, which are all shorter."""

_TELLING = frozenset(
    {"not", "no", "never", "without", "except", "but", "or", "nor", "neither", "unless", "only", "undo", "instead",
     "all", "everything", "every", "twice", "less", "more", "than", "if", "like", "and", "then", ",", ";"}
)  # fmt: skip
"""Words whose loss could turn what was meant into its opposite: none is left out."""

_GRAMMAR = (
    words("determiners", "articles") | words("determiners", "possessives") | words("determiners", "numbers")
    | words("relations", "prepositions") | words("pronouns", "it") | words("verbs", "finite") | {"me", "us"}
)  # fmt: skip
"""Words without which a sentence is none."""


def advice(text: str, tokens: Sequence[Token], caption: str, reads: Reads) -> NotUnderstood:
    """What of ``text`` was understood, and a sentence to type instead, which ``reads`` was asked about.

    Args:
        text: what was said.
        tokens: its words, without politeness.
        caption: what the picture shows.
    """
    if (tokens[0].low in QUESTIONS or text.strip().endswith("?")) and caption:
        return NotUnderstood(Why.QUESTION, text=text, caption=caption, example=_example(tokens, caption, reads))
    clause = _clause(tokens, reads)
    if clause:
        return NotUnderstood(Why.ONLY_A_PART, text=text, part=_text(clause))
    without = _shortened(tokens, reads)
    if without:
        left, kept = without
        return NotUnderstood(Why.WITHOUT, text=text, left=_text(left), kept=_text(kept))
    example = _example(tokens, caption, reads)
    if caption and is_whole(text, ""):
        added = [Token("add", "add"), *tokens]
        new = singular(tokens[-1].low) not in nouns_of(caption) and not is_whole(text, caption)
        change = _text(added) if new and reads(added) else example
        return NotUnderstood(Why.CHANGE_OR_CAPTION, text=text, example=change)
    return NotUnderstood(Why.NEAREST, text=text, example=example)


def nearest_examples(text: str) -> list[str]:
    """The examples, those whose words are most like ``text`` first."""
    text = text[:_COMPARED]
    examples = list(dict.fromkeys(form.example for form in all_forms()))
    first = text.split()[:1]

    def likeness(example: str) -> float:
        return difflib.SequenceMatcher(a=text, b=example).ratio() + (example.split()[:1] == first)

    return sorted(examples, key=likeness, reverse=True)


def _clause(tokens: Sequence[Token], reads: Reads) -> Sequence[Token] | None:
    """The first of several clauses that can be read where others cannot."""
    cuts = [k for k, token in enumerate(tokens) if token.low in (",", ";", "and", "but", "then")]
    if not cuts or _TELLING - {",", ";", "and", "then"} & {token.low for token in tokens}:
        return None
    edges = [-1, *cuts, len(tokens)]
    clauses = [tokens[a + 1 : b] for a, b in zip(edges, edges[1:], strict=False) if b - a > 2]
    return next((clause for clause in clauses if reads(clause)), None)


def _shortened(tokens: Sequence[Token], reads: Reads) -> tuple[Sequence[Token], Sequence[Token]] | None:
    """The fewest words in a row without which the rest can be read, and that rest."""
    if len(tokens) > MOST_WORDS:
        return None
    for length in range(1, min(LONGEST_GAP, len(tokens) - 1) + 1):
        for start in range(len(tokens) - length, -1, -1):
            left = tokens[start : start + length]
            if any(_tells(token.low) for token in left):
                continue
            kept = [*tokens[:start], *tokens[start + length :]]
            if reads(kept):
                return left, kept
    return None


def _tells(word: str) -> bool:
    """Whether without a word something else would be asked for: a quality, a thing, a word such as "not"."""
    return word in _TELLING | _GRAMMAR or is_adjective(word) or bool({word, singular(word)} & all_nouns())


def _example(tokens: Sequence[Token], caption: str, reads: Reads) -> str:
    """The nearest example, of the picture that is there and not of another, that can be carried out."""
    examples = list(_examples(tokens, caption))
    for example in examples:
        if reads([Token(word, word) for word in example.split()]):
            return example
    return examples[-1]


def _examples(tokens: Sequence[Token], caption: str) -> Iterator[str]:
    """Sentences of the caption's own things, those that were named and the form most like what was said first."""
    parts = [part for part in parse(caption).parts if part.phrase is not None and not part.is_place]
    named = [part.phrase for part in parts if part.phrase is not None]
    heard = [phrase for phrase in named if any(same_noun(phrase.noun, token.low) for token in tokens)]
    told = list({phrase.noun: phrase for phrase in (*heard, *named)}.values())[:MOST_THINGS]
    named_places = [token.low for token in tokens if preposition(token.low) and token.low not in nouns_of(caption)]
    yield from (f"change the background to {' '.join(filter(None, (indefinite(x, x), x)))}" for x in named_places[:1])
    for nearest in nearest_examples(_text(tokens))[:NEAREST]:
        if nearest.split()[0] == tokens[0].low and tokens[0].low not in words("determiners", "articles"):
            fitting = nearest.replace("blue", _other_colour(tokens))
            yield from [_about(fitting, phrase.noun) for phrase in told] or [fitting]
    for phrase in told:
        if is_animate(phrase):
            yield f"put a red hat on the {phrase.noun}"
        yield f"make the {phrase.noun} {_other_colour(tokens)}"
    yield "change the background to a beach"


def _other_colour(tokens: Sequence[Token]) -> str:
    """A colour that was not named: of what is not to be blue, blue is no example."""
    heard = {token.low for token in tokens}
    return next(colour for colour in ("blue", "green", "red", "white") if colour not in heard or colour == "white")


def _about(example: str, noun: str) -> str:
    """An example with another thing in the place of the first that it names."""
    said = example.split()
    place = next((k for k, word in enumerate(said[:-1]) if word == "the" and said[k + 1] != "background"), None)
    if place is None:
        return example
    return " ".join((*said[: place + 1], noun, *said[place + 2 :]))


def _text(tokens: Sequence[Token]) -> str:
    return " ".join(joined(list(tokens))).replace(" ,", ",").replace(" ;", ".")
