"""What the documents point at is there: pictures, pages, modules, versions. `make site` checks the built pages."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

import undrift
from tests.docs.samples import FENCE, ROOT, documents
from tests.test_layering import FREE, MAY_IMPORT
from tools import architecture

DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "undrift"
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)")
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize("name", architecture.PICTURES)
def test_pictures_are_as_drawn(name: str) -> None:
    """After a change to the drawing: python -m tools.architecture."""
    assert (architecture.FOLDER / name).read_text(encoding="utf-8") == architecture.PICTURES[name]()


def test_the_layers_drawn_are_those_that_are_enforced() -> None:
    rows = {layer.name: layer.row for layer in architecture.LAYERS}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - FREE
    assert set(rows) == packages
    for name, row in rows.items():
        assert all(rows[below] < row for below in MAY_IMPORT[name] & packages), name


def test_the_architecture_names_every_module_beside_the_layers_and_of_a_session() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    beside = [f"{name}/" if (PACKAGE / name).is_dir() else f"{name}.py" for name in FREE]
    of_a_session = [path.name for path in (PACKAGE / "session").glob("*.py") if path.name != "__init__.py"]
    assert [name for name in sorted(beside + of_a_session) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    links = LINK.findall(FENCE.sub("", document.read_text(encoding="utf-8")))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_the_site_lists_every_page_once() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(listed(nav)) == PAGES


def listed(nav: list[object]) -> list[str]:
    """The pages of a navigation, which may be nested and titled."""
    found: list[str] = []
    for entry in nav:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            found += listed(value) if isinstance(value, list) else [str(value)]
    return found


@pytest.mark.parametrize("page", sorted((DOCS / "reference").glob("*.md")), ids=lambda path: path.stem)
def test_reference_pages_name_modules_that_exist(page: Path) -> None:
    modules = re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert modules
    for module in modules:
        assert importlib.import_module(module).__doc__


def test_every_decision_is_listed_in_its_order() -> None:
    pages = sorted(path.name for path in (DOCS / "decisions").glob("0*.md"))
    assert LINK.findall((DOCS / "decisions" / "README.md").read_text(encoding="utf-8")) == pages
    for number, page in enumerate(pages, 1):
        text = (DOCS / "decisions" / page).read_text(encoding="utf-8")
        assert page.startswith(f"{number:04}-")
        assert text.startswith(f"# {number}. ")
        assert re.findall(r"^\*\*([\w ]+?)\.?\*\*", text, re.MULTILINE) == [
            "Decision",
            "Why",
            "What it costs",
            "Again if",
        ]


def test_the_citation_names_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == undrift.__version__
    assert {"cff-version", "message", "title", "authors", "license"} <= set(citation)
