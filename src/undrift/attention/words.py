"""From words of a prompt to the attention columns of their tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Protocol

from undrift.errors import InputError

Span = tuple[int, int]

FUNCTION_WORDS = frozenset({"a", "an", "the", "and", "or", "of", "with", "in", "on", "at", "to", "is"})
"""Words that name nothing in a picture; they steer only if nothing else differs."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


class TokenSpans(Protocol):
    """A prompt as one tokenizer cut it (see ``undrift.backbones.base.PromptTokens``)."""

    @property
    def prompt(self) -> str: ...

    @property
    def spans(self) -> tuple[Span, ...]: ...


def changed_spans(source_prompt: str, target_prompt: str) -> tuple[Span, ...]:
    """Where ``target_prompt`` has words that ``source_prompt`` has not at that place, as character spans.

    Words are compared without case. Words of ``FUNCTION_WORDS`` are left out unless nothing else differs. A
    target that only leaves words out has no such word: the result is empty.
    """
    new = [span for _, spans, equal in word_changes(source_prompt, target_prompt) if not equal for span in spans]
    telling = [(start, stop) for start, stop in new if target_prompt[start:stop].lower() not in FUNCTION_WORDS]
    return tuple(telling or new)


def word_changes(source_prompt: str, target_prompt: str) -> Iterator[tuple[list[Span], list[Span], bool]]:
    """Runs of words in reading order: spans in the source, spans in the target, and whether they are equal.

    Words are compared without case; a run that is not equal may lack either side.
    """
    source, target = list(_WORD.finditer(source_prompt)), list(_WORD.finditer(target_prompt))
    old, new = ([match.group().lower() for match in prompt] for prompt in (source, target))
    for tag, i, j, k, m in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        yield [match.span() for match in source[i:j]], [match.span() for match in target[k:m]], tag == "equal"


def changed_words(source_prompt: str, target_prompt: str) -> tuple[str, ...]:
    """The words at ``changed_spans``, as ``target_prompt`` writes them, in order."""
    return tuple(target_prompt[start:stop] for start, stop in changed_spans(source_prompt, target_prompt))


def changed_columns(source_prompt: str, tokens: TokenSpans) -> tuple[int, ...]:
    """Columns of the words that are new in ``tokens.prompt``.

    Unlike ``word_columns`` of ``changed_words`` this takes a repeated word only where it is new: of "a red cat
    in a red hat" edited from "a red cat in a blue hat", the second "red".
    """
    return span_columns(tokens, changed_spans(source_prompt, tokens.prompt))


def word_columns(tokens: TokenSpans, words: Sequence[str]) -> tuple[int, ...]:
    """Columns of every occurrence of ``words`` in the prompt, ascending.

    Args:
        tokens: the target prompt's tokens.
        words: whole words or phrases, compared without case.

    Raises:
        InputError: a word is empty, not in the prompt, or beyond the part of the prompt that the model reads.
    """
    spans = [span for word in words for span in _occurrences(tokens, word)]
    return span_columns(tokens, spans)


def span_columns(tokens: TokenSpans, spans: Iterable[Span]) -> tuple[int, ...]:
    """Columns of the tokens that share a character with one of ``spans``, ascending."""
    wanted = list(spans)
    return tuple(
        column
        for column, (start, stop) in enumerate(tokens.spans)
        if any(max(start, first) < min(stop, last) for first, last in wanted)
    )


def _occurrences(tokens: TokenSpans, word: str) -> list[Span]:
    parts = word.split()
    if not parts:
        raise InputError("an empty word was given, expected words of the target prompt")
    phrase = r"\s+".join(re.escape(part) for part in parts)
    found = [match.span() for match in re.finditer(rf"(?<!\w){phrase}(?!\w)", tokens.prompt, re.IGNORECASE)]
    if not found:
        raise InputError(f"word '{word}' is not in the prompt '{tokens.prompt}', expected words of the target prompt")
    if not span_columns(tokens, found):
        raise InputError(f"word '{word}' lies beyond the part of the prompt that the model reads; shorten it")
    return found
