"""Whole sessions as a person has them: turns, going back, branches, several tabs, a reload in the middle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

from tests.studio.browser.conftest import SIDE, SLOW, Open, Running, drag, make_turn, rows, shown_id, write
from tests.studio.conftest import until
from undrift.littleworld import demo
from undrift.pictures import read_metadata, read_picture
from undrift.studio.events import KEPT


def test_the_first_turn_takes_three_actions(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Use the example").click()
    page.get_by_role("button", name="Start").click()
    page.get_by_label("Say what to change").fill("put a pink crown on the robot")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(2)
    expect(page.locator(".caption")).to_have_text(demo.edits()[0])


def test_from_a_picture_to_five_turns_and_back(open_page: Open, running: Running, example_file: Path) -> None:
    page = open_page()
    page.locator("input[type=file]").set_input_files(example_file)
    page.get_by_label("What does the picture show?").fill(demo.prompt())
    page.get_by_label("Name of the session").fill("five turns")
    page.get_by_role("button", name="Start").click()
    expect(rows(page)).to_have_count(1)
    for prompt in demo.edits():
        make_turn(page, prompt)
    session = running.session("five turns")
    assert [turn.prompt for turn in session.path(session.head)] == [demo.prompt(), *demo.edits()]
    assert all(turn.spec and turn.spec.params["steps"] == 6 for turn in session.turns()[1:])
    assert shown_id(page) == session.head.id

    page.locator("#mode-view").focus()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(page.locator(".caption")).to_have_text(demo.edits()[2])
    assert running.session("five turns").head.number == 3
    page.keyboard.press("Control+Shift+z")
    expect(page.locator(".caption")).to_have_text(demo.edits()[3])

    rows(page).nth(1).click()
    make_turn(page, "an orange robot at night")
    tree = running.session("five turns").tree()
    assert tree.head.parent == session.turns()[1].id
    assert len(tree.turns) == 7
    assert rows(page).nth(2).get_attribute("aria-level") == "2"

    # Closed and opened again, on the page and without it, everything is there.
    again = open_page("#/")
    again.get_by_role("link", name="five turns").click()
    expect(rows(again)).to_have_count(7)
    assert shown_id(again) == tree.head.id


def test_each_session_that_is_opened_from_the_first_page_shows_its_picture(open_page: Open, running: Running) -> None:
    for name in ("opened first", "opened second"):
        running.begin(name)
    page = open_page("#/")
    for name in ("opened first", "opened second", "opened first"):
        page.get_by_role("link", name=name).click()
        expect(page.locator("#top h1")).to_have_text(name)
        expect(page.locator(".stage .picture")).to_have_js_property("naturalWidth", SIDE)
        box = page.locator(".stage .picture").bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > SIDE, name
        page.get_by_role("link", name="undrift").click()
        expect(page.get_by_role("button", name="Use the example")).to_be_visible()


def test_two_turns_are_compared_with_the_keyboard(open_page: Open, running: Running) -> None:
    running.begin("compared")
    page = open_page("#/s/compared")
    make_turn(page, demo.edits()[0])
    page.get_by_role("tab", name="Compare").click()
    divider = page.get_by_role("slider", name="Divider")
    box = page.locator(".compare")
    assert box.evaluate("e => e.style.getPropertyValue('--at')") == "50%"
    divider.focus()
    divider.press("ArrowRight")
    divider.press("Home")
    assert box.evaluate("e => e.style.getPropertyValue('--at')") == "0%"
    divider.press("End")
    hidden = page.locator(".compare .over").evaluate("e => getComputedStyle(e).clipPath")
    assert hidden == "inset(0px 0% 0px 0px)"
    page.get_by_role("tab", name="Changes").click()
    expect(page.get_by_text("of the pixels changed")).to_be_visible()
    page.get_by_label("Changes since").select_option(index=1)
    expect(page.get_by_text("identical, 0.0 % of the pixels changed")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Mask").click()
    picture = page.locator(".stage .picture")
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("e => e.naturalWidth") == SIDE


def test_painted_areas_hold_and_the_brush_puts_the_original_back(open_page: Open, running: Running) -> None:
    source = running.begin("painted").original
    page = open_page("#/s/painted", params={"steps": 8, "retain": None, "control_steps": 0})
    page.get_by_role("tab", name="Paint").click()
    drag(page, (0.1, 0.25), (0.9, 0.25))
    expect(page.get_by_text("Only here:", exact=False)).to_be_visible()
    make_turn(page, "an orange robot next to an orange flower at night")
    session = running.session("painted")
    region = session.region(session.head)
    assert region is not None
    held = np.asarray(region) == 0
    before, after = (np.asarray(session.picture(turn)) for turn in (source, session.head))
    assert held[80:].all()
    assert (before[held] == after[held]).all()
    assert (before != after)[20:40].any()

    page.get_by_role("tab", name="Paint").click()
    page.get_by_role("radio", name="Put back").check()
    page.get_by_text("Rectangle in numbers").click()
    for name, value in {"left": 0, "top": 0, "width": 128, "height": 64}.items():
        page.get_by_label(f"Rectangle: {name} in pixels").fill(str(value))
    page.get_by_role("button", name="Paint the rectangle").click()
    page.get_by_role("button", name="Put it back here").click()
    expect(rows(page)).to_have_count(3)
    back = running.session("painted")
    assert back.head.kind == "restore"
    assert (np.asarray(back.picture(back.head))[:60] == before[:60]).all()


def test_escape_cancels_a_running_turn(open_page: Open, running: Running) -> None:
    running.begin("cancelled")
    page = open_page("#/s/cancelled", params=SLOW)
    write(page, demo.edits()[0])
    page.get_by_label("What the picture is to show").press("Enter")
    expect(page.get_by_text("inverting, step").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".bar")).to_be_hidden()
    expect(page.get_by_role("status").filter(has_text="Cancelled")).to_have_count(1)
    assert len(running.session("cancelled").turns()) == 1
    assert running.session("cancelled").unfinished() == ()
    # What was written is still there, to be changed and started again.
    expect(page.get_by_label("What the picture is to show")).to_have_value(demo.edits()[0])


def test_a_reload_in_the_middle_of_a_turn_loses_nothing(open_page: Open, running: Running) -> None:
    running.begin("reloaded")
    page = open_page("#/s/reloaded", params={"steps": 60})
    write(page, demo.edits()[0])
    page.get_by_label("What the picture is to show").press("Enter")
    expect(page.get_by_text("inverting, step").first).to_be_visible()
    write(page, demo.edits()[1])
    page.reload()
    expect(page.get_by_label("What the picture is to show")).to_have_value(demo.edits()[1])
    expect(page.locator(".bar .progress")).to_be_visible()
    expect(page.get_by_alt_text("Preview of the turn being made")).to_be_visible()
    expect(rows(page)).to_have_count(2)
    assert shown_id(page) == running.session("reloaded").head.id
    expect(page.locator(".bar")).to_be_hidden()


def test_tabs_queue_behind_one_model_and_see_their_own_progress(open_page: Open, running: Running) -> None:
    for name in ("first tab", "second tab"):
        running.begin(name)
    first = open_page("#/s/first tab", params={"steps": 25})
    second = open_page("#/s/second tab")
    for page in (first, second):
        write(page, demo.edits()[0])
    first.get_by_role("button", name="Make the turn").click()
    expect(first.get_by_text("inverting, step").first).to_be_visible()
    second.get_by_role("button", name="Make the turn").click()
    expect(second.locator(".bar")).to_contain_text("next in line")
    expect(second.locator(".jobs")).to_contain_text("another page, first tab")
    expect(first.locator(".bar")).to_contain_text("step")
    expect(first.locator(".bar")).not_to_contain_text("in line")
    for page in (first, second):
        expect(rows(page)).to_have_count(2)
    assert first.locator(".caption").inner_text() == second.locator(".caption").inner_text() == demo.edits()[0]


def test_two_tabs_of_one_session_see_each_others_turns(open_page: Open, running: Running) -> None:
    running.begin("shared")
    first = open_page("#/s/shared")
    second = open_page("#/s/shared", beside=first)
    expect(rows(second)).to_have_count(1)
    make_turn(first, demo.edits()[0])
    expect(rows(second)).to_have_count(2)
    # The other tab learns of the turn, and goes on showing what it showed.
    expect(second.locator(".caption")).to_have_text(demo.prompt())


HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
"""As when another tab is shown, or this one again."""


def test_a_tab_that_nobody_sees_holds_no_connection_and_catches_up(open_page: Open, running: Running) -> None:
    running.begin("hidden")
    page = open_page("#/s/hidden")
    expect(rows(page)).to_have_count(1)
    page.evaluate(HIDE, True)
    make_turn(open_page("#/s/hidden"), demo.edits()[0])
    assert rows(page).count() == 1
    page.evaluate(HIDE, False)
    expect(rows(page)).to_have_count(2)


def test_pictures_that_could_not_be_loaded_are_there_once_the_studio_is(open_page: Open, running: Running) -> None:
    running.begin("away")
    page = open_page("#/")
    page.route("**/turns/*/*", lambda route: route.abort())
    page.goto(f"{running.url}/#/s/away")
    expect(rows(page)).to_have_count(1)
    shown = "[...document.querySelectorAll('.stage .picture, .tree img')].map((one) => one.naturalWidth > 0)"
    until(lambda: page.evaluate(shown), lambda seen: seen == [False, False])
    page.evaluate(HIDE, True)
    page.unroute("**/turns/*/*")
    # More has happened than is kept for whoever comes back, as after a restart: the page asks for everything anew.
    for _ in range(KEPT + 1):
        running.studio.events.publish("queue", "queue", {"paused": False})
    page.evaluate(HIDE, False)
    until(lambda: page.evaluate(shown), lambda seen: seen == [True, True])


def test_an_exported_picture_is_dropped_back(open_page: Open, running: Running, tmp_path: Path) -> None:
    running.begin("exported")
    page = open_page("#/s/exported")
    page.get_by_label("Seed").fill("12345")
    make_turn(page, demo.edits()[0])
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as download:
        page.locator(".menu-list").get_by_role("link", name="Picture").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    session = running.session("exported")
    assert read_picture(file).tobytes() == session.picture(session.head).tobytes()
    assert read_metadata(file)["turns"][-1]["spec"]["seed"] == 12345

    page.get_by_text("Export", exact=True).click()
    page.get_by_role("button", name="Command line").click()
    expect(page.get_by_role("dialog")).to_contain_text("--seed 12345")
    page.get_by_role("button", name="Close").click()

    fresh = open_page("#/s/exported", params={"steps": 9})
    drop_file(fresh, file)
    expect(fresh.get_by_role("dialog")).to_contain_text(demo.edits()[0])
    fresh.get_by_role("button", name="Use its settings").click()
    expect(fresh.get_by_label("Seed")).to_have_value("12345")
    fresh.get_by_text("Method and parameters").click()
    expect(fresh.get_by_label("steps", exact=True)).to_have_value("6")


def drop_file(page: Page, file: Path) -> None:
    """Drop a file on the page, as the desktop does."""
    transfer = page.evaluate_handle(
        """([bytes, name]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
            return transfer;
        }""",
        [list(file.read_bytes()), file.name],
    )
    page.dispatch_event(".session", "drop", {"dataTransfer": transfer})


def test_candidates_are_put_side_by_side_and_one_is_kept(open_page: Open, running: Running) -> None:
    running.begin("candidates")
    page = open_page("#/s/candidates")
    page.get_by_text("Method and parameters").click()
    page.get_by_label("Method", exact=True).select_option("rf_inversion")
    page.get_by_label("steps", exact=True).fill("4")
    page.get_by_label("steps", exact=True).press("Tab")
    page.get_by_role("spinbutton", name="Candidates").fill("2")
    write(page, demo.edits()[0])
    page.get_by_role("button", name="Make the turn").click()
    expect(page.get_by_role("tab", name="Side by side")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".several li")).to_have_count(2)
    made = running.session("candidates").turns()[1:]
    page.get_by_role("button", name="Keep candidate 2").click()
    expect(page.locator(".several li").nth(1)).to_contain_text("kept")
    tree = running.session("candidates").tree()
    assert (tree.head_id, tree.branch, len(tree.turns)) == (made[1].id, "main", 3)

    # Another method on the same turn stands beside them.
    page.get_by_label("Method", exact=True).select_option("flowedit")
    page.get_by_role("spinbutton", name="Candidates").fill("1")
    page.get_by_role("button", name="Try turn 1b again").click()
    expect(page.get_by_role("tab", name="Side by side")).to_be_enabled()
    expect(rows(page)).to_have_count(4)
    page.get_by_role("tab", name="Side by side").click()
    expect(page.locator(".several li")).to_have_count(3)
    expect(page.locator(".several")).to_contain_text("FlowEdit")


def test_drift_is_read_and_a_turn_rebased_on_the_original(open_page: Open, running: Running) -> None:
    running.begin("rebased")
    page = open_page("#/s/rebased")
    recoloured = demo.prompt().replace("an orange robot", "a green robot")
    moved = recoloured.replace("on a beach", "in a desert")
    for prompt in (recoloured, moved):
        make_turn(page, prompt)
    numbers = running.session("rebased").turns()[1].drift_original
    assert numbers is not None
    # In words first, in decibels for who asks for them.
    listed = page.locator("table.drift tbody tr")
    expect(page.locator(".side")).to_contain_text("there is nothing outside of them")
    expect(listed.nth(0)).to_be_hidden()
    page.get_by_text("Drift in numbers").click()
    expect(listed).to_have_count(2)
    assert f"{100 * numbers.changed:.1f} %" in listed.nth(0).inner_text()
    # The second turn asks for another place, which is no drift: there is nothing to draw, not a zero.
    expect(listed.nth(1)).to_contain_text("all edited")
    expect(page.locator(".chart .original circle")).to_have_count(1)
    page.get_by_role("button", name="Make it anew from the original").click()
    expect(rows(page)).to_have_count(4)
    session = running.session("rebased")
    assert (session.head.parent, session.head.prompt) == (session.original.id, moved)


def test_the_words_that_steer_are_shown_and_chosen(open_page: Open, running: Running) -> None:
    running.begin("words")
    page = open_page("#/s/words")
    write(page, demo.prompt().replace("on a beach", "in a desert"))
    expect(page.locator(".diff del")).to_have_text(["on", "beach"])
    expect(page.locator(".diff ins")).to_have_text(["in", "desert"])
    chips = page.get_by_role("group", name="Words that steer the attention")
    expect(chips.get_by_role("button", name="desert")).to_have_attribute("aria-pressed", "true")
    chips.get_by_role("button", name="flower").click()
    page.get_by_role("button", name="Make the turn").click()
    expect(rows(page)).to_have_count(2)
    spec = running.session("words").head.spec
    assert spec is not None
    assert spec.words == ("desert", "flower")
