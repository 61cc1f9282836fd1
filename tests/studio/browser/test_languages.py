"""The page in other languages: the browser's, or the one that was chosen; a turn is made in each."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.studio.browser.conftest import PHONE, Open, Running, rows
from undrift.littleworld import demo
from undrift.studio.app import STATIC


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
    for mode in ("Compare", "Changes", "Mask", "Paint", "Side by side", "View"):
        page.get_by_role("tab", name=said[mode], exact=True).click()
    page.set_viewport_size(PHONE)
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")


def test_another_language_is_chosen_and_the_system_s_comes_back(open_page: Open) -> None:
    page = open_page("#/", locale="sv-SE")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("button", name="Keys and settings").click()
    page.get_by_label("Language").select_option("Français")
    shows(page, "fr")
    page.get_by_role("button", name=words("fr")["Keys and settings"]).click()
    page.get_by_label(words("fr")["Language"]).select_option(words("fr")["As the system"])
    expect(page.locator("html")).to_have_attribute("lang", "en")
