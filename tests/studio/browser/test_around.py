"""Around the picture: the list of sessions, colours, what a turn takes, the title of the tab, old browsers."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.studio.browser.conftest import DESK, PATIENCE_MS, SLOW, Open, Running, make_turn, rows, serve, write
from tests.support.hub import Hub, served
from tests.support.tiny_flux import save_tiny_flux
from undrift.backbones import Backbone, load
from undrift.littleworld import demo
from undrift.studio.studio import Studio


def test_sessions_are_found_renamed_removed_and_brought_back(open_page: Open, running: Running) -> None:
    for name in ("garden party", "garden fence", *(f"other {number}" for number in range(8))):
        running.begin(name)
    page = open_page("#/")
    cards = page.locator(".cards li")
    page.get_by_label("Find a session").fill("garden")
    expect(cards.filter(visible=True)).to_have_count(2)
    page.get_by_role("button", name="Rename garden fence").click()
    page.get_by_label("Name", exact=True).fill("garden party")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("exists already")
    page.get_by_label("Name", exact=True).fill("garden gate")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("link", name="garden gate")).to_be_visible()
    assert running.session("garden gate").original.prompt == demo.prompt()

    page.get_by_role("button", name="Remove garden gate").click()
    expect(page.get_by_role("link", name="garden gate")).to_have_count(0)
    page.reload()
    page.get_by_text("Removed sessions (1)").click()
    page.get_by_role("button", name="Bring back garden gate").click()
    page.get_by_role("link", name="garden gate").click()
    expect(rows(page)).to_have_count(1)


@pytest.mark.parametrize("system", ["light", "dark"])
def test_colours_are_those_of_the_system_until_others_are_chosen(
    open_page: Open, running: Running, system: Any
) -> None:
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    page = open_page("#/", color_scheme=system)
    expect(page.get_by_role("heading", name="Sessions")).to_be_visible()
    colours = {"light": "rgb(244, 244, 242)", "dark": "rgb(21, 23, 26)"}
    assert page.evaluate(ground) == colours[system]
    other = "dark" if system == "light" else "light"
    page.get_by_role("button", name="Keys and settings").click()
    page.get_by_role("radio", name=other.capitalize()).check()
    assert page.evaluate(ground) == colours[other]
    page.reload()
    assert page.evaluate(ground) == colours[other]
    page.get_by_role("button", name="Keys and settings").click()
    page.get_by_role("radio", name="As the system").check()
    assert page.evaluate(ground) == colours[system]


def test_what_a_turn_takes_is_told_before_it_and_while_it_is_made(open_page: Open, running: Running) -> None:
    session = running.begin("costly")
    page = open_page("#/s/costly")
    cost = page.locator(".cost")
    expect(cost).to_have_text(re.compile(r"^\d+ evaluations of the model, \d+ MB of memory$"))
    told = int(cost.inner_text().split()[0])
    make_turn(page, demo.edits()[0])
    assert session.head.evaluations == told
    # From the first turn on its seconds are known, too, and so are those of several.
    expect(cost).to_have_text(re.compile(rf"^{told} evaluations of the model, about \d+ (s|min), \d+ MB"))
    page.get_by_role("spinbutton", name="Candidates").fill("4")
    page.get_by_role("spinbutton", name="Candidates").press("Tab")
    expect(cost).to_contain_text(f"{4 * told} evaluations")


def test_a_picture_that_may_not_fit_into_memory_says_so_before(
    open_page: Open, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undrift.studio.models.free_memory", lambda device=None: 1000)
    running.begin("too large")
    page = open_page("#/s/too large")
    expect(page.get_by_text("This may need more memory than there is: 0 MB are free.")).to_be_visible()


def test_a_long_turn_says_how_long_it_takes_still_and_the_tab_says_so_too(open_page: Open, running: Running) -> None:
    running.begin("long")
    page = open_page("#/s/long", params=SLOW)
    write(page, demo.edits()[0])
    expect(page).to_have_title("long · undrift studio")
    page.get_by_role("button", name="Make the turn").click()
    expect(page.locator(".bar")).to_contain_text(re.compile(r"about \d+ (s|min) left"))
    expect(page).to_have_title(re.compile(r"^\d+ % · long · undrift studio$"))
    page.keyboard.press("Escape")
    expect(page).to_have_title("long · undrift studio")


def test_who_looks_elsewhere_is_told_that_the_turn_is_done(open_page: Open, running: Running) -> None:
    running.begin("told")
    page = open_page("#/s/told")
    page.context.grant_permissions(["notifications"])
    page.evaluate(
        """() => {
            window.told = [];
            const Real = window.Notification;
            window.Notification = function (title, { body }) { window.told.push(body); };
            window.Notification.requestPermission = () => Real.requestPermission();
            Object.defineProperty(window.Notification, "permission", { get: () => "granted" });
        }"""
    )
    page.get_by_role("button", name="Keys and settings").click()
    page.get_by_label("Tell me when a turn is done").check()
    page.get_by_role("button", name="Close").click()
    make_turn(page, demo.edits()[0])
    assert page.evaluate("window.told") == [], "the page is looked at"
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => true })")
    make_turn(page, demo.edits()[1])
    expect(page.locator("#live")).to_contain_text("Done")
    assert page.evaluate("window.told") == [f"Done: {demo.edits()[1]}"]


def test_an_old_browser_gets_a_sentence(open_page: Open) -> None:
    page = open_page("#/")
    page.add_init_script("Map.groupBy = undefined")
    page.reload()
    expect(page.locator("main")).to_contain_text("This browser is too old for the studio")
    expect(page.get_by_role("button")).to_have_count(0)


def test_the_queue_is_paused_and_reordered_on_the_page(open_page: Open, running: Running) -> None:
    running.begin("paused")
    page = open_page("#/s/paused")
    running.studio.jobs.pause(True)
    try:
        for prompt in demo.edits()[:2]:
            write(page, prompt)
            page.get_by_role("button", name="Make the turn").click()
            expect(page.locator(".jobs li").filter(has_text=prompt)).to_contain_text("the queue is paused")
            # Beside each other, so that their order is free.
            page.get_by_role("button", name="Make it from the original instead").click()
        page.get_by_role("button", name=f"Sooner: {demo.edits()[1]}").click()
        expect(page.locator(".jobs li").first).to_contain_text(demo.edits()[1])
        page.get_by_role("button", name="Go on with the queue").click()
        expect(rows(page)).to_have_count(3)
    finally:
        running.studio.jobs.pause(False)
    assert [turn.prompt for turn in running.session("paused").turns()[1:]] == [demo.edits()[1], demo.edits()[0]]


def test_another_model_is_chosen_on_the_page(browser: Browser, littleworld: Backbone, tmp_path: Path) -> None:
    for running in serve(Studio(littleworld, tmp_path, load=partial(load, device="cpu"))):
        running.begin("two models")
        page = browser.new_context(viewport=DESK).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{running.url}/#/s/two models")
        chip = page.get_by_role("button", name="Model: littleworld")
        chip.click()
        models = page.get_by_role("dialog", name="Models")
        expect(models.locator("li").filter(has_text="in use")).to_contain_text("littleworld")
        expect(models.locator("li").filter(has_text="FLUX.1-dev").first).to_contain_text("non-commercial")
        models.get_by_role("button", name="Use littleworld-sd").click()
        expect(page.get_by_role("button", name="Model: littleworld-sd")).to_be_visible()
        expect(page.get_by_text("the studio runs littleworld-sd")).to_be_visible()
        page.context.close()


def test_a_model_is_downloaded_from_the_page(
    browser: Browser, littleworld: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "someone/tiny-flux"
    monkeypatch.setattr("undrift.studio.models.KNOWN", {"littleworld": "embedded", name: "a tiny FLUX"})
    hub = Hub(save_tiny_flux(tmp_path / "repository"), name)
    sessions = tmp_path / "sessions"
    sessions.mkdir()
    with served(hub, tmp_path / "cache", monkeypatch):
        for running in serve(Studio(littleworld, sessions, load=partial(load, device="cpu"))):
            running.begin("small")
            page = browser.new_context(viewport=DESK).new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(f"{running.url}/#/s/small")
            chip = page.get_by_role("button", name="Model: littleworld")
            chip.click()
            models = page.get_by_role("dialog", name="Models")
            expect(models).to_contain_text("Memory is for pictures of 128")
            expect(models.locator("li").filter(has_text="in use")).to_contain_text(
                re.compile(r"about \d+ MB of memory")
            )
            models.get_by_role("button", name=f"Download {name}").press("Enter")
            expect(page.get_by_text(f"download {name}: done")).to_be_visible()
            chip.click()
            expect(models.get_by_role("button", name=f"Use {name}")).to_be_enabled()
            page.context.close()
