"""A long session: sixty turns as a strip and a film, one of them found, names and favourites, folded candidates."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.studio.browser.conftest import PHONE, SIDE, Open, Running, rows, shown_id
from undrift.littleworld import demo
from undrift.methods import registry
from undrift.session import engine
from undrift.session.engine import EditPlan, run_turn
from undrift.session.next_turn import candidate_plans

TURNS = 60


@pytest.fixture(scope="module")
def sixty(running: Running) -> str:
    """The name of a session of sixty turns, none of which needed the model's steps."""
    session = running.begin("sixty turns")
    for number in range(TURNS):
        engine.import_picture(session, demo.picture(SIDE), f"picture {number + 1} of a dog", running.studio.backbone)
    return "sixty turns"


def opened(open_page: Open, running: Running, name: str, **options: object) -> Page:
    """The session's page at its last turn, wherever another test has left it."""
    last = running.session(name).turns()[-1]
    return open_page(f"#/s/{name}/{last.id}", **options)


@pytest.mark.parametrize("phone", [False, True])
def test_sixty_turns_are_a_strip_that_shows_where_one_is(
    open_page: Open, running: Running, sixty: str, phone: bool
) -> None:
    options = {"viewport": PHONE, "has_touch": True, "is_mobile": True} if phone else {}
    head = running.session(sixty).head.id
    page = opened(open_page, running, sixty, **options)
    strip = page.get_by_role("listbox", name="Turns of this branch")
    every = strip.get_by_role("option")
    expect(every).to_have_count(TURNS + 1)
    expect(every.nth(TURNS)).to_be_in_viewport(ratio=0.9)
    expect(every.nth(0)).not_to_be_in_viewport()
    # The page is no wider for it, and its pictures are only fetched as they come into sight.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    every.nth(TURNS).focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".caption")).to_have_text(f"picture {TURNS - 1} of a dog")
    page.keyboard.press("Home")
    expect(page.locator(".caption")).to_have_text(demo.prompt())
    expect(every.nth(0)).to_be_in_viewport(ratio=0.9)
    expect(every.nth(0)).to_be_focused()
    assert running.session(sixty).head.id == head, "looking moves nothing"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("[role=treeitem][aria-current=true]")).to_have_attribute("aria-selected", "true")
    assert running.session(sixty).head.number == 1
    expect(every).to_have_count(TURNS + 1)
    every.nth(2).click()
    expect(page.locator(".caption")).to_have_text("picture 2 of a dog")


def test_of_many_turns_side_by_side_the_shown_one_is_in_sight(open_page: Open, running: Running, sixty: str) -> None:
    page = opened(open_page, running, sixty)
    page.get_by_role("tab", name="Side by side").click()
    here = page.locator(".several .here")
    expect(page.locator(".several li")).to_have_count(24)
    expect(here).to_contain_text(f"Turn {TURNS}")
    expect(here).to_be_in_viewport(ratio=0.9)
    rows(page).nth(1).click()
    expect(here).to_contain_text("Turn 1")
    expect(here).to_be_in_viewport(ratio=0.9)


def test_the_turns_are_played_as_a_film(open_page: Open, running: Running, sixty: str) -> None:
    page = opened(open_page, running, sixty)
    expect(rows(page)).to_have_count(TURNS + 1)
    # Every picture is noted as it comes: on a slow machine one may be gone before anybody looks.
    page.evaluate(
        """() => {
            const caption = document.querySelector(".caption");
            window.seen = [];
            const note = () => (document.body.dataset.seen = window.seen.push(caption.textContent));
            new MutationObserver(note).observe(caption, { childList: true });
        }"""
    )
    page.get_by_role("button", name="Play the turns as a film").click()
    expect(page.locator("body")).to_have_attribute("data-seen", re.compile(r"[3-9]|\d\d"))
    page.get_by_role("button", name="Stop the film").click()
    shown = shown_id(page)
    page.wait_for_timeout(1200)  # one picture more would have been shown by now
    assert shown_id(page) == shown
    seen = list(dict.fromkeys(page.evaluate("window.seen")))
    assert seen[:3] == [demo.prompt(), "picture 1 of a dog", "picture 2 of a dog"]


def test_a_turn_is_found_by_its_words_and_by_what_was_noted_of_it(
    open_page: Open, running: Running, sixty: str
) -> None:
    page = opened(open_page, running, sixty)
    expect(rows(page)).to_have_count(TURNS + 1)
    search = page.get_by_label("Find a turn")
    search.fill("picture 17")
    expect(rows(page)).to_have_count(1)
    rows(page).nth(0).click()
    expect(page.locator(".caption")).to_have_text("picture 17 of a dog")
    star = page.get_by_role("button", name="Favourite")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Name this turn").click()
    page.get_by_label("Name", exact=True).fill("the sleepy one")
    page.get_by_role("button", name="Name it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)

    other = open_page(f"#/s/{sixty}")
    other.get_by_label("Find a turn").fill("sleepy")
    expect(rows(other)).to_have_count(1)
    expect(rows(other)).to_have_accessible_name(re.compile("Turn 17: the sleepy one: .*, favourite"))
    other.get_by_label("Find a turn").fill("")
    expect(rows(other)).to_have_count(TURNS + 1)
    other.get_by_label("Favourites").check()
    expect(rows(other)).to_have_count(1)
    other.get_by_label("Find a turn").fill("no such words")
    expect(other.get_by_text("No turn has these words.")).to_be_visible()
    # What is noted changes no turn.
    assert running.session(sixty).turns()[17].prompt == "picture 17 of a dog"


def test_candidates_that_were_not_taken_fold_away(open_page: Open, running: Running) -> None:
    session = running.begin("folded")
    backbone = running.studio.backbone
    method = registry.get("multi_turn", overrides={"steps": 4}, tuned=backbone.tuned)
    plans = candidate_plans(session.tree(), method, EditPlan(demo.edits()[0], seed=1), 3)
    made = [run_turn(session, backbone, variant, plan) for variant, plan in plans]
    page = open_page("#/s/folded")
    expect(rows(page)).to_have_count(4)
    rows(page).nth(2).click()
    fold = page.get_by_label("Fold candidates")
    fold.check()
    expect(rows(page)).to_have_count(2)
    assert shown_id(page) in {turn.id for turn in made}
    fold.uncheck()
    expect(rows(page)).to_have_count(4)


def test_turns_that_show_the_same_are_told_apart_in_every_list(open_page: Open, running: Running) -> None:
    session, backbone = running.begin("twins"), running.studio.backbone
    method = registry.get("multi_turn", overrides={"steps": 4}, tuned=backbone.tuned)
    plans = candidate_plans(session.tree(), method, EditPlan(demo.edits()[0], seed=1), 2)
    for variant, plan in plans:
        run_turn(session, backbone, variant, plan)
    page = open_page("#/s/twins")
    rows(page).nth(2).click()
    page.get_by_role("tab", name="Compare", exact=True).click()
    options = page.get_by_label("Left", exact=True).locator("option")
    expect(options).to_have_count(3)
    first, one, other = options.all_inner_texts()
    assert first == f"Original: {demo.prompt()[:43]}…"
    assert [text.split(": ")[0] for text in (one, other)] == ["Turn 1", "Turn 1b"]
    assert len({text.split(": ")[1].partition(" · ")[2] for text in (one, other)}) == 2, (
        "also by more than the number"
    )
    page.get_by_role("tab", name="Paint", exact=True).click()
    page.get_by_role("radio", name="Put back").check()
    assert page.get_by_label("Take it from").locator("option").all_inner_texts()[-1] in (one, other)


def test_what_changed_outside_is_measured_by_the_edit_s_own_map(open_page: Open, running: Running) -> None:
    session, backbone = running.begin("moved"), running.studio.backbone
    looking = registry.get("multi_turn", tuned=backbone.tuned)
    blind = registry.get("multi_turn", overrides={"steps": 4}, tuned=backbone.tuned)  # too few steps for a map
    place = demo.prompt().replace("on a beach", "in a desert")
    thing = demo.prompt().replace("an orange robot", "a green robot")
    original = session.original.id
    moved, local, anywhere = (
        run_turn(session, backbone, method, EditPlan(prompt, seed=1, parent=original)).drift_previous
        for method, prompt in ((looking, place), (looking, thing), (blind, thing))
    )
    assert moved is not None
    assert local is not None
    assert anywhere is not None
    assert (moved.outside, 0 < local.outside < 1, anywhere.outside) == (0.0, True, 1.0)
    page = open_page("#/s/moved")
    page.get_by_role("tab", name="Side by side").click()
    page.get_by_label("Show", exact=True).select_option("all")
    cells = page.locator(".several > li")
    expect(cells.nth(1)).to_contain_text("all edited")
    expect(cells.nth(2)).to_contain_text(f"{100 * local.changed:.1f} % changed outside")
    expect(cells.nth(3)).to_contain_text(f"{100 * anywhere.changed:.1f} % of the picture changed")
    expect(page.locator(".note", has_text="drift from the original")).to_have_count(0)
