"""The page in other languages: the browser's, or the one that was chosen; a turn is made in each."""

from __future__ import annotations

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.studio.browser.conftest import PHONE, Open, Running, module, rows, shown_id
from undrift.littleworld import demo
from undrift.studio.page import STATIC


def words(tag: str) -> dict[str, str]:
    """A language's catalogue."""
    found: dict[str, str] = json.loads((STATIC / "languages" / f"{tag}.json").read_text("utf-8"))
    return found


def shows(page: Page, tag: str) -> None:
    """The page says what it says in a language."""
    expect(page.locator("html")).to_have_attribute("lang", tag)
    expect(page.get_by_role("button", name=words(tag)["Use the example"])).to_be_visible()


@pytest.mark.parametrize(("locale", "tag"), [("de-AT", "de"), ("fr-CA", "fr")])
def test_a_turn_is_made_in_the_language_of_the_browser(
    open_page: Open, running: Running, locale: str, tag: str
) -> None:
    said = words(tag)
    page = open_page("#/", locale=locale)
    shows(page, tag)
    running.begin(f"in {tag}")
    page.goto(f"{running.url}/#/s/in {tag}")
    page.evaluate(f"sessionStorage['method:in {tag}'] = sessionStorage['method:new']")
    page.reload()
    expect(rows(page)).to_have_count(1)
    page.get_by_label(said["What the picture is to show"]).fill(demo.edits()[0])
    page.get_by_role("button", name=said["Make the turn"]).click()
    expect(rows(page)).to_have_count(2)
    expect(rows(page).nth(1)).to_contain_text(said["Turn {0}"].format(1))
    again = said["Try {0} again"].format(said["turn {0}"].format(1))
    expect(page.get_by_role("button", name=again, exact=True)).to_be_visible()
    for mode in ("Compare", "Changes", "Mask", "Paint", "Side by side", "View"):
        page.get_by_role("tab", name=said[mode], exact=True).click()
        assert Axe().run(page).response["violations"] == [], mode
    page.get_by_role("button", name=said["Crop or extend"]).click()
    assert Axe().run(page).response["violations"] == []
    page.keyboard.press("Escape")
    page.set_viewport_size(PHONE)
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("tag", ["de", "fr"])
def test_what_the_server_says_is_said_in_the_page_s_language(open_page: Open, tag: str) -> None:
    page = open_page("#/", locale=tag)
    shows(page, tag)
    chooser = page.locator("input[type=file]").first
    chooser.set_input_files({"name": "empty.png", "mimeType": "image/png", "buffer": b""})
    expect(page.get_by_role("alert")).to_contain_text(
        words(tag)["{0} is empty (0 bytes), expected a picture"].format("'empty.png'")
    )


def test_what_no_catalogue_has_stays_as_it_was_said(open_page: Open) -> None:
    page = open_page("#/", locale="de")

    def heard(text: str) -> str:
        found: str = page.evaluate(f"text => {module('languages.js')}.then((the) => the.heard(text))", text)
        return found

    assert heard("the moon is full") == "the moon is full"
    assert heard("sampling, step 3 of 15") == "Abtastung, Teilschritt 3 von 15"
    # Names may have anything in them.
    assert heard("'a (b) $& {0}' exists already: choose another name").startswith("„a (b) $& {0}“ gibt es schon")


def test_the_queue_is_told_in_the_page_s_language_and_what_was_written_as_it_was_written(
    open_page: Open, running: Running
) -> None:
    running.begin("gekocht")
    running.studio.jobs.pause(True)
    try:
        page = open_page("#/s/gekocht", locale="de-DE")
        form = {"turn": shown_id(page), "left": 0, "top": 0, "width": 64, "height": 48}
        written = "the same turns on a plate"
        edit = {"parent": form["turn"], "prompt": written, "method": {"name": "multi_turn"}, "seed": 1}
        jobs = [
            page.request.post(f"{running.url}/api/sessions/gekocht/{what}", data=data).json()["id"]
            for what, data in (("frame", form), ("edit", edit))
        ]
        expect(page.locator(f"[data-job='{jobs[0]}'] .title")).to_contain_text("Rahmen um gekocht: 64 mal 48 Pixel")
        expect(page.locator(f"[data-job='{jobs[1]}'] .title")).to_contain_text(written)
        for job in jobs:
            page.request.post(f"{running.url}/api/jobs/{job}/cancel")
    finally:
        running.studio.jobs.pause(False)


def test_another_language_is_chosen_and_the_system_s_comes_back(open_page: Open) -> None:
    page = open_page("#/", locale="sv-SE")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("button", name="Keys and settings").click()
    page.get_by_label("Language").select_option("Français")
    shows(page, "fr")
    page.get_by_role("button", name=words("fr")["Keys and settings"]).click()
    page.get_by_label(words("fr")["Language"]).select_option(words("fr")["As the system"])
    expect(page.locator("html")).to_have_attribute("lang", "en")
