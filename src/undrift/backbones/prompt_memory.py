"""Prompts that were embedded lately need not be embedded again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from undrift.errors import InputError

CACHED_PROMPTS = 64

E = TypeVar("E")


class PromptMemory(Generic[E]):
    """Embeds each prompt once and remembers the ``CACHED_PROMPTS`` that were used last.

    Args:
        make: embeds prompts that differ from each other, one result per prompt.
    """

    def __init__(self, make: Callable[[Sequence[str]], Sequence[E]]) -> None:
        self._make = make
        self._kept: OrderedDict[str, E] = OrderedDict()

    def rows(self, prompts: Sequence[str]) -> list[E]:
        """What ``make`` gave for each prompt.

        Raises:
            InputError: no prompt.
        """
        if not prompts:
            raise InputError("no prompt to embed, expected at least one")
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._kept]
        known = {**self._kept, **(dict(zip(new, self._make(new), strict=True)) if new else {})}
        for prompt in dict.fromkeys(prompts):
            self._kept[prompt] = known[prompt]
            self._kept.move_to_end(prompt)
        while len(self._kept) > CACHED_PROMPTS:
            self._kept.popitem(last=False)
        return [known[prompt] for prompt in prompts]
