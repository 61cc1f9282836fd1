"""Multi-turn prompts for PIE-Bench: one YAML file per picture, ``MTC_prompts/<id>/<id>.yaml``.

The layout is that of arXiv 2505.04320, whose own prompts were never published. The reader takes what can be
understood; the writer writes one form, a superset of the paper's:

schema: 1
source: pie-bench
image_path: 0_random_140/000000000000.jpg
original_prompt: <caption of the picture>
generator: {kind: templates, seed: 0, ...}
instructions:
  Round 1:
    editing_instruction: <caption after the round, all earlier edits included>
    editing_type_id: '0'
    source_prompt: <caption before the round>
    instruction: <the edit as an instruction>
    blended_word: <a word of each caption>
    mask: [start, length, ...]
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from undrift.bench.data.optional import needed
from undrift.bench.data.pie import CaseId, RunLengths, Text, TypeId
from undrift.errors import InputError
from undrift.files import reason, write_atomically
from undrift.wording import problem, size

FOLDER = "MTC_prompts"
SCHEMA = 1
MAX_WORDS = 70
"""Longest caption that is sure to fit CLIP's 77 tokens, by `count_words`."""

MAX_BYTES = 2**19
"""Of one picture's prompts, twenty rounds of which take some 10 KB without masks."""

DEEPEST = 20
"""Of one picture's prompts; they need five."""

MOST_EVENTS = 100_000
"""Values, beginnings and ends in a file: what reading it costs, masks of thousands of runs included."""

MOST_DIRECTIVES = 4
"""Lines such as ``%YAML 1.2``, of which prompts need none; libyaml compares each ``%TAG`` with all before it."""

_PROMPTS = frozenset(
    {"original_prompt", "editing_instruction", "source_prompt", "target_prompt", "instruction", "blended_word"}
)
_DIRECTIVE = re.compile("^%", re.MULTILINE)
_COMMENT = re.compile(r"[ \t]+#[^\n]*")
_ROUND = re.compile(r"round\D{0,3}(\d{1,9})(?!\d)", re.IGNORECASE)


class Round(BaseModel):
    """One turn.

    Attributes:
        type: key of ``pie.TYPES``.
        source_prompt, target_prompt: captions before and after it.
        instruction: the edit as an instruction.
        blended_word: a word of each caption, as in ``mapping_file.json``.
        mask: where the edit is, as in ``mapping_file.json``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: TypeId
    source_prompt: Text
    target_prompt: Text
    instruction: Text | None = None
    blended_word: Text | None = None
    mask: RunLengths | None = None


class Generator(BaseModel):
    """What wrote the prompts; enough to write them again.

    Attributes:
        kind: "templates" or "llm".
        seed: of all pictures; each has one of its own from it and its id.
        model: the language model's name.
        prompt_sha: of the instructions to the model, or of the templates.
        tries: answers asked for until one was good.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Text
    seed: int
    model: Text | None = None
    prompt_sha: Text
    tries: int = Field(1, ge=1)


class MultiTurn(BaseModel):
    """The turns for one picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: CaseId
    image_path: str = ""
    original_prompt: Text
    rounds: tuple[Round, ...] = Field(min_length=1)
    source: Text = "pie-bench"
    generator: Generator | None = None

    @model_validator(mode="after")
    def _led_on(self) -> Self:
        before = [self.original_prompt, *(turn.target_prompt for turn in self.rounds)]
        for number, (turn, caption) in enumerate(zip(self.rounds, before, strict=False), 1):
            if turn.source_prompt != caption:
                raise ValueError(f"source_prompt of round {number} is not the caption that the round before it left")
        return self


def read_folder(folder: Path) -> dict[str, MultiTurn]:
    """The prompts of every picture of a prompts folder by id, in the order of the ids.

    Raises:
        InputError: no such folder, no prompts in it, or a file cannot be understood.
    """
    found = {file.parent.name: read_file(file) for file in prompt_files(folder)}
    if not found:
        raise InputError(f"no prompts in '{folder}', expected <id>/<id>.yaml; write some: undrift bench make-turns")
    return found


def prompt_files(folder: Path) -> list[Path]:
    """The YAML files of a prompts folder, in the order of the ids."""
    return sorted(file for suffix in ("yaml", "yml") for file in folder.glob(f"*/*.{suffix}"))


def read_file(file: Path) -> MultiTurn:
    """The prompts in one file. The folder's name is the id: published examples repeat a wrong one inside.

    Rounds may be a mapping or a list, in any order; types may be quoted or not.

    Raises:
        InputError: the file cannot be read or understood.
    """
    data = _unwrapped(_parsed(file))
    rounds = [body for _, body in sorted(_numbered(data.get("instructions"), file))]
    try:
        return MultiTurn.model_validate(
            {
                "id": file.parent.name,
                "image_path": data.get("image_path", ""),
                "original_prompt": data.get("original_prompt"),
                "rounds": list(_fields(rounds, data.get("original_prompt"))),
                **{name: data[name] for name in ("source", "generator") if data.get(name)},
            }
        )
    except ValidationError as error:
        raise InputError(f"'{file}': {problem(error)}") from None


def cut_prompts(file: Path) -> list[tuple[int, str, str]]:
    """Prompts without quotes that YAML ends at `` #``: the line, the field, and what it takes for a comment.

    Raises:
        InputError: the file cannot be read or understood.
    """
    text, node, _ = _composed(file)
    return [
        (value.end_mark.line + 1, str(key.value), lost[0].strip())
        for key, value in _entries(node)
        if key.value in _PROMPTS and not value.style and isinstance(value.value, str)
        if (lost := _COMMENT.match(text, value.end_mark.index))
    ]


def write_file(folder: Path, prompts: MultiTurn) -> Path:
    """Write the prompts of one picture into a prompts folder, and return the file.

    Raises:
        InputError: they break a rule, see `broken_rules`.
        SessionError: the file cannot be written.
    """
    broken = broken_rules(prompts)
    if broken:
        raise InputError(f"prompts of {prompts.id} not written: {broken[0]}")
    yaml = needed("yaml", "PyYAML", "writing multi-turn prompts")
    file = folder / prompts.id / f"{prompts.id}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        file, yaml.safe_dump(_as_written(prompts), sort_keys=False, allow_unicode=True, width=120).encode()
    )
    return file


def broken_rules(prompts: MultiTurn) -> list[str]:
    """What is wrong with prompts that can be read: each turn is to be of another type, and 0 only PIE's own edit."""
    types = [turn.type for turn in prompts.rounds]
    captions = [prompts.original_prompt, *(turn.target_prompt for turn in prompts.rounds)]
    repeated = sorted({number for number in types if types.count(number) > 1})
    broken = [f"type {number} occurs {types.count(number)} times, expected once" for number in repeated]
    broken += [
        f"round {k} is of type 0, which only round 1 can be" for k, t in enumerate(types, 1) if t == 0 and k > 1
    ]
    broken += [f"round {k} changes nothing" for k, (old, new) in enumerate(pairwise(captions), 1) if old == new]
    return broken + [
        f"the caption of round {k} has {count_words(caption)} words, at most {MAX_WORDS} fit CLIP"
        for k, caption in enumerate(captions)
        if count_words(caption) > MAX_WORDS
    ]


def count_words(caption: str) -> int:
    """Words and punctuation marks: a lower bound of CLIP's tokens that rare words exceed."""
    return len(re.findall(r"\w+|[^\w\s]", caption))


def _as_written(prompts: MultiTurn) -> dict[str, Any]:
    rounds = {f"Round {number}": _as_written_round(turn) for number, turn in enumerate(prompts.rounds, 1)}
    generator = prompts.generator and prompts.generator.model_dump(exclude_none=True)
    return {
        "schema": SCHEMA,
        "source": prompts.source,
        "image_path": prompts.image_path,
        "original_prompt": prompts.original_prompt,
        **({"generator": generator} if generator else {}),
        "instructions": rounds,
    }


def _as_written_round(turn: Round) -> dict[str, Any]:
    more = turn.model_dump(include={"source_prompt", "instruction", "blended_word", "mask"}, exclude_none=True)
    if "mask" in more:
        more["mask"] = list(more["mask"])
    return {"editing_instruction": turn.target_prompt, "editing_type_id": str(turn.type), **more}


def _parsed(file: Path) -> Mapping[str, Any]:
    """The file as mappings, lists and strings: no value is taken for a number, so that ids keep their zeros."""
    _, _, data = _composed(file)
    if not isinstance(data, dict):
        raise InputError(f"'{file}' holds no mapping, expected image_path, original_prompt and instructions")
    return data


def _composed(file: Path) -> tuple[str, Any, Any]:
    """The text of a file, its YAML node, and what that holds; None for an empty file's."""
    yaml = needed("yaml", "PyYAML", "reading multi-turn prompts")
    loading = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        text = _text(file)
        _check_directives(text)
        _check_shape(yaml, yaml.parse(text, loading))
        loader = loading(text)
        node = loader.get_single_node()
        _refuse_repeated_keys(node, yaml.MappingNode)
        data = loader.construct_document(node) if node else None
    except OSError as error:
        raise InputError(f"cannot read '{file}': {reason(error)}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"'{file}' is no YAML: {' '.join(str(error).split())}") from None
    return text, node, data


def _entries(node: Any) -> Iterator[tuple[Any, Any]]:
    """Keys and values of all mappings in a YAML node."""
    if node is None or isinstance(node.value, str):
        return
    for child in node.value:
        if isinstance(child, tuple):
            yield child
        for part in child if isinstance(child, tuple) else (child,):
            yield from _entries(part)


def _text(file: Path) -> str:
    if file.exists() and not file.is_file():
        raise InputError(f"'{file}' is no regular file, expected YAML")
    with file.open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError(f"'{file}' has more than {size(MAX_BYTES)}, expected the prompts of one picture")
    return data.decode("utf-8-sig")  # libyaml does not count the mark that some editors begin a file with


def _check_directives(text: str) -> None:
    """Told before the file is parsed: its first event comes behind all of them."""
    count = len(_DIRECTIVE.findall(text))
    if count > MOST_DIRECTIVES:
        raise ValueError(f"{count} of its lines begin with %, directives that prompts do not need")


def _check_shape(yaml: Any, events: Iterable[Any]) -> None:
    """Aliases can spell out without end what a few bytes say, and very deep nesting crashes libyaml."""
    depth = 0
    for count, event in enumerate(events):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"aliases such as *{event.anchor} are not taken: write out what they stand for")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        if count > MOST_EVENTS:
            raise ValueError(f"it has more than {MOST_EVENTS} values, expected the prompts of one picture")


def _refuse_repeated_keys(node: Any, mapping_node: Any) -> None:
    """YAML forbids a key twice in a mapping, PyYAML silently keeps the last: a round would be lost."""
    if node is None or isinstance(node.value, str):
        return
    if isinstance(node, mapping_node):
        keys = Counter(key.value for key, _ in node.value if isinstance(key.value, str))
        for key, count in keys.items():
            if count > 1:
                raise ValueError(f"the key {key!r} occurs {count} times in one mapping")
    for child in node.value:
        for part in child if isinstance(child, tuple) else (child,):
            _refuse_repeated_keys(part, mapping_node)


def _unwrapped(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record itself, also where it stands below its id."""
    inner = list(data.values())
    nested = len(inner) == 1 and isinstance(inner[0], dict) and "instructions" in inner[0]
    return inner[0] if nested else data


def _numbered(instructions: object, file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each round with its number, from a mapping, a list of one-key mappings, or a list of rounds in order."""
    listed = instructions if isinstance(instructions, list) else [instructions]
    pairs = [pair for place, item in enumerate(listed, 1) for pair in _named(item, place)]
    if not pairs:
        raise InputError(f"'{file}' has no instructions, expected Round 1, Round 2, ...")
    seen: set[int] = set()
    for name, body in pairs:
        match = _ROUND.search(name)
        if match is None or not isinstance(body, dict):
            raise InputError(f"'{file}': {name!r} is no round, expected Round 1: with its fields below")
        number = int(match.group(1))
        if number in seen:
            raise InputError(f"'{file}' has round {number} twice")
        seen.add(number)
        yield number, body


def _named(item: object, place: int) -> Iterable[tuple[str, Any]]:
    if not isinstance(item, dict):
        return []
    return [(f"Round {place}", item)] if "editing_instruction" in item else item.items()


def _fields(rounds: Sequence[Mapping[str, Any]], caption: Any) -> Iterator[dict[str, Any]]:
    for body in rounds:
        target = body.get("target_prompt") or body.get("editing_instruction")
        more = {name: body[name] for name in ("instruction", "blended_word", "mask") if body.get(name)}
        source = body.get("source_prompt") or caption
        yield {"type": body.get("editing_type_id"), "source_prompt": source, "target_prompt": target, **more}
        caption = target
