"""What is said of a picture, an instruction or a caption, and the turn that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from undrift.instructions import NotUnderstood, Reading, Refusal, TextForm, Why, understand
from undrift.instructions.exchange import LanguageModel, Said
from undrift.methods.base import EditMethod
from undrift.session.engine import EditPlan
from undrift.session.model import Exchange, Turn
from undrift.session.tree import Tree

DIAL_STEP = 0.5
"""How far "a bit more" and "a bit less" turn the dial."""


def heard(
    tree: Tree,
    text: str,
    turn: str = "head",
    source_prompt: str | None = None,
    form: TextForm | None = None,
    model: LanguageModel | None = None,
) -> Reading:
    """What ``text`` asks for when it is said of ``turn``.

    Args:
        tree: the session's turns; what was shown before decides what "undo that" and "the red one" mean.
        text: an instruction or a caption.
        turn: anything that ``Tree.turn`` understands.
        source_prompt: what the turn shows; None takes its prompt.
        form: what the text is; None finds out.
        model: a language model that reads it, the turns so far being its conversation; None leaves it to the grammar.

    Raises:
        NotUnderstood: an instruction without a sure reading.
        InputError: no such turn.
    """
    steps = tree.path(tree.turn(turn))
    now = steps[-1].prompt if source_prompt is None else source_prompt
    captions = [*(step.prompt for step in steps[:-1]), now]
    spoken = [step.spec.instruction if step.spec else None for step in steps]
    return heard_after([Said(*both) for both in zip(spoken, captions, strict=True)], text, form, model)


def heard_after(
    turns: Sequence[Said], text: str, form: TextForm | None = None, model: LanguageModel | None = None
) -> Reading:
    """What ``text`` asks for when it is said after ``turns``, the original first.

    Raises:
        NotUnderstood: an instruction without a sure reading.
    """
    now = turns[-1].caption
    if model is None:
        return understand(text, now, [turn.caption for turn in turns], form)
    from undrift.instructions.asking import ask

    return ask(model, text, now, turns, form)


def check_edit(reading: Reading) -> None:
    """Refuse a step back and "more", which are no edits of their own.

    Raises:
        Refusal: it is one.
    """
    if reading.is_step or reading.strength:
        raise Refusal(Why.NO_EDIT, text=reading.text)


def told(listen: Callable[[], Reading], text: str, now: str, method: EditMethod) -> Reading:
    """What ``listen`` understands of ``text``; an editor by instructions is told what nobody understood.

    Raises:
        NotUnderstood: it has no sure reading, and the method follows captions.
    """
    try:
        return listen()
    except NotUnderstood:
        if not method.follows_instructions:
            raise
        return as_said(text, now)


def as_said(text: str, now: str) -> Reading:
    """An instruction that nobody read: an editor is told it as it is, and the caption stays ``now``."""
    return Reading(text, "instruction", (), now, now or text)


def said_plan(reading: Reading, parent: Turn, source_prompt: str | None = None) -> EditPlan:
    """The turn that makes what was asked for from ``parent``.

    Raises:
        Refusal: a step back or "more", which are no edits of ``parent``.
    """
    check_edit(reading)
    implied = reading.source if source_prompt is None and reading.source != parent.prompt else source_prompt
    said = reading.text if reading.form == "instruction" else None
    return EditPlan(
        reading.target,
        source_prompt=implied,
        instruction=said,
        exchange=recorded(reading),
        words=reading.words,
        parent=parent.id,
    )


def recorded(reading: Reading) -> Exchange | None:
    """What a turn records of the language model that read its instruction; None if none did."""
    said = reading.exchange
    if said is None or reading.form == "caption":
        return None
    return Exchange(model=said.model, messages=said.messages, answer=said.answer)


def again_plan(reading: Reading, turn: Turn) -> tuple[EditPlan, float]:
    """The turn that makes ``turn`` anew, "more" or "less" of it, with its seed; and where the dial is to be.

    Raises:
        Refusal: ``turn`` is no edit, or the dial is at its end.
    """
    spec = turn.spec
    if spec is None or turn.parent is None:
        raise Refusal(Why.ORIGINAL_IS_NO_EDIT, text=reading.text, turn=turn.number)
    dial = (spec.dial or 0.0) - DIAL_STEP * reading.strength
    if abs(dial) > 1.0:
        raise Refusal(Why.DIAL_AT_END, text=reading.text, dial=str(spec.dial))
    plan = EditPlan(
        spec.target_prompt,
        source_prompt=spec.source_prompt,
        instruction=reading.text,
        exchange=recorded(reading),
        words=spec.words,
        seed=spec.seed,
        handover=spec.handover,
        parent=turn.parent,
    )
    return plan, dial
