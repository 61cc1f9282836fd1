"""From words of a prompt to the attention columns of their tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Protocol

from undrift.attention.segments import Folded, Kind, Piece, Span, folded, pieces
from undrift.errors import InputError

FUNCTION_WORDS = frozenset({"a", "an", "the", "and", "or", "of", "with", "in", "on", "at", "to", "is", "&"})
"""Words that name nothing in a picture; they steer only if nothing else differs."""

MOST_COMPARED = 300 * 300
"""Pairs of words that are compared one by one."""

Block = tuple[range, range, bool]
"""Pieces of the source, pieces of the target, and whether they are equal."""


class TokenSpans(Protocol):
    """A prompt as one tokenizer cut it (see ``undrift.backbones.base.PromptTokens``)."""

    @property
    def prompt(self) -> str: ...

    @property
    def spans(self) -> tuple[Span, ...]: ...


def changed_spans(source_prompt: str, target_prompt: str) -> tuple[Span, ...]:
    """Where ``target_prompt`` has words, symbols or emoji that ``source_prompt`` has not there, as character spans.

    Case counts if nothing else differs. Words of ``FUNCTION_WORDS`` are left out unless nothing else differs. A
    target that only leaves words out has no such word: the result is empty.
    """
    new = [span for _, spans, equal in word_changes(source_prompt, target_prompt) if not equal for span in spans]
    telling = [(start, stop) for start, stop in new if folded(target_prompt[start:stop]) not in FUNCTION_WORDS]
    return tuple(telling or new)


def word_changes(source_prompt: str, target_prompt: str) -> Iterator[tuple[list[Span], list[Span], bool]]:
    """Runs of words in reading order: spans in the source, spans in the target, and whether they are equal.

    Words are compared without case, unless they differ in nothing else; a run that is not equal may lack either side.
    Neighbours in a script without spaces are one span.
    """
    source, target = pieces(source_prompt), pieces(target_prompt)
    blocks = _blocks([piece.folded for piece in source], [piece.folded for piece in target])
    if all(equal for _, _, equal in blocks):
        by_case = _blocks([piece.exact for piece in source], [piece.exact for piece in target])
        changed = (target[place] for _, new, equal in by_case if not equal for place in new)
        if any(piece.folded not in FUNCTION_WORDS for piece in changed):
            blocks = by_case
    for old, new, equal in _without_islands(blocks, source, target):
        yield _spans(source, old), _spans(target, new), equal


def _blocks(source: Sequence[str], target: Sequence[str]) -> list[Block]:
    return [(old, new, tag == "equal") for tag, old, new in differences(source, target)]


def differences(source: Sequence[str], target: Sequence[str]) -> Iterator[tuple[str, range, range]]:
    """What makes ``target`` of ``source``: runs that are "equal", or to "replace", "delete" or "insert".

    Of texts of more than ``MOST_COMPARED`` pairs of words all that lies between the first and the last difference
    is one run: the work grows with the square of the words, and nobody writes such prompts.
    """
    if len(source) * len(target) <= MOST_COMPARED:
        for tag, i, j, k, m in SequenceMatcher(a=source, b=target, autojunk=False).get_opcodes():
            yield tag, range(i, j), range(k, m)
        return
    same = [one == other for one, other in zip(source, target, strict=False)]
    before = same.index(False) if False in same else len(same)
    left = min(len(source), len(target)) - before
    pairs = zip(reversed(source), reversed(target), strict=False)
    after = next((count for count, (one, other) in enumerate(pairs) if count == left or one != other), left)
    old, new = range(before, len(source) - after), range(before, len(target) - after)
    if before:
        yield "equal", range(before), range(before)
    if old or new:
        yield "replace" if old and new else "delete" if old else "insert", old, new
    if after:
        yield "equal", range(old.stop, len(source)), range(new.stop, len(target))


def _without_islands(blocks: Sequence[Block], source: Sequence[Piece], target: Sequence[Piece]) -> Iterator[Block]:
    """``blocks`` where a word that no space divides from its neighbours changes as a whole.

    Two words of such a script share letters by chance: what stands between two changes of one run changed with them.
    """
    joined: list[Block] = []
    for number, (old, new, equal) in enumerate(blocks):
        inside = equal and 0 < number < len(blocks) - 1 and _within_a_run(source, old) and _within_a_run(target, new)
        if joined and not joined[-1][2] and (inside or not equal):
            before_old, before_new, _ = joined.pop()
            old, new = range(before_old.start, old.stop), range(before_new.start, new.stop)
            equal = False
        joined.append((old, new, equal))
    return iter(joined)


def _within_a_run(prompt: Sequence[Piece], block: range) -> bool:
    """Whether pieces are of an undivided script, and so are the neighbours that touch them on both sides."""
    around = prompt[max(0, block.start - 1) : block.stop + 1]
    undivided = all(piece.kind is Kind.UNDIVIDED for piece in around)
    touching = all(one.stop == two.start for one, two in zip(around, around[1:], strict=False))
    return undivided and touching and len(around) == len(block) + 2


def _spans(prompt: Sequence[Piece], block: range) -> list[Span]:
    """Spans of pieces, those that touch within a script without spaces joined."""
    spans: list[Span] = []
    spaceless = False
    for piece in (prompt[place] for place in block):
        if spans and spaceless and piece.kind.is_spaceless and spans[-1][1] == piece.start:
            spans[-1] = spans[-1][0], piece.stop
        else:
            spans.append((piece.start, piece.stop))
        spaceless = piece.kind.is_spaceless
    return spans


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
    if not word.split():
        raise InputError("an empty word was given, expected words of the target prompt")
    found = list(Folded(tokens.prompt).occurrences(word))
    if not found:
        raise InputError(f"word '{word}' is not in the prompt '{tokens.prompt}', expected words of the target prompt")
    if not span_columns(tokens, found):
        raise InputError(f"word '{word}' lies beyond the part of the prompt that the model reads; shorten it")
    return found
