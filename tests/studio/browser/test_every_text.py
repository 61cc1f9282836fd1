"""Every text of the page comes from the catalogue: all those of a made-up language stand in brackets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.studio.browser.conftest import DESK, PATIENCE_MS, Running, drag, rows, serve
from undrift.backbones import Backbone
from undrift.littleworld import demo
from undrift.methods import registry
from undrift.session import engine
from undrift.session.engine import EditPlan, run_turn
from undrift.studio.page import STATIC
from undrift.studio.studio import Studio

LEFTOVER = Path(__file__).with_name("leftover.js").read_text("utf-8")
CATALOGUE = json.loads((STATIC / "languages" / "de.json").read_text("utf-8"))
SESSION = "wörterbuch"
NAMES = "main undrift studio littleworld english deutsch français python mb png wörterbuch leer queue in words"
"""Words of things that are called so in every language."""

DIALOGS = ("Keys and settings", "Name this turn", "Name a branch", "Do the same to other pictures", "Crop or extend")

SAID = (
    "make the robot blue",
    "surprise me",
    "make the horse blue",
    "is it day?",
    "undo that",
    "more",
    "a red robot on a beach",
)
"""Instructions, what is not understood, steps, and a caption."""

EXAMPLE = "make the hat blue"
"""Said as an example of what the model is told, which is English."""


def bracketed(text: str) -> str:
    """A text of the made-up language, as the page shows it."""
    return f"⟦{text}⟧"


@pytest.fixture(scope="module")
def running(littleworld: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A studio of its own, which lists no sessions with other tests' names."""
    yield from serve(Studio(littleworld, tmp_path_factory.mktemp("words")))


@pytest.fixture
def page(browser: Browser, running: Running) -> Iterator[Page]:
    """A page in the made-up language, which takes the place of German."""
    context = browser.new_context(viewport=DESK, locale="de-DE")
    words = {text: bracketed(text) for text in CATALOGUE}
    context.route("**/static/languages/de.json", lambda route: route.fulfill(json=words))
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    context.close()


class Walk:
    """Goes from state to state of a page and looks for texts that are in no catalogue."""

    def __init__(self, page: Page, running: Running) -> None:
        self.page = page
        about = running.studio.about
        written = [demo.prompt(), *demo.edits(), *(about["vocabulary"] or []), NAMES, EXAMPLE, str(about["folder"])]
        self.known = sorted({word for text in written for word in re.findall(r"[^\W\d_][\w'-]*", text.lower())})
        self.left: dict[str, list[str]] = {}

    def look(self, state: str) -> None:
        """Note what is left over in a state."""
        found = self.page.evaluate(LEFTOVER, self.known)
        if found:
            self.left[state] = found

    def button(self, text: str) -> Locator:
        """The button whose English name is ``text``."""
        return self.page.get_by_role("button", name=bracketed(text), exact=True)

    def dialog(self, text: str) -> None:
        """Open a dialog with a button, look, and close it."""
        self.button(text).click()
        expect(self.page.get_by_role("dialog")).to_be_visible()
        self.look(text)
        self.page.keyboard.press("Escape")


def test_no_text_is_said_past_the_catalogue(page: Page, running: Running) -> None:
    walk = Walk(page, running)
    page.goto(f"{running.url}/#/")
    walk.button("Use the example").wait_for()
    walk.look("the first page")
    chooser = page.locator("input[type=file]")
    chooser.set_input_files({"name": "leer.png", "mimeType": "image/png", "buffer": b""})
    page.get_by_role("alert").wait_for()
    walk.look("a picture that is refused")
    page.locator("input[type=file]").set_input_files(
        {"name": "leer.zip", "mimeType": "application/zip", "buffer": b"PK"}
    )
    page.get_by_role("alert").nth(1).wait_for()
    walk.look("a zip file that is refused")
    walk.button("Use the example").click()
    walk.button("Start").wait_for()
    walk.look("a picture that was brought")

    session = running.begin(SESSION)
    method = registry.get("multi_turn", overrides={"steps": 6}, tuned=running.studio.backbone.tuned)
    for prompt in demo.edits()[:2]:
        run_turn(session, running.studio.backbone, method, EditPlan(prompt, seed=1))
    run_turn(session, running.studio.backbone, method, EditPlan(demo.edits()[1], seed=2, parent="1", move_head=False))
    engine.import_picture(session, demo.picture(128), demo.prompt(), running.studio.backbone)
    last = session.turns()[2].id
    page.goto(f"{running.url}/#/s/{SESSION}/{last}")
    expect(rows(page)).to_have_count(5)
    walk.look("a session")
    for details in page.locator("details.expert > summary, details.source > summary").all():
        details.click()
    for mode in ("Compare", "Changes", "Mask", "Side by side", "Paint"):
        page.get_by_role("tab", name=bracketed(mode), exact=True).click()
        if mode == "Changes":
            expect(page.locator(".tools [role=status]")).not_to_have_text("…")
        walk.look(mode)
    drag(page, (0.2, 0.2), (0.5, 0.2))
    walk.look("a painted area")
    page.get_by_role("tab", name=bracketed("View"), exact=True).click()
    for opens in DIALOGS:
        walk.dialog(opens)
    said = page.get_by_label(bracketed("Say what to change"))
    for text in SAID:
        said.fill(text)
        expect(page.locator("#heard")).not_to_be_empty()
        page.wait_for_function("document.querySelector('#heard button, #heard .note')")
        walk.look(f"'{text}'")
    said.fill("")
    page.locator("summary", has_text=bracketed("Export")).click()
    walk.look("the exports")
    page.get_by_role("button", name=bracketed("Command line")).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    walk.look("a script")
    page.keyboard.press("Escape")
    assert walk.left == {}, json.dumps(walk.left, indent=1, ensure_ascii=False)


def test_no_text_of_the_queue_is_said_past_the_catalogue(page: Page, running: Running) -> None:
    walk = Walk(page, running)
    running.begin("queue in words")
    page.goto(f"{running.url}/#/s/queue in words")
    expect(rows(page)).to_have_count(1)
    turn = rows(page).first.get_attribute("data-turn")
    running.studio.jobs.pause(True)
    try:
        method = {"name": "multi_turn", "params": {"steps": 6}}
        edit = {"parent": turn, "prompt": demo.edits()[0], "method": method, "seed": 1}
        address = f"{running.url}/api/sessions/queue in words"
        jobs = [page.request.post(f"{address}/edit", data=edit).json() for _ in range(2)]
        expect(page.locator("[data-job]")).to_have_count(2)
        walk.look("two that wait")
        cancels = [page.locator(f"[data-job='{job['id']}'] button").last for job in jobs]
        assert len({one.get_attribute("aria-label") for one in cancels}) == 2, "which of two equal ones is told"
        page.request.post(f"{running.url}/api/jobs/{jobs[1]['id']}/cancel")
    finally:
        running.studio.jobs.pause(False)
    expect(rows(page)).to_have_count(2)
    expect(page.locator("[data-job]")).to_have_count(0)
    walk.look("one that ran")
    assert walk.left == {}, json.dumps(walk.left, indent=1, ensure_ascii=False)
