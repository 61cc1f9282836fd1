"""Functions that can be halted in the middle without being written for it: coroutines made of threads.

Of all threads involved one runs at a time, the one that was answered last; so what they share needs no locks, and the
order of everything is the same in every run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from undrift.errors import Cancelled

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Result = TypeVar("Result")


class Ended(Generic[Result]):
    """A function is over."""

    def __init__(self, result: Callable[[], Result]) -> None:
        self._result = result

    def result(self) -> Result:
        """What it returned.

        Raises:
            BaseException: what it raised.
        """
        return self._result()


class Halting(Generic[Question, Answer, Result]):
    """``work`` in a thread of its own, which stands still wherever it asks something.

    Args:
        work: is given a function that asks a question and returns the answer.
    """

    def __init__(self, work: Callable[[Callable[[Question], Answer]], Result]) -> None:
        self._said: SimpleQueue[Question | Ended[Result]] = SimpleQueue()
        self._answers: SimpleQueue[Callable[[], Answer]] = SimpleQueue()
        self._thread = threading.Thread(target=copy_context().run, args=(self._run, work), daemon=True)
        self._begun = self._ended = False

    def begin(self) -> Question | Ended[Result]:
        """Run it up to its first question, or its end."""
        self._begun = True
        self._thread.start()
        return self._heard()

    def answer(self, answer: Callable[[], Answer]) -> Question | Ended[Result]:
        """Go on up to the next question, or the end; what ``answer`` raises is raised where it was asked."""
        self._answers.put(answer)
        return self._heard()

    def close(self) -> None:
        """End it: where it stands ``Cancelled`` is raised. Returns when its thread is over."""
        if not self._begun:
            return
        while not self._ended:
            self.answer(_cancelled)
        self._thread.join()

    def _heard(self) -> Question | Ended[Result]:
        said = self._said.get()
        self._ended = isinstance(said, Ended)
        return said

    def _run(self, work: Callable[[Callable[[Question], Answer]], Result]) -> None:
        try:
            made = work(self._ask)
        except BaseException as error:
            self._said.put(Ended(_raising(error)))
        else:
            self._said.put(Ended(lambda: made))

    def _ask(self, question: Question) -> Answer:
        self._said.put(question)
        return self._answers.get()()


def _cancelled() -> Any:
    raise Cancelled("somebody else's work has ended it")


def _raising(error: BaseException) -> Callable[[], Any]:
    def again() -> Any:
        raise error

    return again
