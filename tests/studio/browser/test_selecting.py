"""Selecting: a thing by a click, loops and rectangles, and what is done to an area once it is there."""

from __future__ import annotations

import io
import json
import threading
from base64 import b64decode
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps
from playwright.sync_api import Page, expect

from tests.studio.browser.conftest import Open, Running, drag, make_turn, module, rows
from undrift.session import engine
from undrift.studio.job import About

SIDE = 128
DISC = (40, 30, 100, 90)
EYE = (62, 50, 74, 62)

Mask = NDArray[np.bool_]


def drawn(*shapes: tuple[str, Any]) -> Image.Image:
    """White shapes on black."""
    mask = Image.new("L", (SIDE, SIDE))
    for kind, where in shapes:
        getattr(ImageDraw.Draw(mask), kind)(where, fill=255)
    return mask


def scene() -> Image.Image:
    """An orange disc with a dark eye on a sky that darkens downwards by steps too small to be seen."""
    rows_ = np.linspace(0, 20, SIDE)[:, None, None]
    picture = Image.fromarray((np.full((SIDE, SIDE, 3), (150, 190, 230)) - rows_).round().astype(np.uint8))
    ImageDraw.Draw(picture).ellipse(DISC, fill=(240, 140, 30))
    ImageDraw.Draw(picture).ellipse(EYE, fill=(30, 30, 30))
    return picture


DISC_MASK = np.asarray(drawn(("ellipse", DISC))) > 0
SAME = 0.005
"""Part of the picture that two masks may differ in: the pixels of an edge, which canvases draw half."""


def mask_of(page: Page, layer: str = "only") -> Mask:
    """What is painted on a layer, as the server would be sent it."""
    encoded = page.evaluate(f"{module('masks.js')}.then((masks) => masks.png('{layer}'))")
    if encoded is None:
        return np.zeros((SIDE, SIDE), dtype=bool)
    return np.asarray(Image.open(io.BytesIO(b64decode(encoded))).convert("L")) > 127


def same(one: Mask, other: Mask) -> bool:
    return bool((one != other).mean() <= SAME)


def click(page: Page, x: float, y: float) -> None:
    """Click a pixel of the picture."""
    sheet = page.locator(".sheet").first.bounding_box()
    assert sheet is not None
    page.mouse.click(sheet["x"] + (x + 0.5) / SIDE * sheet["width"], sheet["y"] + (y + 0.5) / SIDE * sheet["height"])


@pytest.fixture
def page(open_page: Open, running: Running, request: pytest.FixtureRequest) -> Page:
    """A session of the scene, in Paint."""
    return painting(open_page, running, request.node.name.replace("_", " ")[:60].strip(), scene())


def painting(open_page: Open, running: Running, name: str, picture: Image.Image) -> Page:
    """A session of ``picture``, in Paint."""
    folder = running.studio.folders.root / name
    engine.start_session(folder, picture, "a yellow dog on a beach", running.studio.backbone)
    opened = open_page(f"#/s/{name}")
    opened.get_by_role("tab", name="Paint").click()
    expect(opened.locator(".stage .picture")).to_have_js_property("complete", True)
    return opened


def test_a_click_on_a_colour_selects_what_has_it_with_its_eye(page: Page) -> None:
    page.get_by_role("radio", name="Colour").check()
    click(page, 50, 60)
    expect(page.locator(".area.only")).to_contain_text(f"{round(100 * DISC_MASK.mean())} %")
    assert same(mask_of(page), DISC_MASK)
    page.get_by_role("button", name="Invert").click()
    assert same(mask_of(page), ~DISC_MASK)
    page.keyboard.press("Control+z")
    # The sky is one thing too, though its colour changes on the way; a small reach stops on that way.
    page.get_by_role("radio", name="Protect").check()
    click(page, 5, 5)
    assert same(mask_of(page, "protect"), ~DISC_MASK)
    page.get_by_role("button", name="Last stroke").click()
    page.get_by_label("Reach").fill("0.02")
    click(page, 5, 5)
    assert 0.1 < mask_of(page, "protect").mean() < (~DISC_MASK).mean() - 0.1


def overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_a_click_on_a_thing_has_the_model_find_it(page: Page) -> None:
    page.get_by_role("radio", name="Thing").check()
    click(page, 50, 60)
    expect(page.locator(".area.only")).to_be_visible()
    assert overlap(mask_of(page), DISC_MASK) > 0.9
    page.get_by_label("Take away").check()
    click(page, 50, 60)
    expect(page.locator(".area.only")).to_have_count(0)
    assert not mask_of(page).any()


def test_while_the_model_is_at_work_the_colours_have_to_do(open_page: Open, running: Running) -> None:
    # Another picture than the others': what was looked at once is known, whatever the model does.
    page = painting(open_page, running, "colours alone", ImageOps.mirror(scene()))
    go, waited = threading.Event(), list[bool]()
    about = About("edit", "elsewhere", "something else", "nobody")
    running.studio.jobs.submit(about, lambda work: waited.append(go.wait(60)))
    try:
        page.get_by_role("radio", name="Thing").check()
        click(page, SIDE - 1 - 50, 60)
        expect(page.locator(".toast")).to_contain_text("selected by its colours alone")
        assert same(mask_of(page), DISC_MASK[:, ::-1])
    finally:
        go.set()


def test_loops_and_rectangles_take_and_give(page: Page) -> None:
    page.get_by_role("radio", name="Rectangle").check()
    drag(page, (0.25, 0.25), (0.75, 0.5))
    wanted = np.zeros((SIDE, SIDE), dtype=bool)
    wanted[32:64, 32:96] = True
    assert same(mask_of(page), wanted)
    page.get_by_role("radio", name="Lasso").check()
    page.get_by_label("Take away").check()
    loop(page, (0.25, 0.2), (0.75, 0.2), (0.75, 0.55))
    triangle = np.asarray(drawn(("polygon", [(32, 25.6), (96, 25.6), (96, 70.4)]))) > 0
    assert same(mask_of(page), wanted & ~triangle)
    page.keyboard.press("Control+z")
    assert same(mask_of(page), wanted)
    page.keyboard.press("Control+Shift+z")
    assert same(mask_of(page), wanted & ~triangle)


def loop(page: Page, *points: tuple[float, float]) -> None:
    """Draw around an area, in parts of the picture's width and height."""
    sheet = page.locator(".sheet").first.bounding_box()
    assert sheet is not None
    places = [(sheet["x"] + x * sheet["width"], sheet["y"] + y * sheet["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def test_an_area_grows_and_shrinks_by_as_much(page: Page) -> None:
    page.get_by_role("radio", name="Colour").check()
    click(page, 50, 60)
    page.get_by_role("button", name="Grow").click()
    page.get_by_role("button", name="Grow").click()
    # Two presses are two times a sixty-fourth of the side.
    left, top, right, bottom = DISC
    larger = np.asarray(drawn(("ellipse", (left - 4, top - 4, right + 4, bottom + 4)))) > 0
    assert same(mask_of(page), larger)
    page.get_by_role("button", name="Shrink").click()
    page.get_by_role("button", name="Shrink").click()
    assert same(mask_of(page), DISC_MASK)


def test_the_brush_has_keys_and_paints_where_it_is_on_an_enlarged_picture(page: Page) -> None:
    for _ in range(3):
        page.keyboard.press("[")
    for _ in range(8):
        page.get_by_role("button", name="Larger").click()
    sheet = page.locator(".sheet").first.bounding_box()
    window = page.locator(".window").bounding_box()
    assert sheet is not None
    assert window is not None
    at = (window["x"] + window["width"] * 0.3, window["y"] + window["height"] * 0.6)
    page.mouse.click(*at)
    found = np.argwhere(mask_of(page))
    pixel = [(at[1] - sheet["y"]) / sheet["height"] * SIDE, (at[0] - sheet["x"]) / sheet["width"] * SIDE]
    # The dot's middle is the middle of the pixel that was met.
    assert found.mean(axis=0) + 0.5 == pytest.approx(pixel, abs=0.5)
    # A dot is as wide as the brush: 0.12 of the side, made smaller by a quarter three times.
    assert found.max(axis=0) - found.min(axis=0) + 1 == pytest.approx(0.12 / 1.25**3 * SIDE, abs=1.1)


def test_an_area_with_a_name_comes_back_in_a_later_turn(page: Page, running: Running) -> None:
    page.get_by_role("radio", name="Colour").check()
    click(page, 50, 60)
    page.get_by_role("button", name="Name this area").click()
    page.get_by_label("Name", exact=True).fill("the ball")
    page.get_by_role("button", name="Keep it").click()
    make_turn(page, "a yellow dog in the snow")
    expect(page.locator(".area")).to_have_count(0)
    page.reload()
    expect(rows(page)).to_have_count(2)
    page.get_by_role("tab", name="Paint").click()
    page.get_by_role("radio", name="Protect").check()
    page.get_by_label("Named areas").select_option("the ball")
    expect(page.locator(".area.protect")).to_be_visible()
    assert same(mask_of(page, "protect"), DISC_MASK)
    make_turn(page, "a yellow dog in the snow at night")
    session = running.session(page.locator("h1").inner_text())
    before, after = (np.asarray(session.picture(turn)) for turn in session.turns()[1:])
    assert (before[DISC_MASK] == after[DISC_MASK]).all()
    page.get_by_role("tab", name="Paint").click()
    page.get_by_role("button", name="Forget").click()
    page.get_by_role("button", name="Forget the ball").click()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("combobox", name="Named areas")).to_be_disabled()


def name_area(page: Page, name: str) -> None:
    """Keep what is painted under a name, and take it off."""
    page.get_by_role("button", name="Name this area").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator(".area")).to_have_count(0)


def test_several_named_areas_are_one_for_a_turn_and_each_is_one_stroke(page: Page) -> None:
    page.get_by_role("radio", name="Rectangle").check()
    drag(page, (0.1, 0.1), (0.4, 0.4))
    left = mask_of(page)
    name_area(page, "left")
    page.get_by_role("radio", name="Colour").check()
    click(page, 50, 60)
    # An area that takes something away within itself takes nothing from the others.
    page.get_by_role("checkbox", name="Take away").check()
    page.get_by_role("radio", name="Rectangle").check()
    drag(page, (0, 0), (0.5, 0.5))
    page.get_by_role("checkbox", name="Take away").uncheck()
    ball = mask_of(page)
    name_area(page, "ball")
    areas = page.get_by_label("Named areas")
    areas.select_option("left")
    areas.select_option("ball")
    assert same(mask_of(page), left | ball)
    page.get_by_role("checkbox", name="Take away").check()
    areas.select_option("left")
    assert same(mask_of(page), ball & ~left)
    for expected in (left | ball, left):
        page.get_by_role("button", name="Last stroke").click()
        assert same(mask_of(page), expected)


def test_what_is_painted_belongs_to_its_session(page: Page, running: Running) -> None:
    drag(page, (0.2, 0.2), (0.8, 0.2))
    expect(page.locator(".area.only")).to_be_visible()
    here = page.evaluate("location.hash")
    running.begin("nothing painted")
    page.evaluate("location.hash = '#/s/nothing painted'")
    expect(page.locator("h1")).to_have_text("nothing painted")
    expect(page.locator(".area")).to_have_count(0)
    make_turn(page, "a yellow dog in the snow")
    assert running.session("nothing painted").head.region_hash is None
    page.evaluate(f"location.hash = {json.dumps(here)}")
    expect(page.locator(".area.only")).to_be_visible()
