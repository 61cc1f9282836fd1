"""Turns by a language model: what it is asked, and what of its answers is taken."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from undrift.bench.data.pie import TYPES, PieEntry, Text, TypeId
from undrift.bench.data.prompts import MAX_WORDS, Generator
from undrift.bench.make_turns.contract import Dropped, Proposal, complaints, kept_phrases
from undrift.errors import InputError
from undrift.files import sha256
from undrift.from_json import from_json
from undrift.instructions.exchange import LanguageModel, Message, NoAnswer
from undrift.wording import problem

TRIES = 3

SYSTEM = f"""\
You plan a session in which one picture is edited several times. You get a caption of the picture, the first edit and
the caption after it. Propose the edits that follow.

Edit types: {", ".join(f"{kind} {name}" for kind, name in TYPES.items() if kind)}.

Rules:
- Every edit is of another type than all others and than the first edit.
- Every edit is visible and possible in the picture as it then is, and small enough for one step.
- "caption" describes the whole picture after the edit, keeps everything earlier edits brought word for word, has at
  most {MAX_WORDS} words, and does not mention the edit itself.
- "phrase" is the words of the caption that are new. For type 3 it is the words of the caption before that are gone.
- No edit undoes an earlier one, unless it is of type 3.
- Types 8 and 9 come late and not one after the other.

Answer with JSON only, no other text:
{{"turns": [{{"type": 2, "instruction": "...", "caption": "...", "phrase": "..."}}]}}
"""

USER = """\
Caption of the picture: {source}
First edit (type {type}, {name}): {instruction}
Caption after it: {target}
Keep these words in every caption: {kept}
Propose {count} edits.
"""


class Turn(BaseModel):
    """A turn in an answer."""

    model_config = ConfigDict(frozen=True)

    type: TypeId
    instruction: Text
    caption: Text
    phrase: Text


class Answer(BaseModel):
    """What an answer has to be."""

    model_config = ConfigDict(frozen=True)

    turns: tuple[Turn, ...] = Field(min_length=1)


class ModelWriter:
    """Asks a model up to `TRIES` times for turns, telling it each time what was wrong."""

    def __init__(self, model: LanguageModel, seed: int = 0) -> None:
        self._model, self._seed = model, seed

    def generator(self, tries: int) -> Generator:
        """What is recorded with the turns."""
        sha = sha256((SYSTEM + USER).encode())
        return Generator(kind="llm", seed=self._seed, model=self._model.name, prompt_sha=sha, tries=tries)

    def propose(self, entry: PieEntry, count: int) -> tuple[list[Proposal], int]:
        """``count`` turns that follow the benchmark's own edit, and the number of tries it took.

        Raises:
            InputError: the server refuses the request itself.
            NoAnswer: there was none at all.
            Dropped: every answer was wrong; says why the last was.
        """
        messages: list[Message] = [("system", SYSTEM), ("user", _question(entry, count))]
        wrong = ""
        for attempt in range(TRIES):
            answer = self._answer(messages, self._seed + attempt)
            proposals, wrong = _read(answer, entry, count)
            if not wrong:
                return proposals, attempt + 1
            messages = [*messages[:2], ("assistant", answer), _correction(wrong)]
        raise Dropped(f"no good answer in {TRIES} tries: {wrong}")

    def _answer(self, messages: list[Message], seed: int) -> str:
        try:
            return self._model.answer(messages, None, seed)
        except NoAnswer as why:
            told = f"the language model '{self._model.name}': {why}"
            raise InputError(told) if why.final else NoAnswer(told) from None


def parsed(answer: str) -> Answer:
    """The turns in an answer: JSON and nothing else, but for the fence that many models put around it.

    Raises:
        ValueError: it is not that.
    """
    text = answer.strip()
    if text.startswith("```") and text.endswith("```"):
        text = text.strip("`").removeprefix("json")
    try:
        value = from_json(text)
    except ValueError:
        raise ValueError("the answer is not JSON alone") from None
    try:
        return Answer.model_validate(value)
    except ValidationError as error:
        raise ValueError(problem(error)) from None


def _question(entry: PieEntry, count: int) -> str:
    return USER.format(
        source=entry.source_prompt,
        type=entry.type,
        name=TYPES[entry.type],
        instruction=entry.instruction or "see the captions",
        target=entry.target_prompt,
        kept=json.dumps(kept_phrases(entry), ensure_ascii=False),
        count=count,
    )


def _read(answer: str, entry: PieEntry, count: int) -> tuple[list[Proposal], str]:
    """The turns of an answer, and what is wrong with it in one line."""
    try:
        turns = parsed(answer).turns
    except ValueError as error:
        return [], str(error)
    proposals = [Proposal(turn.type, turn.instruction, turn.caption, turn.phrase) for turn in turns]
    return proposals, "; ".join(complaints(entry, proposals, count))


def _correction(wrong: str) -> Message:
    return ("user", f"That cannot be used: {wrong}. Answer again, with JSON only.")
