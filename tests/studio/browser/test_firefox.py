"""A whole story in Firefox: what another browser does otherwise is seen here, all else in the tests of chromium.

``UNDRIFT_BROWSER=firefox`` runs the other files of this folder in it, too. Playwright drives it by WebDriver BiDi,
which has no touch and none of chromium's own tools as of version 1.63: tests that need these fail there.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Playwright, expect

from tests.studio.browser.conftest import Open, Running, drag, launched, make_turn, rows
from undrift.littleworld import demo


@pytest.fixture(scope="module")
def browser(driver: Playwright) -> Iterator[Browser]:
    """Firefox, in place of the browser of the other files."""
    opened = launched(driver, "firefox")
    yield opened
    opened.close()


def test_a_picture_is_edited_compared_painted_and_taken_back(open_page: Open, running: Running) -> None:
    page = open_page()
    page.get_by_role("button", name="Use the example").click()
    page.get_by_label("Name of the session").fill("firefox")
    page.get_by_role("button", name="Start").click()
    page.get_by_label("Say what to change").fill("put a pink crown on the robot")
    expect(page.locator(".diff ins").first).to_be_visible()
    page.get_by_label("Say what to change").press("Enter")
    expect(page.locator(".caption")).to_have_text(demo.edits()[0])

    page.get_by_role("tab", name="Compare").click()
    divider = page.get_by_role("slider", name="Divider")
    divider.press("ArrowRight")
    expect(divider).to_have_value("51")
    page.get_by_role("tab", name="Changes").click()
    expect(page.get_by_text("of the pixels changed")).to_be_visible()
    page.get_by_role("tab", name="Paint").click()
    drag(page, (0.1, 0.1), (0.9, 0.1))
    expect(page.locator(".area.only")).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    make_turn(page, "an orange robot wearing a pink crown next to an orange flower at night")
    before, after = running.session("firefox").turns()[-2:]
    assert after.region_file is not None
    assert after.parent == before.id

    page.get_by_role("tab", name="View").click()
    small = page.locator(".lens output").inner_text()
    page.locator(".pane").hover()
    page.mouse.wheel(0, -400)
    expect(page.locator(".lens output")).not_to_have_text(small)
    page.locator("#mode-view").focus()
    page.keyboard.press("Control+z")
    expect(page.locator(".caption")).to_have_text(demo.edits()[0])
    page.reload()
    expect(rows(page)).to_have_count(3)
    assert running.session("firefox").head.id == before.id
