"""Cropping and extending on the page, with numbers and with the pointer."""

from __future__ import annotations

import io
import re
from base64 import b64decode

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from tests.studio.browser.conftest import PHONE, SIDE, Open, Running, module, rows
from undrift.littleworld import demo
from undrift.methods import registry
from undrift.methods.repaint import RePaint, RePaintParams


def numbers(page: Page) -> list[int]:
    """Left, top, width and height as the dialog has them."""
    names = ("Left", "Top", "Width", "Height")
    return [int(page.get_by_label(name, exact=True).input_value()) for name in names]


def test_a_picture_is_cropped_by_the_keyboard(open_page: Open, running: Running) -> None:
    running.begin("to-crop")
    page = open_page("#/s/to-crop")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Crop or extend").focus()
    page.keyboard.press("Enter")
    begin = page.get_by_role("button", name="Begin a session with it")
    expect(begin).to_be_disabled()
    page.get_by_label("Shape").select_option("4 : 3")
    assert numbers(page) == [0, 16, 128, 96]
    page.get_by_label("Left", exact=True).fill("100000")
    page.keyboard.press("Tab")
    assert numbers(page) == [176, 16, 16, 96], "the room of the frame ends half of the picture beyond it"
    expect(page.get_by_role("dialog")).to_contain_text("The frame has nothing of the picture.")
    expect(page.get_by_label("Fill what is new from the caption")).to_be_hidden()
    expect(begin).to_be_disabled()
    for name, value in {"Left": "8", "Top": "20", "Width": "100", "Height": "64"}.items():
        page.get_by_label(name, exact=True).fill(value)
        page.keyboard.press("Tab")
    expect(page.get_by_role("dialog")).to_contain_text("100 × 64 pixels.")  # noqa: RUF001
    begin.press("Enter")
    expect(page.locator("h1")).to_have_text("to-crop-100x64")
    session = running.session("to-crop-100x64")
    assert session.picture(session.original).tobytes() == demo.picture(SIDE).crop((8, 20, 108, 84)).tobytes()
    expect(page.locator(".area")).to_have_count(0)


def test_a_dragged_frame_extends_and_what_is_new_is_painted(open_page: Open, running: Running) -> None:
    running.begin("to-extend")
    page = open_page("#/s/to-extend")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Crop or extend").click()
    room = page.locator(".crop-room").bounding_box()
    assert room is not None
    scale = room["width"] / (2 * SIDE)  # the room has half of the picture on every side
    right = (room["x"] + 0.75 * room["width"], room["y"] + room["height"] / 2)
    page.mouse.move(*right)
    page.mouse.down()
    page.mouse.move(right[0] + 32 * scale, right[1], steps=5)
    page.mouse.up()
    left, top, width, height = numbers(page)
    assert (left, top, height) == (0, 0, SIDE)
    assert abs(width - (SIDE + 32)) <= 1
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("20 % of them new: drawn from the caption")
    page.get_by_label("Fill what is new from the caption").uncheck()
    expect(dialog).to_contain_text("20 % of them new: mirrored from the picture")
    expect(page.get_by_label("What the larger picture shows")).to_be_hidden()
    page.get_by_role("button", name="Begin a session with it").click()
    name = f"to-extend-{width}x128"
    expect(page.locator("h1")).to_have_text(name)
    expect(page.locator(".area.only")).to_contain_text("20 %")
    encoded = page.evaluate(f"{module('masks.js')}.then((masks) => masks.png('only'))")
    mask = np.asarray(Image.open(io.BytesIO(b64decode(encoded))).convert("L")) > 127
    assert mask[:, SIDE:].all()
    assert not mask[:, :SIDE].any()
    session = running.session(name)
    assert session.picture(session.original).crop((0, 0, SIDE, SIDE)).tobytes() == demo.picture(SIDE).tobytes()


def test_the_new_border_is_filled_in_one_action(
    open_page: Open, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RePaint, "presets", {"default": RePaintParams(steps=2)})
    running.begin("to-fill")
    page = open_page("#/s/to-fill")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Crop or extend").click()
    expect(page.get_by_label("Fill what is new from the caption")).to_be_hidden()
    page.get_by_label("Width", exact=True).fill(str(SIDE + 16))
    page.keyboard.press("Tab")
    expect(page.get_by_label("Fill what is new from the caption")).to_be_checked()
    caption = page.get_by_label("What the larger picture shows")
    expect(caption).to_have_value(demo.prompt())
    assert Axe().run(page).response["violations"] == []
    caption.fill(f"{demo.prompt()} in summer")
    page.get_by_role("button", name="Begin a session with it").click()
    expect(page.locator("h1")).to_have_text("to-fill-144x128")
    expect(rows(page)).to_have_count(2)
    expect(page.locator(".area")).to_have_count(0)
    session = running.session("to-fill-144x128")
    assert session.head.prompt == f"{demo.prompt()} in summer"
    filled = session.picture(session.head)
    assert filled.crop((0, 0, SIDE, SIDE)).tobytes() == demo.picture(SIDE).tobytes()
    assert filled.tobytes() != session.picture(session.original).tobytes()
    chosen = page.evaluate(f"{module('method.js')}.then((method) => method.chosenMethod().name)")
    assert chosen == registry.DEFAULT, "the next turn goes on with the method before the fill"


def test_a_fill_that_was_stopped_goes_on_with_one_press(
    open_page: Open, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RePaint, "presets", {"default": RePaintParams(steps=400)})
    running.begin("to-stop")
    page = open_page("#/s/to-stop")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Crop or extend").click()
    page.get_by_label("Left", exact=True).fill("-16")
    page.keyboard.press("Tab")
    page.get_by_label("Width", exact=True).fill(str(SIDE + 16))
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Begin a session with it").click()
    expect(page.get_by_text(re.compile(r"step \d+ of 400")).first).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("h1")).to_have_text("to-stop-144x128")
    expect(page.get_by_text("What is new was not filled")).to_be_visible()
    expect(page.locator(".area.only")).to_contain_text("11 %")
    assert Axe().run(page).response["violations"] == []
    page.reload()
    expect(page.locator(".area.only")).to_contain_text("11 %")
    monkeypatch.setattr(RePaint, "presets", {"default": RePaintParams(steps=2)})
    page.get_by_role("button", name="Fill it").click()
    expect(rows(page)).to_have_count(2)
    expect(page.locator(".area")).to_have_count(0)
    expect(page.get_by_text("What is new was not filled")).to_have_count(0)
    session = running.session("to-stop-144x128")
    assert session.head.spec is not None
    assert (session.head.spec.method, session.head.prompt) == ("repaint", demo.prompt())
    filled, mirrored = session.picture(session.head), session.picture(session.original)
    assert filled.crop((16, 0, SIDE + 16, SIDE)).tobytes() == demo.picture(SIDE).tobytes()
    assert filled.tobytes() != mirrored.tobytes()


def test_a_phone_has_room_for_the_frame(open_page: Open, running: Running) -> None:
    running.begin("phone-crop")
    page = open_page("#/s/phone-crop", viewport=PHONE, has_touch=True, is_mobile=True)
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Crop or extend").tap()
    page.get_by_role("button", name="Extend all around").tap()
    assert numbers(page) == [-32, -32, 192, 192]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_label("Fill what is new from the caption").uncheck()
    page.get_by_role("button", name="Begin a session with it").tap()
    expect(page.locator("h1")).to_have_text("phone-crop-192x192")
