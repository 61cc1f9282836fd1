"""What is drawn stays readable: rails of a branched history, the chart of many turns, the bar of a running one."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from playwright.sync_api import Page, expect

from tests.studio.browser.conftest import PHONE, SLOW, Open, Running, rows, write
from undrift.littleworld import demo
from undrift.methods import registry
from undrift.session import engine
from undrift.session.engine import EditPlan, run_turn

SMALL = 64
"""Pixels a side of pictures that nobody looks at."""


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
