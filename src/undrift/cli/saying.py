"""Instructions on the command line: how they are shown, and the steps that they can be instead of edits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from undrift.cli.options import shell
from undrift.cli.output import say
from undrift.cli.text import line
from undrift.errors import InputError

if TYPE_CHECKING:
    from undrift.cli.options import MethodChoice
    from undrift.instructions import Reading, TextForm
    from undrift.session.engine import EditPlan
    from undrift.session.model import Turn
    from undrift.session.store import Session
    from undrift.session.tree import Tree


def chosen_form(caption: bool, instruction: bool) -> TextForm | None:
    """What ``--caption`` and ``--say`` make of a text; None if neither is given.

    Raises:
        InputError: both are.
    """
    if caption and instruction:
        raise InputError("--caption and --say exclude each other: give one, or neither to have it found out")
    return "caption" if caption else "instruction" if instruction else None


def announce(reading: Reading) -> None:
    """Say on stderr what a text was taken for, an instruction with what it changes in the caption."""
    if shell().quiet:
        return
    if reading.note:
        say(f"note: {line(reading.note)}", err=True)
    if reading.form == "caption":
        say("read as a caption", err=True)
    elif not reading.kinds:
        say("told to the editor as it was said; the caption stays as it was", err=True)
    else:
        say(f"read as an instruction ({', '.join(reading.kinds)}): {line(_difference(reading))}", err=True)


def asked(
    session: Session, start: Turn, reading: Reading, given: EditPlan, method: MethodChoice
) -> tuple[EditPlan, MethodChoice]:
    """The turn that a text asks for, and the method to make it with.

    Args:
        session, start: the session, and the turn that the text was said of.
        reading: the text, no step back.
        given: what the options say, which counts more than what follows from the text.
        method: the options'; "more" and "less" turn its dial.
    """
    from undrift.session.saying import again_plan, said_plan

    if reading.strength:
        plan, dial = again_plan(reading, start)
        region = session.region(start) if given.region is None else given.region
        looks = given.references or session.references(start)
        return replace(plan, region=region, references=looks), replace(method, dial=dial)
    plan = said_plan(reading, start, given.source_prompt)
    return replace(
        plan,
        instruction=given.instruction if plan.instruction is None else plan.instruction,
        words=plan.words if given.words is None else given.words,
        seed=given.seed,
        handover=given.handover,
        region=given.region,
        references=given.references,
    ), method


def step_back(session: Session, tree: Tree, start: Turn, reading: Reading) -> Turn:
    """Undo as many turns as ``reading`` says; nothing is lost.

    Raises:
        InputError: ``start`` is not where the session is.
    """
    if start.id != tree.head_id:
        raise InputError(f"'{reading.text}' steps back from where the session is: leave out --from")
    moved = start
    for _ in range(start.number - (reading.turn or 0)):
        moved = session.undo()
    return moved


def _difference(reading: Reading) -> str:
    """The caption with what goes as ``[-a hat-]`` and what comes as ``{+a crown+}``."""
    from itertools import groupby

    from undrift.session.prompts import prompt_diff

    marks = {"kept": "{}", "removed": "[-{}-]", "added": "{{+{}+}}"}
    runs = groupby(prompt_diff(reading.source, reading.target), key=lambda part: part[0])
    return " ".join(marks[change].format(" ".join(word for _, word in parts)) for change, parts in runs)
