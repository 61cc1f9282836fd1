"""What somebody says in the box: what it is understood as, before a turn is made of it."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from typing import Any

from undrift.errors import InputError
from undrift.instructions import NotUnderstood, Reading, Refusal
from undrift.instructions.exchange import LanguageModel
from undrift.methods import registry
from undrift.session.model import Exchange, Turn
from undrift.session.saying import again_plan, as_said, heard, recorded
from undrift.session.tree import Tree
from undrift.studio.forms import SayForm
from undrift.studio.http_errors import Refused

KEPT = 128


class Exchanges:
    """What the language model said lately, by a key that a page hands back: a page cannot make a record up."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Exchange] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, exchange: Exchange | None) -> str | None:
        """A key for ``exchange``; None for none."""
        if exchange is None:
            return None
        key = secrets.token_hex(12)
        with self._lock:
            self._kept[key] = exchange
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return key

    def get(self, key: str | None) -> Exchange | None:
        """The exchange of ``key``; None for None.

        Raises:
            Refused: not kept any more (404).
        """
        with self._lock:
            if key is not None and key not in self._kept:
                raise Refused(404, "what the language model said is not held any more: ask it again")
            return None if key is None else self._kept[key]


def understood(tree: Tree, form: SayForm, model: LanguageModel | None, exchanges: Exchanges) -> dict[str, Any]:
    """What the page shows of a text: a difference, a step through the history, or why it is neither.

    Raises:
        Refused: the language model is to be asked and there is none (400).
        InputError: no such turn.
    """
    if form.ask_model and model is None:
        raise Refused(400, "this studio has no language model: start it with --llm")
    turn = tree.turn(form.turn)
    try:
        reading = heard(tree, form.text, turn.id, form.source_prompt, form.form, model if form.ask_model else None)
        return _view(reading, turn, exchanges)
    except NotUnderstood as problem:
        if not _follows_instructions(form.method):
            return _problem(problem)
        now = turn.prompt if form.source_prompt is None else form.source_prompt
        return {**_view(as_said(form.text, now), turn, exchanges), "note": str(problem), "why": _why(problem)}
    except InputError as problem:
        return _problem(problem)


def _problem(problem: InputError) -> dict[str, Any]:
    if not isinstance(problem, Refusal):
        return {"problem": str(problem)}
    return {"problem": problem.sentence, "note": problem.note, "why": _why(problem)}


def _why(refusal: Refusal) -> dict[str, Any]:
    """A refusal without its sentence, for those who say it in another language."""
    return {"key": refusal.key, "values": refusal.values}


def _follows_instructions(name: str | None) -> bool:
    """Whether an editor is told instructions as they were said."""
    known = registry.all_methods().get(name or "")
    return known is not None and known.follows_instructions


def _view(reading: Reading, turn: Turn, exchanges: Exchanges) -> dict[str, Any]:
    shown = {"form": reading.form, "kinds": reading.kinds, "note": reading.note}
    if reading.turn is not None:
        return {**shown, "undo": turn.number - reading.turn}
    if reading.strength:
        plan, dial = again_plan(reading, turn)
        again = {"prompt": plan.prompt, "source_prompt": plan.source_prompt, "words": plan.words, "seed": plan.seed}
        return {**shown, "again": {**again, "parent": plan.parent}, "dial": dial}
    return {
        **shown,
        "source": reading.source,
        "target": reading.target,
        "words": reading.words,
        "exchange": exchanges.add(recorded(reading)),
    }
