"""Going on while something else is under way: steps, turns on their way, strokes, tabs that were closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.studio.browser.conftest import (
    PATIENCE_MS,
    PHONE,
    SIDE,
    SLOW,
    Open,
    Running,
    drag,
    make_turn,
    module,
    rows,
    shown_id,
    write,
)
from undrift.littleworld import demo
from undrift.methods import registry
from undrift.session import engine
from undrift.studio.job import About
from undrift.studio.job import Running as Work

TEXT = "What the picture is to show"


def begin_turn(page: Page, prompt: str) -> None:
    """Ask for a turn and wait until it is being made."""
    write(page, prompt)
    page.get_by_label(TEXT).press("Enter")
    expect(page.locator(".bar")).to_contain_text("step")


def test_an_undo_waits_for_the_step_before_it(open_page: Open, running: Running) -> None:
    running.begin("in turn")
    page = open_page("#/s/in turn")
    make_turn(page, demo.edits()[0])
    make_turn(page, demo.edits()[1])
    held: list[Route] = []
    page.route("**/head", lambda route: held.append(route), times=1)
    with page.expect_request("**/head"):
        rows(page).nth(1).click()
    expect(page.locator(".caption")).to_have_text(demo.edits()[0])
    page.keyboard.press("Control+z")
    held.pop().continue_()
    expect(page.locator(".caption")).to_have_text(demo.prompt())
    assert running.session("in turn").head.number == 0


@pytest.fixture
def busy(running: Running) -> Iterator[threading.Event]:
    """The studio is at work on something else until this is set."""
    done = threading.Event()
    about = About("edit", "elsewhere", "something else", "nobody")

    def work(_: Work) -> None:
        done.wait(PATIENCE_MS / 1000)

    running.studio.jobs.submit(about, work)
    yield done
    done.set()


def test_turns_that_are_asked_for_one_after_another_follow_one_another(
    open_page: Open, running: Running, busy: threading.Event
) -> None:
    running.begin("chained")
    page = open_page("#/s/chained")
    write(page, demo.edits()[0])
    page.get_by_label(TEXT).press("Enter")
    expect(page.locator(".bar")).to_contain_text("next in line")
    expect(page.get_by_text("Made from the turn on its way")).to_be_visible()
    expect(page.get_by_role("button", name="Make the turn")).to_be_disabled()
    write(page, demo.edits()[1])
    page.get_by_role("button", name="Make the turn").dblclick()
    expect(page.locator(".jobs li")).to_have_count(3)
    write(page, demo.edits()[2])
    page.get_by_role("button", name="Make it from the original instead").click()
    page.get_by_role("button", name="Make the turn").click()
    expect(page.locator(".jobs li")).to_have_count(4)
    busy.set()
    expect(rows(page)).to_have_count(4)
    turns = running.session("chained").turns()
    assert [turn.prompt for turn in turns[1:]] == list(demo.edits()[:3])
    assert [turn.parent for turn in turns[1:]] == [turns[0].id, turns[1].id, turns[0].id]


def test_what_was_written_comes_back_if_the_turn_does_not(open_page: Open, running: Running) -> None:
    running.begin("not made")
    page = open_page("#/s/not made", params=SLOW)
    box = page.get_by_label("Say what to change")
    box.fill("make the robot blue")
    expect(page.locator("#heard")).to_contain_text("Read as an instruction")
    box.press("Enter")
    expect(page.locator(".bar")).to_contain_text("step")
    expect(box).to_have_value("")
    page.locator(".bar").get_by_role("button", name="Cancel").click()
    expect(page.locator(".bar")).to_be_hidden()
    expect(box).to_have_value("make the robot blue")
    expect(page.get_by_role("button", name="Make the turn")).to_be_enabled()
    assert page.evaluate("document.activeElement !== document.body")


def test_candidates_appear_each_in_its_own_tile(open_page: Open, running: Running) -> None:
    running.begin("tiles")
    page = open_page("#/s/tiles", params={"steps": 120})  # so few that previews come after seconds
    page.get_by_role("spinbutton", name="Candidates").fill("2")
    page.get_by_role("spinbutton", name="Candidates").press("Tab")
    begin_turn(page, demo.edits()[0])
    tiles = page.get_by_role("list", name="Candidates being made").get_by_role("button")
    expect(tiles).to_have_count(2)
    expect(tiles.nth(0)).to_contain_text("step")
    expect(tiles.nth(0).locator("img")).to_have_js_property("naturalWidth", running.session("tiles").original.width)
    expect(tiles.nth(1)).to_have_text("waiting")
    page.keyboard.press("Escape")
    expect(page.locator(".bar")).to_be_hidden()

    page.get_by_label("Make them together").check()
    begin_turn(page, demo.edits()[0])
    for tile in (tiles.nth(0), tiles.nth(1)):
        expect(tile).to_contain_text("step")
        expect(tile.locator("img")).to_have_js_property("naturalWidth", running.session("tiles").original.width)
    page.locator(".bar").get_by_role("button", name="Cancel").click()
    expect(page.locator(".bar")).to_be_hidden()


def test_in_paint_the_keys_take_strokes_back_and_not_turns(open_page: Open, running: Running) -> None:
    running.begin("strokes")
    page = open_page("#/s/strokes")
    make_turn(page, demo.edits()[0])
    page.get_by_role("tab", name="Paint").click()
    area = page.locator(".area.only")
    drag(page, (0.1, 0.2), (0.9, 0.2))
    expect(area).to_contain_text("%")
    one = str(area.text_content())
    drag(page, (0.1, 0.7), (0.9, 0.7))
    expect(area).not_to_have_text(one)
    page.keyboard.press("Control+z")
    expect(area).to_have_text(one)
    page.reload()
    expect(area).to_have_text(one)
    page.get_by_role("tab", name="Paint").click()
    page.keyboard.press("Control+z")
    expect(area).to_be_hidden()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+z")
    expect(area).to_have_text(one)
    expect(page.locator(".caption")).to_have_text(demo.edits()[0])
    assert running.session("strokes").head.number == 1

    # The area holds for one turn, and for the same turn made again.
    make_turn(page, demo.edits()[1])
    expect(area).to_be_hidden()
    page.get_by_role("button", name="Try turn 2 again").click()
    expect(rows(page)).to_have_count(4)
    make_turn(page, demo.edits()[2])
    regions = [turn.region_hash for turn in running.session("strokes").turns()]
    assert regions[2] == regions[3] is not None
    assert regions[4] is None


def test_a_tab_that_is_opened_again_has_its_own_work(open_page: Open, running: Running) -> None:
    running.begin("reopened")
    page = open_page("#/s/reopened", params=SLOW)
    begin_turn(page, demo.edits()[0])
    beside = open_page("#/s/reopened", beside=page)
    expect(beside.locator(".jobs")).to_contain_text("another page")
    page.close()
    again = open_page("#/s/reopened", beside=beside)
    expect(again.locator(".bar")).to_contain_text("step")
    expect(again.locator(".jobs")).not_to_contain_text("another page")
    again.keyboard.press("Escape")
    expect(again.locator(".bar")).to_be_hidden()


def test_a_method_and_a_dial_stay_in_their_session(open_page: Open, running: Running) -> None:
    for name in ("with another", "with the usual"):
        running.begin(name)
    page = open_page("#/s/with another")
    page.get_by_text("Method and parameters").click()
    method = page.get_by_label("Method", exact=True)
    method.select_option("rf_inversion")
    page.evaluate("location.hash = '#/s/with the usual'")
    expect(page.locator("h1")).to_have_text("with the usual")
    expect(method).to_have_value(registry.DEFAULT)
    page.evaluate("location.hash = '#/s/with another'")
    expect(method).to_have_value("rf_inversion")


@pytest.fixture(scope="module")
def long_session(running: Running) -> str:
    """The name of a session of thirty turns, none of which needed the model's steps."""
    session = running.begin("thirty turns")
    for number in range(30):
        engine.import_picture(session, demo.picture(SIDE), f"picture {number + 1}", running.studio.backbone)
    return "thirty turns"


def test_a_long_session_opens_at_its_turn_and_the_page_does_not_scroll(open_page: Open, long_session: str) -> None:
    page = open_page(f"#/s/{long_session}", viewport={"width": 1440, "height": 600})
    expect(rows(page)).to_have_count(31)
    last = rows(page).nth(30)
    expect(last).to_be_in_viewport()
    for mode in ("Compare", "Changes", "Paint", "View"):
        page.get_by_role("tab", name=mode).click()
        expect(page.get_by_role("tab", name=mode)).to_have_attribute("aria-selected", "true")
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), mode


def test_on_a_phone_the_result_comes_into_sight(open_page: Open, running: Running, long_session: str) -> None:
    running.begin("in sight")
    page = open_page("#/s/in sight", viewport=PHONE, has_touch=True, is_mobile=True)
    write(page, demo.edits()[0])
    button = page.get_by_role("button", name="Make the turn")
    button.scroll_into_view_if_needed()
    button.tap()
    expect(rows(page)).to_have_count(2)
    expect(page.locator(".caption")).to_have_text(demo.edits()[0])
    expect(page.locator(".stage .picture")).to_be_in_viewport(ratio=0.9)
    assert page.evaluate("getComputedStyle(document.querySelector('textarea')).fontSize") == "16px"
    page.goto(page.url.split("#")[0] + f"#/s/{long_session}")
    expect(rows(page)).to_have_count(31)
    assert shown_id(page) == running.session(long_session).head.id


def test_an_error_is_seen_and_dismissed_over_a_dialog(open_page: Open) -> None:
    page = open_page("#/")
    page.get_by_role("button", name="Keys and settings").click()
    said = "['one', 'two', 'two', 'two'].forEach((text) => toast(text, 'problem'))"
    page.evaluate(f"{module('say.js')}.then(({{ toast }}) => {said})")
    expect(page.get_by_role("alert")).to_contain_text(["one", "two"])
    page.get_by_role("alert").filter(has_text="one").get_by_role("button", name="Dismiss").click()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("alert")).to_contain_text(["two"])


def test_keys_without_control_can_be_switched_off(open_page: Open, running: Running) -> None:
    running.begin("no single keys")
    page = open_page("#/s/no single keys")
    expect(rows(page)).to_have_count(1)
    page.locator("#mode-view").focus()
    page.keyboard.press("5")
    expect(page.get_by_role("tab", name="Paint")).to_have_attribute("aria-selected", "true")
    page.get_by_role("button", name="Keys and settings").click()
    page.get_by_label("Keys without Ctrl").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("1")
    page.keyboard.press("?")
    expect(page.get_by_role("tab", name="Paint")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.reload()
    page.locator("#mode-view").focus()
    page.keyboard.press("5")
    expect(page.get_by_role("tab", name="View")).to_have_attribute("aria-selected", "true")


def test_other_files_of_the_same_model_are_told(open_page: Open, running: Running) -> None:
    """Turns record which adapters made them; a studio without them would make others, and nobody would know."""
    running.begin("styled")
    page = open_page("#/s/styled")
    note, own = page.locator("p.note").first, running.studio.backbone.identity
    expect(page.locator(".caption")).to_have_text(demo.prompt())
    expect(note).to_be_hidden()
    page.evaluate(
        f"""made => {module("state.js")}.then(({{ state, update }}) => {{
            Object.assign(state.session.turns[0].encoded_by, made);
            update({{ session: state.session }});
        }})""",
        {"weights_hash": "0" * 16, "loras": ["style.safetensors:0.5@0123456789abcdef"]},
    )
    now = f"littleworld ({own.weights_hash})"
    expect(note).to_contain_text(f"made by littleworld (style.safetensors:0.5), the studio runs {now}: start it")
