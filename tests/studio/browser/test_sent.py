"""What was sent: once, as it was written for the turn that was shown, and back in its place if nothing came of it."""

from __future__ import annotations

from typing import NoReturn

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from tests.studio.browser.conftest import Open, Running, make_turn, rows
from undrift.errors import SessionError
from undrift.littleworld import demo

LONG = {"steps": 60}
"""Steps of a turn that is still being made while two more are asked for."""


def say(page: Page, text: str) -> None:
    """Send an instruction once it is understood."""
    box = page.get_by_label("Say what to change")
    box.fill(text)
    expect(page.locator("#heard")).to_contain_text("Read as an instruction")
    box.press("Enter")
    expect(box).to_have_value("")


def test_what_was_not_understood_when_it_was_sent_is_not_sent_later(open_page: Open, running: Running) -> None:
    running.begin("unheard")
    page = open_page("#/s/unheard")
    make_turn(page, demo.edits()[0])
    box = page.get_by_label("Say what to change")
    page.route("**/say", lambda route: route.abort())
    box.fill("make the robot blue")
    box.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The studio does not answer")
    page.unroute("**/say")
    rows(page).nth(0).click()
    # Another turn is shown: what stands in the box is understood of that, and waits to be sent.
    expect(page.locator("#heard")).to_contain_text("Read as an instruction")
    expect(box).to_have_value("make the robot blue")
    expect(page.get_by_role("button", name="Make the turn")).to_be_enabled()
    expect(page.locator(".bar")).to_be_hidden()
    assert len(running.session("unheard").turns()) == 2


def test_what_was_sent_is_not_back_in_the_box_while_it_waits(open_page: Open, running: Running) -> None:
    running.begin("three")
    page = open_page("#/s/three", params=LONG)
    say(page, "make the robot red")
    running.studio.jobs.pause(True)
    try:
        for colour in ("blue", "green"):
            say(page, f"make the robot {colour}")
        # The first is there: the two that follow it still wait.
        expect(rows(page)).to_have_count(2)
        expect(page.locator(".bar")).to_contain_text("the queue is paused")
        expect(page.get_by_text("Made from the turn on its way")).to_be_visible()
        expect(page.get_by_label("Say what to change")).to_have_value("")
        for job in reversed(running.studio.jobs.open_jobs()):
            running.studio.jobs.cancel(job.id)
        expect(page.get_by_label("Say what to change")).to_have_value("make the robot green")
    finally:
        running.studio.jobs.pause(False)


def test_what_fails_before_its_answer_is_there_comes_back(
    open_page: Open, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.begin("full")

    def no_room(*_: object, **__: object) -> NoReturn:
        raise SessionError("there is no room left on the disk")

    monkeypatch.setattr("undrift.studio.submit.engine.run_together", no_room)
    page = open_page("#/s/full")
    answers: list[tuple[Route, APIResponse]] = []
    page.route("**/edit", lambda route: answers.append((route, route.fetch())))
    box = page.get_by_label("Say what to change")
    box.fill("make the robot blue")
    expect(page.locator("#heard")).to_contain_text("Read as an instruction")
    box.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("no room left")
    [(route, answer)] = answers
    route.fulfill(response=answer)
    expect(page.locator("#heard")).to_contain_text("Read as an instruction")
    expect(box).to_have_value("make the robot blue")
    expect(page.get_by_label("What the picture is to show")).to_have_value(
        demo.prompt().replace("an orange robot", "a blue robot")
    )
    expect(page.get_by_role("button", name="Make the turn")).to_be_enabled()
