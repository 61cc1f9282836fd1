"""The page's texts: every one of them is in every catalogue, with the same holes, and nothing else is."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

from undrift.instructions.asking import Action
from undrift.instructions.reading import Kind
from undrift.instructions.refusals import Why
from undrift.methods import registry
from undrift.studio import languages
from undrift.studio.page import STATIC

CATALOGUES = sorted((STATIC / "languages").glob("*.json"))
PLAIN = re.compile(r"\bt\(\"([^\"]+)\"\)")
TEMPLATE = re.compile(r"\bt`")
HOLE = re.compile(r"\{\d\}")
COMMAND = re.compile(r"'((?:make|add|remove|replace|change|turn|undo|back|another|the same) [^'{]*)")
MARK = re.compile(r"\[\[([^\]]+)\]\]")


def keys_of(code: str) -> set[str]:
    """The texts that a module says, as a catalogue has them: what is put in is a number in braces."""
    return set(PLAIN.findall(code)) | {_template(code, found.end()) for found in TEMPLATE.finditer(code)}


def _template(code: str, start: int) -> str:
    """The template that begins at ``start``; an expression in it may have braces, but no template of its own."""
    key, count, at = "", 0, start
    while code[at] != "`":
        if not code.startswith("${", at):
            key, at = key + code[at], at + 1
            continue
        depth = 0
        while True:
            at += 1
            depth += {"{": 1, "}": -1}.get(code[at], 0)
            if depth == 0:
                break
        key, count, at = f"{key}{{{count}}}", count + 1, at + 1
    return key


def said() -> set[str]:
    """The texts of all modules, less the example in the comment of the one that looks them up."""
    code = {file.stem: file.read_text("utf-8") for file in STATIC.glob("*.js")}
    code["languages"] = code["languages"].replace('// t("text"), or t`text with ${values}`', "")
    page = map(keys_of, code.values())
    return set().union(*page, MARK.findall((STATIC / "login.html").read_text("utf-8"))) - {"language", "message"}


SOURCE = STATIC.parent.parent
SAYS = {"Refused": 1, "say": 0, "About": 2, "_form": 2}
"""What of the studio's code is read on the page, and which argument that is."""


def template_of(node: ast.AST) -> str | None:
    """A text of Python's, as a catalogue has it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    parts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
    holes = iter(range(len(parts)))
    return "".join(f"{{{next(holes)}}}" if part is None else str(part) for part in parts)


def parsed() -> Iterator[tuple[Path, ast.AST]]:
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            yield file, node


def said_by_the_server() -> tuple[set[str], set[str]]:
    """Texts that the studio's own code sends to the page, and all texts of the package, of which others may come."""
    own, every = set[str](), set[str]()
    for file, node in parsed():
        text = template_of(node)
        if text is not None:
            every.add(text)
        if isinstance(node, ast.Call) and file.parent == STATIC.parent:
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            at = SAYS.get(called, len(node.args))
            given = template_of(node.args[at]) if at < len(node.args) else None
            if given is not None and re.search("[a-z]{3}", HOLE.sub("", given)):
                own.add(given)
    return own, every


def test_the_texts_are_found_in_the_code() -> None:
    assert keys_of('t("one two"), t`${a.map(({ x }) => x)} of ${b}`, "three", at("four")') == {
        "one two",
        "{0} of {1}",
    }
    assert len(said()) > 300


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda file: file.stem)
def test_a_catalogue_has_every_text_and_no_other(file: Path) -> None:
    words = json.loads(file.read_text("utf-8"))
    own, every = said_by_the_server()
    assert len(own) > 30
    assert sorted((said() | own) - set(words)) == []
    reasons = {key for key in words if key.startswith("why.")}
    assert sorted(set(words) - said() - every - reasons) == []
    assert [key for key, text in words.items() if not text.strip()] == []
    assert [key for key, text in words.items() if sorted(HOLE.findall(key)) != sorted(HOLE.findall(text))] == []


@pytest.mark.parametrize("tag", [file.stem for file in CATALOGUES])
def test_what_is_said_without_scripts_is_looked_up_with_what_was_put_in(tag: str) -> None:
    words = json.loads((STATIC / "languages" / f"{tag}.json").read_text("utf-8"))
    waits = "too many wrong passwords: try again in {0} s"
    assert languages.said(waits.format(7), tag) == words[waits].format(7)
    assert languages.said("wrong password", tag) == words["wrong password"]
    assert languages.said("no text of the studio", tag) == "no text of the studio"
    assert languages.said("wrong password", "en") == "wrong password"


def test_parameters_and_kinds_of_edit_are_told_in_every_language() -> None:
    methods = registry.all_methods().values()
    helps = {
        schema["description"]
        for method in methods
        for schema in type(method.presets["default"]).model_json_schema()["properties"].values()
        if "description" in schema
    }
    assert len(helps) > 80
    kinds = set(get_args(Kind)) - set(get_args(Action))
    told = set(
        re.findall(r"(\w+): t\(", (STATIC / "saying.js").read_text("utf-8").split("const KINDS")[1].split("};")[0])
    )
    assert told == kinds
    for file in CATALOGUES:
        assert sorted(helps - set(json.loads(file.read_text("utf-8")))) == [], file.stem


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda file: file.stem)
def test_every_reason_why_an_instruction_is_not_carried_out_is_in_every_language(file: Path) -> None:
    """With what is put into it, by the same names; what is to be typed instead stays English."""
    words = json.loads(file.read_text("utf-8"))
    assert {key for key in words if key.startswith("why.")} == {f"why.{why.key}" for why in Why}
    for why in Why:
        told = words[f"why.{why.key}"]
        assert {name for _, name, _, _ in Formatter().parse(told) if name} == why.fields, why
        commands = re.findall(
            r"'((?:make|add|remove|replace|change|turn|undo|back|another|the same) [^'{]*)", why.value
        )
        assert [one for one in commands if one.strip() not in told] == [], why


def test_every_language_that_is_offered_has_a_catalogue() -> None:
    offered = re.findall(
        r"(\w\w): \"", (STATIC / "languages.js").read_text("utf-8").split("LANGUAGES = ")[1].split("}")[0]
    )
    assert sorted(offered) == sorted(["en", *(file.stem for file in CATALOGUES)]) == sorted(languages.OFFERED)
