"""What is drawn stays readable: rails of a branched history, the chart of many turns, the bar of a running one."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.studio.browser.conftest import PATIENCE_MS, PHONE, SLOW, Open, Running, make_turn, rows, write
from undrift.littleworld import demo
from undrift.methods import registry
from undrift.session import engine
from undrift.session.engine import EditPlan, run_turn

SMALL = 64
"""Pixels a side of pictures that nobody looks at."""
LAPTOP = ViewportSize(width=1280, height=800)
"""The lowest window of a desk that everything of a turn is to fit."""


def boxes(page: Page, selector: str) -> list[Any]:
    """Where things are that can be seen: x, y, width and height."""
    return [one.bounding_box() for one in page.locator(selector).all() if one.is_visible()]


def meet(one: Any, other: Any) -> bool:
    across = one["x"] < other["x"] + other["width"] and other["x"] < one["x"] + one["width"]
    return bool(across and one["y"] < other["y"] + other["height"] and other["y"] < one["y"] + one["height"])


def test_a_rail_leads_to_the_turn_that_a_turn_was_made_from(open_page: Open, running: Running) -> None:
    session, backbone = running.begin("rails", SMALL), running.studio.backbone
    made = [session.original.id]
    for number, parent in enumerate([0, 1, 1, 0, 4, 2, 4], start=1):
        session.checkout(made[parent])
        made.append(engine.import_picture(session, demo.picture(SMALL), f"picture {number}", backbone).id)
    page = open_page("#/s/rails")
    expect(rows(page)).to_have_count(len(made))
    above: list[tuple[str, int]] = []
    for row in rows(page).all():
        turn, level = str(row.get_attribute("data-turn")), int(str(row.get_attribute("aria-level")))
        bends = "off" in str(row.locator(".rails").get_attribute("class")).split()
        # A rail goes straight up to the parent, or bends off to the rail beside it.
        beside = [one for one, at in reversed(above) if at == (level - 1 if bends else level)]
        assert session.turn(turn).parent == (beside[0] if above else None)
        above.append((turn, level))


def test_the_chart_of_thirty_turns_can_be_read(open_page: Open, running: Running) -> None:
    session, backbone = running.begin("charted", SMALL), running.studio.backbone
    method = registry.get("no_edit")
    for number in range(30):
        run_turn(session, backbone, method, EditPlan(f"{demo.prompt()} {number}", seed=1))
    page = open_page("#/s/charted")
    expect(rows(page)).to_have_count(31)
    words = boxes(page, ".chart text")
    assert len(words) >= 8
    assert [pair for pair in combinations(words, 2) if meet(*pair)] == []


def test_the_bar_of_a_running_turn_covers_nothing(open_page: Open, running: Running) -> None:
    running.begin("covered")
    page = open_page("#/s/covered", params=SLOW)
    page.get_by_role("tab", name="Paint").click()
    write(page, demo.edits()[0])
    page.get_by_role("button", name="Make the turn").click()
    expect(page.locator(".bar .progress")).to_be_visible()
    # What it was understood as is seen while it runs, too.
    expect(page.locator(".bar .diff ins")).to_have_text(["wearing", "a", "pink", "crown"])
    for size in (page.viewport_size, PHONE):
        assert size is not None
        page.set_viewport_size(size)
        [bar] = boxes(page, ".bar")
        for other in (".tools", ".pane", ".above", ".conversation"):
            assert [box for box in boxes(page, other) if meet(bar, box)] == [], other
    page.keyboard.press("Escape")
    expect(page.locator(".bar")).to_be_hidden()


def test_the_strip_stays_in_sight_on_a_laptop_whatever_is_said_above_it(open_page: Open, running: Running) -> None:
    running.begin("low")
    page = open_page("#/s/low", viewport=LAPTOP)
    make_turn(page, demo.edits()[0])
    box, strip = page.get_by_label("Say what to change"), page.get_by_role("listbox", name="Turns of this branch")

    def in_sight(what: str) -> None:
        expect(strip.get_by_role("option").last).to_be_in_viewport(ratio=1)
        assert page.locator(".centre").evaluate("e => e.scrollTop") == 0, what

    for mode in ("Compare", "Changes", "View"):
        page.get_by_role("tab", name=mode).click()
        in_sight(mode)
    box.fill("make the spaceship fly")
    refused = page.locator("#heard .note")
    expect(refused).to_be_visible()
    # It lies below the box, not over it.
    [words], [field] = boxes(page, "#heard .note"), boxes(page, ".conversation textarea")
    assert not meet(words, field)
    in_sight("a refusal")
    box.fill("make the robot blue")
    expect(page.locator("#heard")).to_contain_text("Read as an instruction")
    in_sight("what was understood")
    page.evaluate(
        "sessionStorage['method:low'] = sessionStorage['method:low'].replace('\"steps\":6', '\"steps\":400')"
    )
    page.reload()
    expect(page.get_by_role("button", name="Make the turn")).to_be_enabled()
    page.get_by_role("button", name="Make the turn").click()
    expect(page.locator(".bar .progress")).to_be_visible()
    expect(page.locator(".bar .diff ins").first).to_be_visible()
    in_sight("a running turn")
    page.keyboard.press("Escape")
    expect(page.locator(".bar")).to_be_hidden(timeout=PATIENCE_MS)


@pytest.mark.parametrize("locale", ["en", "de", "fr"])
def test_all_ways_to_look_are_in_sight_on_a_laptop(open_page: Open, running: Running, locale: str) -> None:
    running.begin(f"tabs {locale}", SMALL)
    page = open_page(f"#/s/tabs {locale}", viewport=LAPTOP, locale=locale)
    tabs = page.locator(".modes")
    expect(tabs.get_by_role("tab")).to_have_count(6)
    assert tabs.evaluate("e => e.scrollWidth - e.clientWidth") == 0
