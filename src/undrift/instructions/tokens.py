"""An instruction as words, without what is only polite."""

from __future__ import annotations

import re
from typing import NamedTuple

from undrift.instructions.lexicon import all_nouns, base_forms, pairs, phrases, verb_forms, vocabulary, words

_CONTRACTIONS = {
    "i'd": "i would",
    "i'll": "i will",
    "we'd": "we would",
    "dont": "do not",
    "it's": "it is",
    "let's": "let us",
    "there's": "there is",
    "that's": "that is",
    "gonna": "going to",
    "wanna": "want to",
    "i'm": "i am",
    "im": "i am",
    "i've": "i have",
    "we're": "we are",
    "they're": "they are",
    "doesnt": "does not",
    "shouldnt": "should not",
    "isnt": "is not",
    "wasnt": "was not",
    "werent": "were not",
    "he's": "he is",
    "she's": "she is",
    "cant": "can not",
    "lets": "let us",
    "thats": "that is",
    "theres": "there is",
    "who's": "who is",
    "what's": "what is",
    "where's": "where is",
    "whos": "who is",
    "whats": "what is",
    "gimme": "give me",
    "lemme": "let me",
    "u": "you",
    "shld": "should",
    "cld": "could",
    "wld": "would",
    "bg": "background",
    "ur": "your",
    "n": "and",
    "w/": "with",
    "w": "with",
    "w/o": "without",
    "rm": "remove",
    "pls": "please",
    "plz": "please",
    "thx": "thanks",
    "ty": "thanks",
}
"""Contractions, and what is typed in short, as they are spelt out."""

_WORD = re.compile(r'"[^"]*"|[,;.!?:]|[^\s",;.!?:]+(?:[.:][^\s",;.!?:]+)*')
_DASHES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"'})
_SHORTHAND = re.compile(
    r'("[^"]*")|\s*([-=]*>|→|=)\s*|(?<=[a-zA-Z])(:)(?=[a-zA-Z])|(?:(?<=\s)|^)([+-])(?=[a-zA-Z])|([()])'
)
_LIST = re.compile(r"^\s*[+-]\s")
_LISTED = re.compile(r"(?:(?<=\s)|^)([+-])\s+(?=[a-zA-Z])")
"""Shorthand for edits: "hat -> blue", "hat=blue", "hat:blue", "-hat +scarf", "- hat + scarf", "hat (blue)"."""
_MERGED = {("in", "to"): "into", ("on", "to"): "onto"}
_SIGNS = {"+": "add", "-": "remove"}
_BOUNDARIES = frozenset(".!?;")
_REASONS = frozenset({"because", "cause", "cuz", "coz", "since"})


class Token(NamedTuple):
    """A word of an instruction; a tuple, since runs of them are looked up by the hundred thousand.

    Attributes:
        text: as a caption would say it: known words in lower case, names as they were typed.
        low: in lower case, for comparing.
        quoted: whether it stood in quotes, which say that the word is meant as it is.
    """

    text: str
    low: str
    quoted: bool = False


def tokenise(text: str) -> list[Token]:
    """The words of an instruction; contractions are spelt out, "cat's" becomes "cat" "'s", sentences end in ";"."""
    tokens: list[Token] = []
    plain = text.translate(_DASHES)
    plain = _LISTED.sub(r"\1", plain) if _LIST.match(plain) else plain
    for found in _WORD.findall(_SHORTHAND.sub(_spaced, plain)):
        if found.startswith('"'):
            tokens += [Token(word, word.lower(), quoted=True) for word in found.strip('"').split()]
        elif found == ":":
            if tokens and tokens[-1].low in all_nouns() - words("verbs", "also_nouns"):
                tokens.append(Token("→", "→"))
        elif found in _SIGNS and (not tokens or tokens[-1].low in (";", ",")):
            tokens.append(Token(_SIGNS[found], _SIGNS[found]))
        elif found in ("&", "+"):
            tokens.append(Token("and", "and"))
        elif found in _BOUNDARIES:
            tokens.append(Token(";", ";"))
        else:
            tokens += _words(found, first=not tokens)
    while tokens and tokens[-1].low in (";", ","):
        tokens.pop()
    while tokens and tokens[0].low in (";", ","):
        tokens.pop(0)
    return _merged(tokens)


def as_order(tokens: list[Token]) -> list[Token]:
    """A wish that supposes what is not so as what is to be: "what if the cat was blue", "the cat should be blue"."""
    lows = [token.low for token in tokens]
    openings = (said.split() for said in phrases("wishes", "supposing"))
    cut = next((len(said) for said in openings if lows[: len(said)] == said), 0)
    rest = tokens[cut:]
    if not cut or len(rest) < 2:
        return tokens
    past = pairs("wishes", "past")
    if rest[0].low in ("we", "you", "i") and (rest[1].low in past or rest[1].low.endswith("ed")):
        stem = f"{rest[1].low.removesuffix('ed')}ing"
        base = past.get(rest[1].low) or next((base for base in base_forms(stem) if base in vocabulary()), None)
        return tokens if base is None else [Token(base, base), *rest[2:]]
    place = next((k for k, token in enumerate(rest) if k and _supposed(token.low)), None)
    if place is None:
        return tokens
    after = place + 1
    denied = after < len(rest) and rest[after].low == "not"
    said = ("should", "not", "be") if denied else ("should", _supposed(rest[place].low) or "be")
    return [*rest[:place], *(Token(word, word) for word in said), *rest[after + denied :]]


def _supposed(verb: str) -> str | None:
    """The base form of a verb that a supposition has in the past, "sit" for "sat"; None for other words."""
    known = pairs("wishes", "should").get(verb)
    if known or not verb.endswith("ed"):
        return known
    return next((base for base in (verb[:-2], verb[:-1]) if base in verb_forms()), None)


def without_politeness(tokens: list[Token]) -> list[Token]:
    """The words without "please", "could you" and the like at either end, "maybe" and its like anywhere, or reasons.

    One word at least is kept.
    """
    before, after = (tuple(said.split() for said in phrases("polite", side)) for side in ("before", "after"))
    telling = [token for token in as_order(tokens) if token.quoted or token.low not in words("polite", "anywhere")]
    kept, length = _without_reason(telling or tokens[:1]), -1
    while length != len(kept):
        length = len(kept)
        lows = [token.low for token in kept]
        for said in sorted(before, key=len, reverse=True):
            if lows[: len(said)] == said and len(kept) > len(said):
                kept = _commanded(kept[len(said) :]) if said[-1] in ("mind", "about") else kept[len(said) :]
                break
        lows = [token.low for token in kept]
        for said in sorted(after, key=len, reverse=True):
            if lows[-len(said) :] == said and len(kept) > len(said):
                kept = kept[: -len(said)]
                break
        while kept and kept[0].low in (",", ";"):
            kept = kept[1:]
        while kept and kept[-1].low in (",", ";"):
            kept = kept[:-1]
    return kept


def _merged(tokens: list[Token]) -> list[Token]:
    """The words with "in to" as "into"."""
    kept: list[Token] = []
    for token in tokens:
        whole = _MERGED.get((kept[-1].low, token.low)) if kept and not token.quoted else None
        if whole is not None:
            kept[-1] = Token(whole, whole)
        else:
            kept.append(token)
    return kept


def joined(tokens: list[Token]) -> list[str]:
    """The words as a caption writes them, "'s" with its noun."""
    written: list[str] = []
    for token in tokens:
        if token.low == "'s" and written:
            written[-1] += token.text
        else:
            written.append(token.text)
    return written


def _without_reason(tokens: list[Token]) -> list[Token]:
    """The words before "because": why something is wished for asks for nothing."""
    cut = next((k for k, token in enumerate(tokens) if k and token.low in _REASONS and not token.quoted), len(tokens))
    return tokens[:cut]


def _commanded(tokens: list[Token]) -> list[Token]:
    """The words behind "would you mind" as a command: "turn ..." of "turning ..."."""
    base = next((base for base in base_forms(tokens[0].low) if base in vocabulary()), None)
    return tokens if base is None else [Token(base, base), *tokens[1:]]


def _spaced(found: re.Match[str]) -> str:
    """Shorthand as words of its own: every arrow alike, and a sign before a word as the beginning of an edit."""
    quoted, arrow, colon, sign, bracket = found.groups()
    if bracket:
        return " , " if bracket == "(" else " "
    if sign:
        return f"; {sign} "
    return quoted or (" → " if arrow else f"{colon} ")


def _words(found: str, *, first: bool) -> list[Token]:
    low = found.lower()
    if low in _CONTRACTIONS:
        return [Token(word, word) for word in _CONTRACTIONS[low].split()]
    if low.endswith("n't") and len(low) > 3:
        verb = {"wo": "will", "ca": "can", "sha": "shall"}.get(low[:-3], low[:-3])
        return [Token(word, word) for word in (verb, "not")]
    if low.endswith("'s") and len(low) > 2:
        return [_token(found[:-2], first), Token("'s", "'s")]
    if low.endswith("s'") and len(low) > 2:
        return [_token(found[:-1], first), Token("'s", "'s")]
    return [_token(found, first)]


def _token(found: str, first: bool) -> Token:
    low = found.lower()
    plain = low in vocabulary() and (first or found.isupper())
    return Token(low if plain else found, low)
