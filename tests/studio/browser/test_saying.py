"""The box for plain words in a real browser: shown as a difference, corrected, forced, recorded."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.studio.browser.conftest import Open, Running, rows
from undrift.littleworld import demo
from undrift.methods.registry import all_methods

MAKE = "Make the turn"


def said(page: Page, text: str) -> None:
    """Say something and wait until it is understood."""
    page.get_by_label("Say what to change").fill(text)
    expect(page.locator("#heard")).not_to_be_empty()


def test_an_instruction_is_shown_corrected_and_recorded(open_page: Open, running: Running) -> None:
    running.begin("said")
    page = open_page("#/s/said")
    caption = page.get_by_label("What the picture is to show")
    said(page, "make the robot green")
    expect(page.locator("#heard")).to_contain_text("Read as an instruction (a colour).")
    wanted = demo.prompt().replace("an orange robot", "a green robot")
    expect(caption).to_have_value(wanted)
    expect(page.locator(".diff ins")).to_have_text(["a", "green"])
    expect(page.locator(".diff del")).to_have_text(["an", "orange"])
    caption.fill(wanted.replace("green", "pink"))
    expect(page.locator(".diff ins")).to_have_text(["a", "pink"])
    page.get_by_label("Say what to change").press("Enter")
    expect(rows(page)).to_have_count(2)
    expect(page.get_by_label("Say what to change")).to_have_value("")
    spec = running.session("said").head.spec
    assert spec is not None
    assert (spec.instruction, spec.target_prompt) == ("make the robot green", wanted.replace("green", "pink"))

    said(page, "undo that")
    expect(page.locator("#heard")).to_contain_text("Goes 1 turn back.")
    page.get_by_role("button", name="Go back").click()
    expect(page.locator(".caption")).to_have_text(demo.prompt())
    assert running.session("said").head.number == 0


def test_what_is_not_understood_makes_no_turn_and_can_be_taken_as_a_caption(
    open_page: Open, running: Running
) -> None:
    running.begin("not said")
    page = open_page("#/s/not said")
    said(page, "make the horse blue")
    expect(page.locator("#heard")).to_contain_text("the caption has no 'the horse'")
    expect(page.get_by_role("button", name=MAKE)).to_be_disabled()
    page.get_by_label("Say what to change").press("Enter")
    page.get_by_role("button", name="It is a caption").click()
    expect(page.get_by_label("What the picture is to show")).to_have_value("make the horse blue")
    expect(page.get_by_role("button", name=MAKE)).to_be_enabled()
    page.get_by_role("button", name="It is an instruction").click()
    expect(page.locator("#heard")).to_contain_text("the caption has no 'the horse'")
    page.get_by_label("Say what to change").fill("")
    expect(page.get_by_label("What the picture is to show")).to_have_value(demo.prompt())
    assert len(running.session("not said").turns()) == 1


def with_methods(open_page: Open, running: Running, name: str) -> tuple[Page, Locator]:
    """The page of a new session, and the choice of its method."""
    running.begin(name)
    page = open_page(f"#/s/{name}")
    page.get_by_text("Method and parameters").click()
    return page, page.get_by_label("Method", exact=True)


def test_an_editor_by_instructions_is_told_what_nobody_understood(
    open_page: Open, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Choosing such an editor lets what was refused be sent; another one refuses it again."""
    monkeypatch.setattr(all_methods()["no_edit"], "follows_instructions", True)
    page, method = with_methods(open_page, running, "told to the editor")
    said(page, "make the horse blue")
    expect(page.get_by_role("button", name=MAKE)).to_be_disabled()
    method.select_option("no_edit")
    expect(page.locator("#heard")).to_contain_text("Told to the editor as you say it; the caption stays as it is.")
    expect(page.locator("#heard")).to_contain_text("the caption has no 'the horse'")
    expect(page.get_by_role("button", name=MAKE)).to_be_enabled()
    method.select_option("rf_inversion")
    expect(page.get_by_role("button", name=MAKE)).to_be_disabled()
    method.select_option("no_edit")
    expect(page.get_by_role("button", name=MAKE)).to_be_enabled()
    page.get_by_label("Say what to change").press("Enter")
    expect(rows(page)).to_have_count(2)
    spec = running.session("told to the editor").head.spec
    assert spec is not None
    assert (spec.instruction, spec.target_prompt) == ("make the horse blue", demo.prompt())


def test_an_editor_chosen_back_while_the_words_are_read_for_another_is_asked_again(
    open_page: Open, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer that is under way then is for neither."""
    monkeypatch.setattr(all_methods()["no_edit"], "follows_instructions", True)
    page, method = with_methods(open_page, running, "back and forth")
    method.select_option("no_edit")
    said(page, "make the horse blue")
    expect(page.get_by_role("button", name=MAKE)).to_be_enabled()
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        held.append(route)

    page.route("**/say", hold_the_first)
    with page.expect_request("**/say"):
        method.select_option("rf_inversion")
    method.select_option("no_edit")
    held[0].continue_()
    expect(page.get_by_role("button", name=MAKE)).to_be_enabled()
