"""Taking on the look of another picture: brought in, dropped, or a turn of the session."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.studio.browser.conftest import PHONE, Open, Running, drag, rows
from undrift.littleworld import demo

STYLE = (20, 40, 160)


@pytest.fixture
def style(tmp_path: Path) -> Path:
    """A picture of another size, of one colour."""
    path = tmp_path / "style.png"
    Image.new("RGB", (300, 200), STYLE).save(path)
    return path


def panel(page: Page) -> Page:
    """The page with its references open."""
    page.locator("#references > summary").click()
    return page


def test_a_picture_gives_the_next_turn_its_look_in_an_area(open_page: Open, running: Running, style: Path) -> None:
    running.begin("looks")
    page = panel(open_page("#/s/looks"))
    page.get_by_label("Picture whose look to take on").set_input_files(style)
    one = page.locator(".references li")
    expect(one).to_contain_text("style.png")
    expect(one).to_contain_text(re.compile(r"Scaled and cropped to 128 . 128 pixels"))
    page.get_by_label("Weight of style.png").fill("0.4")
    expect(one).to_contain_text("40 %")
    page.get_by_label("Where style.png pulls").select_option("Where 'Only here' is painted")
    # The words are those of before: the look alone is something to make.
    page.get_by_role("button", name="Make the turn").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing is painted there")
    page.get_by_role("tab", name="Paint").click()
    page.get_by_role("radio", name="Rectangle").check()
    drag(page, (0.25, 0.25), (0.75, 0.5))
    page.get_by_role("button", name="Make the turn").click()
    expect(rows(page)).to_have_count(2)
    expect(one).to_have_count(0)
    expect(rows(page).nth(1)).to_contain_text("look")
    session = running.session("looks")
    (look,) = session.references(session.head)
    assert (np.asarray(look.picture) == STYLE).all()
    assert look.mask is not None
    weights = np.asarray(look.mask)
    assert (weights[36:60, 36:92] == round(0.4 * 255)).all()
    assert weights[:30].max() == weights[68:].max() == 0


def test_references_survive_a_reload_and_are_taken_away(open_page: Open, running: Running, style: Path) -> None:
    running.begin("kept looks")
    page = panel(open_page("#/s/kept looks"))
    page.get_by_label("Picture whose look to take on").set_input_files(style)
    expect(page.locator(".references li")).to_have_count(1)
    page.get_by_label("Add a turn of this session as a reference").select_option(index=1)
    expect(page.locator(".references li")).to_have_count(2)
    page.reload()
    expect(page.locator(".references li")).to_contain_text(["style.png", "Original"])
    page.get_by_role("button", name="Take style.png away").click()
    expect(page.locator(".references li")).to_contain_text(["Original"])
    assert page.evaluate("document.activeElement !== document.body")
    page.get_by_text("Method and parameters").click()
    page.get_by_label("Method", exact=True).select_option("flowedit")
    expect(page.get_by_text("takes no references")).to_be_visible()


def test_a_dropped_picture_is_taken_for_its_look_on_a_phone(open_page: Open, running: Running, style: Path) -> None:
    running.begin("dropped look")
    page = open_page("#/s/dropped look", viewport=PHONE, has_touch=True, is_mobile=True)
    expect(rows(page)).to_have_count(1)
    data = list(style.read_bytes())
    page.evaluate(
        """(data) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(data)], "dropped.png", { type: "image/png" }));
            const how = { dataTransfer: transfer, bubbles: true, cancelable: true };
            document.querySelector(".session").dispatchEvent(new DragEvent("drop", how));
        }""",
        data,
    )
    page.get_by_role("button", name="Take on its look").tap()
    expect(page.locator(".references li")).to_contain_text("dropped.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Make the turn").tap()
    expect(rows(page)).to_have_count(2)
    assert running.session("dropped look").head.prompt == demo.prompt()
