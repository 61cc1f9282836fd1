"""A real studio with the embedded model, and a real browser: Debian's chromium or Firefox, driven by Playwright."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import uvicorn
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

from undrift.backbones import Backbone, load
from undrift.littleworld import demo
from undrift.session import engine
from undrift.session.store import Session
from undrift.studio import server
from undrift.studio.app import create_app
from undrift.studio.studio import Studio

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
WANTED = os.environ.get("UNDRIFT_BROWSER", "chromium")
"""In which browser the tests of this folder run: chromium or firefox."""

PATIENCE_MS = 60_000
SIDE = 128
"""Width and height of the pictures that turns are made of here: they take a quarter of the example's time."""
DESK = ViewportSize(width=1440, height=900)
PHONE = ViewportSize(width=390, height=844)

QUICK = {"steps": 6}
SLOW = {"steps": 400}
"""Steps of a turn that is not going to end by itself within a test."""

expect.set_options(timeout=PATIENCE_MS)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser, and a model that is at work in it, take seconds in every test of this folder."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


def module(name: str) -> str:
    """JavaScript that imports a module as the page has it: another address is another instance, an empty one."""
    return f"import(document.querySelector('link[rel=modulepreload][href$=\"/{name}\"]').href)"


class Running:
    """A studio that is being served.

    Attributes:
        url: its address, without a slash at the end.
        studio: what is served.
    """

    def __init__(self, url: str, studio: Studio) -> None:
        self.url = url
        self.studio = studio

    def session(self, name: str) -> Session:
        """The session on disk, as a program of its own sees it."""
        return Session.open(self.studio.folders.root / name)

    def begin(self, name: str, size: int = SIDE) -> Session:
        """A session with the bundled picture, (size, size), made without the page."""
        folder = self.studio.folders.root / name
        return engine.start_session(folder, demo.picture(size), demo.prompt(), self.studio.backbone)


@pytest.fixture(scope="session")
def littleworld() -> Backbone:
    """The embedded model."""
    return load("littleworld", device="cpu")


def serve(studio: Studio, host: str = "127.0.0.1", password: str | None = None) -> Iterator[Running]:
    """Serve ``studio`` in a thread."""
    listening = server.listen("127.0.0.1", 0)
    config = uvicorn.Config(create_app(studio, host, password), log_level="warning", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, args=([listening],), daemon=True)
    thread.start()
    yield Running(server.address(listening, "127.0.0.1").rstrip("/"), studio)
    studio.events.close()
    running.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def running(littleworld: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One studio for all tests of the browser; each makes sessions of its own."""
    server.make_room()
    yield from serve(Studio(littleworld, tmp_path_factory.mktemp("sessions")))


def launched(playwright: Playwright, name: str = WANTED) -> Browser:
    """A headless browser: Debian's chromium, or its Firefox by WebDriver BiDi."""
    if name == "firefox":
        if FIREFOX is None:
            pytest.skip("no Firefox on this machine: apt-get install firefox-esr")
        return playwright.firefox.launch(channel="moz-firefox", executable_path=FIREFOX)
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(scope="session")
def driver() -> Iterator[Playwright]:
    """Playwright, of which there is one in a thread."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(driver: Playwright) -> Iterator[Browser]:
    """The browser that is wanted, headless."""
    opened = launched(driver)
    yield opened
    opened.close()


Open = Callable[..., Page]
Json = dict[str, Any]


@pytest.fixture
def open_page(browser: Browser, running: Running) -> Iterator[Open]:
    """Opens a tab: ``open_page(address, params=..., **context options)``. Every tab is watched.

    A page that asks another machine for anything, breaks its own policy, or throws, fails the test.
    """
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def open_one(address: str = "", params: Json = QUICK, beside: Page | None = None, **options: Any) -> Page:
        context = beside.context if beside else browser.new_context(**{"viewport": DESK, **options})
        if beside is None:
            contexts.append(context)
        page = context.new_page()
        watch(page, running.url, wrong)
        method = {"name": "multi_turn", "preset": "default", "params": params, "dial": 0}
        name = unquote(address.removeprefix("#/s/").partition("/")[0]) if address.startswith("#/s/") else "new"
        chosen = f"sessionStorage[{json.dumps(f'method:{name}')}] ??= {json.dumps(json.dumps(method))}"
        # Firefox runs this in the page before as well, whose store it may not touch.
        page.add_init_script(f"try {{ {chosen} }} catch {{}}")
        page.goto(f"{running.url}/{address}")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert wrong == []


def watch(page: Page, url: str, wrong: list[str]) -> None:
    """Collect what no page of the studio may do."""
    page.set_default_timeout(PATIENCE_MS)

    def asked(request: Request) -> None:
        if not request.url.startswith(f"{url}/"):
            wrong.append(f"asked {request.url}")

    def told(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            wrong.append(message.text)

    page.on("request", asked)
    page.on("console", told)
    page.on("pageerror", lambda error: wrong.append(f"threw {error}"))


def rows(page: Page) -> Any:
    """The rows of the history."""
    return page.get_by_role("treeitem")


def write(page: Page, prompt: str) -> None:
    """Write the next turn and wait until the page has understood it."""
    text = page.get_by_label("What the picture is to show")
    text.fill(prompt)
    expect(page.get_by_role("button", name="Make the turn")).to_be_enabled()


def make_turn(page: Page, prompt: str) -> None:
    """Make a turn and wait until it is shown."""
    count = rows(page).count()
    write(page, prompt)
    page.get_by_label("What the picture is to show").press("Enter")
    expect(rows(page)).to_have_count(count + 1)
    expect(page.locator(".caption")).to_have_text(prompt)


def shown_id(page: Page) -> str:
    """The id of the shown turn."""
    return str(page.locator("[role=treeitem][aria-selected=true]").get_attribute("data-turn"))


@pytest.fixture
def example_file(tmp_path: Path) -> Path:
    """The bundled picture as a file."""
    path = tmp_path / "cat.png"
    demo.picture(SIDE).save(path)
    return path


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A stroke of the brush over the picture, in parts of its width and height."""
    box = page.locator("canvas.paint").bounding_box()
    assert box is not None
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=6)
    page.mouse.up()
