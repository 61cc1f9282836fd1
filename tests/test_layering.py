"""The architecture as a test: imports point one way, and no module grows beyond what one can read at once."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "undrift"
LONGEST = 400
FREE = {
    *("comparison", "discovery", "errors", "files", "from_json", "locks", "outputs", "pictures", "temporary"),
    "wording",
}
"""Modules beside the layers that everything may import; they know none of them."""

MAY_IMPORT: dict[str, set[str]] = {
    "comparison": set(),
    "discovery": set(),
    "errors": set(),
    "files": set(),
    "locks": set(),
    "outputs": set(),
    "pictures": set(),
    "temporary": set(),
    "wording": set(),
    "from_json": set(),
    "flow": set(),
    "attention": {"flow"},
    "littleworld": set(),
    "instructions": {"littleworld"},
    "backbones": {"attention", "flow", "littleworld"},
    "methods": {"backbones", "attention", "flow"},
    "session": {"instructions", "methods", "backbones", "attention", "flow"},
    "bench": {"session", "instructions", "methods", "backbones", "attention", "flow", "littleworld"},
    "services": {"studio", "bench", "session", "instructions", "methods", "backbones", "flow"},
    "cli": {
        "services",
        "bench",
        "studio",
        "session",
        "instructions",
        "methods",
        "backbones",
        "attention",
        "flow",
        "littleworld",
    },
    "studio": {"bench", "session", "instructions", "methods", "backbones", "attention", "flow", "littleworld"},
    "__init__": {"session", "instructions", "methods", "backbones"},
    "__main__": {"cli"},
}
MODULES = sorted(SOURCE.rglob("*.py"))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """A module's syntax tree and all below it."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def syntax(path: Path) -> ast.Module:
    found = nodes(path)[0]
    assert isinstance(found, ast.Module)
    return found


def layer(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Layers of undrift that a module imports anywhere, also inside functions."""
    names: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "undrift" else {module}
    return {name.split(".")[1] for name in names if name.startswith("undrift.")} - {"__version__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    here = layer(path)
    assert here in MAY_IMPORT, f"give the new layer '{here}' its place in MAY_IMPORT"
    wrong = imported(path) - MAY_IMPORT[here] - FREE - {here}
    assert not wrong, f"{here} must not import {', '.join(sorted(wrong))}"


def test_the_rule_itself_has_no_circle() -> None:
    done: set[str] = set()
    while done != set(MAY_IMPORT):
        ready = {name for name, allowed in MAY_IMPORT.items() if allowed <= done} - done
        assert ready, f"circle among {sorted(set(MAY_IMPORT) - done)}"
        done |= ready


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_modules_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_two_classes_never_share_a_name_in_one_layer_nor_two_types_in_one_folder() -> None:
    homes: dict[tuple[object, str], list[Path]] = {}
    for path in MODULES:
        for node in syntax(path).body:
            for name in named_types(node):
                homes.setdefault((path.parent, name), []).append(path)
                if isinstance(node, ast.ClassDef):
                    homes.setdefault((layer(path), name), []).append(path)
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def named_types(node: ast.stmt) -> list[str]:
    """The classes, and the types under a name of their own, that a statement of a module defines."""
    if isinstance(node, ast.ClassDef):
        return [node.name]
    if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp)):
        return []
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [name for name in names if name.strip("_")[:1].isupper() and not name.isupper()]


@pytest.mark.parametrize(
    ("code", "names"),
    [("class A: ...", ["A"]), ("Rows = list[int]", ["Rows"]), ("Side = int | str", ["Side"]), ("SIDE = 2 | 4", [])],
)
def test_types_are_found_by_their_names(code: str, names: list[str]) -> None:
    assert named_types(ast.parse(code).body[0]) == names


def test_no_model_and_no_kind_of_layer_is_asked_for_by_its_name() -> None:
    """What a model can do, and what a layer is good for, its ``Capabilities`` say."""
    models, layers = "littleworld", {"flow", "attention", "backbones", "methods"}
    asked = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
        for side in (node.left, *node.comparators)
        if models in named_by(side).lower() or (layer(path) in layers and named_by(side) == KIND)
    ]
    assert asked == []


KIND = "the kind of something"


def named_by(side: ast.expr) -> str:
    """What one side of a comparison is called: a string, a name, or ``.kind`` of something."""
    if isinstance(side, ast.Constant):
        return str(side.value)
    if isinstance(side, ast.Name):
        return side.id
    return KIND if isinstance(side, ast.Attribute) and side.attr == "kind" else ""


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("x == 'littleworld'", "littleworld"),
        ("x != LITTLEWORLD", "LITTLEWORLD"),
        ("x == site.kind", KIND),
        ("x == 1", "1"),
    ],
)
def test_names_in_comparisons_are_found(code: str, name: str) -> None:
    (statement,) = ast.parse(code).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Compare)
    assert named_by(statement.value.comparators[0]) == name
