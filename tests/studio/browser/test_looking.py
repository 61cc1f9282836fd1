"""Looking closely: enlarging, moving, and the picture before in the picture's place."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests.studio.browser.conftest import PHONE, SIDE, Open, Running, rows
from undrift.littleworld import demo
from undrift.session import engine
from undrift.studio.notes import Note

PLACE = 0.02
"""Of a pixel of the picture: layout rounds to 1/64 of a pixel of the screen."""


class Box(NamedTuple):
    """A rectangle of the screen."""

    x: float
    y: float
    width: float
    height: float


def box_of(page: Page, selector: str) -> Box:
    """Where the first element of ``selector`` is."""
    found = page.locator(selector).first.bounding_box()
    assert found is not None
    return Box(found["x"], found["y"], found["width"], found["height"])


def pixel_at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Which pixel of the picture is seen at a point of the screen."""
    sheet = box_of(page, ".sheet")
    return (x - sheet.x) / sheet.width * SIDE, (y - sheet.y) / sheet.height * SIDE


@pytest.fixture(scope="module")
def looked_at(running: Running) -> str:
    """The name of a session of two turns, none of which needed the model's steps."""
    session = running.begin("looked at")
    for prompt in demo.edits()[:2]:
        engine.import_picture(session, demo.picture(SIDE), prompt, running.studio.backbone)
    return "looked at"


def opened(open_page: Open, name: str, **options: object) -> Page:
    """The session's page, with its picture in place."""
    page = open_page(f"#/s/{name}", **options)
    expect(rows(page)).to_have_count(3)
    rows(page).nth(2).click()
    expect(page.locator(".caption")).to_have_text(demo.edits()[1])
    expect(page.locator(".stage .picture").first).to_have_js_property("complete", True)
    return page


def test_the_wheel_enlarges_what_is_under_it_and_the_place_stays(open_page: Open, looked_at: str) -> None:
    page = opened(open_page, looked_at)
    pane, fitting = box_of(page, ".pane"), box_of(page, ".sheet")
    # Browsers tell of the wheel in whole pixels.
    point = (round(fitting.x + 0.3 * fitting.width), round(fitting.y + 0.7 * fitting.height))
    before = pixel_at(page, *point)
    page.mouse.move(*point)
    page.mouse.wheel(0, -500)
    expect(page.locator(".pane.zoomed")).to_have_count(1)
    assert box_of(page, ".sheet").width > 2 * fitting.width
    assert pixel_at(page, *point) == pytest.approx(before, abs=PLACE)
    # The window is as large as there is room, and is filled.
    assert box_of(page, ".window") == pytest.approx(pane, abs=1)

    seen = box_of(page, ".sheet")
    for mode in ("Changes", "Paint", "Compare", "View"):
        page.get_by_role("tab", name=mode).click()
        expect(page.get_by_role("tab", name=mode)).to_have_attribute("aria-selected", "true")
        middle = (pane.x + pane.width / 2, pane.y + 100)
        assert pixel_at(page, *middle)[0] == pytest.approx((middle[0] - seen.x) / seen.width * SIDE, abs=1), mode
    rows(page).nth(1).click()
    expect(page.locator(".caption")).to_have_text(demo.edits()[0])
    assert box_of(page, ".sheet") == pytest.approx(seen, abs=1)

    page.get_by_role("button", name="Fit the window").click()
    assert box_of(page, ".sheet") == pytest.approx(fitting, abs=1)


def test_keys_enlarge_to_single_pixels_and_move(open_page: Open, looked_at: str) -> None:
    page = opened(open_page, looked_at)
    pane = page.get_by_role("group", name="Picture; plus and minus enlarge it")
    pane.focus()
    for _ in range(12):
        page.keyboard.press("+")
    # Thirty-two pixels of the screen for one of the picture is the most; each is a square, with lines between them.
    assert box_of(page, ".sheet").width == pytest.approx(32 * SIDE, abs=1)
    expect(page.get_by_text("3200 %")).to_be_visible()
    expect(page.locator(".grid")).to_be_visible()
    assert page.locator(".picture").evaluate("e => getComputedStyle(e).imageRendering") == "pixelated"
    left = box_of(page, ".sheet").x
    page.keyboard.press("ArrowRight")
    assert box_of(page, ".sheet").x == pytest.approx(left - 60, abs=1)
    for _ in range(60):
        page.keyboard.press("ArrowLeft")
    assert box_of(page, ".sheet").x == pytest.approx(box_of(page, ".window").x, abs=1), "no further than its edge"
    page.keyboard.press("0")
    expect(page.locator(".pane.zoomed")).to_have_count(0)
    expect(page.locator(".grid")).to_be_hidden()
    page.get_by_role("button", name="One pixel on one pixel").click()
    assert box_of(page, ".sheet").width >= SIDE


def test_an_enlarged_picture_is_dragged(open_page: Open, looked_at: str) -> None:
    page = opened(open_page, looked_at)
    pane = box_of(page, ".pane")
    middle = (pane.x + pane.width / 2, pane.y + pane.height / 2)
    page.get_by_role("button", name="Larger").click(click_count=1)
    for _ in range(4):
        page.get_by_role("button", name="Larger").click()
    held = pixel_at(page, *middle)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 40, middle[1] - 30, steps=4)
    page.mouse.up()
    assert pixel_at(page, middle[0] + 40, middle[1] - 30) == pytest.approx(held, abs=PLACE)
    # Where the left button paints, the space bar or the middle button moves.
    page.get_by_role("tab", name="Paint").click()
    page.locator(".pane").focus()
    page.mouse.move(*middle)
    held = pixel_at(page, *middle)
    page.keyboard.down(" ")
    page.mouse.down()
    page.mouse.move(middle[0] - 50, middle[1] + 20, steps=4)
    page.mouse.up()
    page.keyboard.up(" ")
    assert pixel_at(page, middle[0] - 50, middle[1] + 20) == pytest.approx(held, abs=PLACE)
    expect(page.locator(".area")).to_have_count(0)


def test_what_was_before_is_seen_for_as_long_as_something_is_held(open_page: Open, looked_at: str) -> None:
    page = opened(open_page, looked_at)
    pane = box_of(page, ".pane")
    before = page.locator(".window .before")
    page.mouse.move(pane.x + pane.width / 2, pane.y + pane.height / 2)
    page.mouse.down()
    expect(before).to_be_visible()
    expect(page.locator(".corner")).to_have_text("Turn 1")
    page.mouse.up()
    expect(before).to_have_count(0)
    for key, shown in {"b": "Turn 1", "o": "Original"}.items():
        page.keyboard.down(key)
        expect(page.locator(".corner")).to_have_text(shown)
        page.keyboard.up(key)
        expect(before).to_have_count(0)
    button = page.get_by_role("button", name="Before")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(before).to_be_visible()
    button.click()
    expect(before).to_have_count(0)
    rows(page).nth(0).click()
    expect(button).to_be_disabled()


def test_two_fingers_enlarge_and_paint_nothing(open_page: Open, looked_at: str) -> None:
    page = opened(open_page, looked_at, viewport=PHONE, has_touch=True, is_mobile=True)
    page.get_by_role("tab", name="Paint").tap()
    pane, fitting = box_of(page, ".pane"), box_of(page, ".sheet")
    middle = (pane.x + pane.width / 2, pane.y + pane.height / 2)
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, apart: float) -> None:
        points = [{"x": middle[0] + side * apart / 2, "y": middle[1], "id": at} for at, side in enumerate((-1, 1))]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else points})

    first = {"x": middle[0] - 40, "y": middle[1], "id": 0}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [first]})
    fingers("touchStart", 80)
    for apart in (100, 140, 200, 240):
        fingers("touchMove", apart)
    fingers("touchEnd", 0)
    # The browser rounds the fingers' places to pixels: 1 of 80 at the beginning.
    assert box_of(page, ".sheet").width == pytest.approx(3 * fitting.width, rel=0.02)
    assert pixel_at(page, *middle) == pytest.approx((SIDE / 2, SIDE / 2), abs=1)
    expect(page.locator(".area")).to_have_count(0)


def test_several_turns_are_looked_at_through_one_lens(open_page: Open, looked_at: str) -> None:
    page = opened(open_page, looked_at)
    page.get_by_role("tab", name="Side by side").click()
    cells = page.locator(".several li")
    expect(cells).to_have_count(3)
    for _ in range(6):
        page.get_by_role("button", name="Larger").click()
    third = page.locator(".several .pane").nth(2)
    third.scroll_into_view_if_needed()
    pane = third.bounding_box()
    assert pane is not None
    middle = (round(pane["x"] + pane["width"] / 2), round(pane["y"] + pane["height"] / 2))
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 30, middle[1] + 20, steps=4)
    page.mouse.up()
    places = page.evaluate(
        """() => [...document.querySelectorAll(".several .pane")].map((pane) => {
            const [own, sheet] = [pane, pane.querySelector(".sheet")].map((one) => one.getBoundingClientRect());
            return [sheet.x - own.x, sheet.y - own.y, sheet.width];
        })"""
    )
    assert places[0] == pytest.approx(places[1], abs=PLACE)
    assert places[0] == pytest.approx(places[2], abs=PLACE)
    # Borders and whole pixels come to less than a hundredth, a step more or less would be a quarter.
    assert places[0][2] == pytest.approx(1.25**6 * pane["width"], rel=0.01)
    # The middle of the picture was in the middle before it was dragged.
    assert places[0][0] + places[0][2] / 2 == pytest.approx(pane["width"] / 2 + 30, abs=1)
    # A press that moves nothing goes to the turn, and so does the button below it.
    page.locator(".several .pane").nth(1).click()
    expect(cells.nth(1)).to_have_class("here")
    page.get_by_role("button", name="Look at Original").click()
    expect(cells.nth(0)).to_have_class("here")


def test_favourites_are_put_side_by_side(open_page: Open, running: Running) -> None:
    session = running.begin("best ones")
    for number in range(30):
        engine.import_picture(session, demo.picture(SIDE), f"picture {number + 1}", running.studio.backbone)
    for turn in session.turns()[4:21:8]:
        running.studio.notes.write("best ones", turn.id, Note(starred=True))
    page = open_page("#/s/best ones")
    page.get_by_role("tab", name="Side by side").click()
    cells = page.locator(".several li")
    expect(page.get_by_text("24 of 31; make those you want favourites")).to_be_visible()
    expect(cells.last).to_contain_text("Turn 30")
    page.get_by_label("Show", exact=True).select_option("Favourites")
    expect(cells).to_have_count(3)
    expect(cells).to_contain_text(["Turn 4", "Turn 12", "Turn 20"])
