"""The page's files: behind one version, asked for once, all of its modules named in the HTML and none else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from undrift.studio import page
from undrift.studio.page import STATIC

IMPORT = re.compile(r"(?:from|import) \"\./([\w-]+\.js)\"")


def addresses(client: TestClient) -> list[str]:
    """What the HTML asks for."""
    return re.findall(r"(?:href|src)=\"(/static/[^\"]+)\"", client.get("/").text)


def test_every_file_is_there_and_may_be_kept_for_ever(client: TestClient) -> None:
    asked = addresses(client)
    assert len({address.split("/")[3] for address in asked}) == 1, "one version"
    for address in asked:
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert answer.content == (STATIC / address.split("/", 4)[4]).read_bytes()
        expected = {"js": "javascript", "css": "css", "svg": "svg"}[address.rpartition(".")[2]]
        assert expected in answer.headers["content-type"], address


def test_all_modules_that_are_imported_are_asked_for_at_once(client: TestClient) -> None:
    reached, left = set[str](), {"main.js"}
    while left:
        reached |= left
        found = {name for one in left for name in IMPORT.findall((STATIC / one).read_text("utf-8"))}
        left = found - reached
    asked = {address.rpartition("/")[2] for address in addresses(client) if address.endswith(".js")}
    assert asked == {*reached, "theme.js"}


@pytest.mark.parametrize("path", ["..%2Fpage.py", "%2e%2e/page.py", "", "languages", "none.js", "/etc/passwd"])
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(f"/static/v/0/{path}").status_code == 404


def test_a_file_that_is_changed_makes_another_version(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(STATIC, tmp_path / "static"))
    monkeypatch.setattr(page, "STATIC", copy)
    before = addresses(client)
    (copy / "languages" / "de.json").write_text("{}")
    assert not set(before) & set(addresses(client))
    assert client.get(addresses(client)[0]).status_code == 200
