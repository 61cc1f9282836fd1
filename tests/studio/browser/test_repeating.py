"""Doing the same to other pictures: the turns of a session as a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.studio.browser.conftest import PHONE, SIDE, Open, Running, rows
from undrift.littleworld import demo
from undrift.methods import registry
from undrift.session.engine import EditPlan, run_turn


def test_pictures_that_are_refused_are_told_together_each_by_its_name(
    open_page: Open, running: Running, tmp_path: Path
) -> None:
    session, backbone = running.begin("refusing"), running.studio.backbone
    method = registry.get("multi_turn", overrides={"steps": 4}, tuned=backbone.tuned)
    run_turn(session, backbone, method, EditPlan(demo.edits()[0], seed=1))
    good = tmp_path / "good.png"
    demo.picture(SIDE).save(good)
    bad = [tmp_path / f"bad {number}.png" for number in range(8)]
    for number, file in enumerate(bad):
        file.write_bytes(good.read_bytes()[:300] if number % 2 else b"no picture")
    page = open_page("#/s/refusing")
    page.get_by_role("button", name="Do the same to other pictures").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Pictures to do the same to").set_input_files([*bad[:3], good, *bad[3:]])
    expect(box.locator(".repeats li")).to_have_count(1)
    told = page.get_by_role("alert")
    expect(told).to_have_count(1)
    lines = told.locator("span").inner_text().split("\n")
    assert [line.partition(".png")[0].strip("'") for line in lines[:6]] == [file.stem for file in bad[:6]]
    assert lines[6:] == ["and 2 more"]


@pytest.mark.parametrize("phone", [False, True])
def test_the_turns_are_made_of_two_other_pictures(
    open_page: Open, running: Running, tmp_path: Path, phone: bool
) -> None:
    name = f"recipe {phone}"
    session, backbone = running.begin(name), running.studio.backbone
    method = registry.get("multi_turn", overrides={"steps": 4}, tuned=backbone.tuned)
    green = demo.prompt().replace("an orange robot", "a green robot")
    run_turn(session, backbone, method, EditPlan(green, instruction="make the robot green", seed=1))
    files = [tmp_path / f"{colour}-{phone}.png" for colour in ("first", "second")]
    for file in files:
        demo.picture(SIDE).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file)
    options = {"viewport": PHONE, "has_touch": True, "is_mobile": True} if phone else {}
    page = open_page(f"#/s/{name}", **options)
    expect(rows(page)).to_have_count(2)
    page.get_by_role("button", name="Do the same to other pictures").focus()
    page.keyboard.press("Enter")
    box = page.get_by_role("dialog")
    expect(box).to_contain_text("make the robot green")
    box.get_by_label("Pictures to do the same to").set_input_files(files)
    expect(box.locator(".repeats li")).to_have_count(2)
    box.get_by_label(f"What second-{phone}.png shows").fill("two birds in the sky")
    box.get_by_role("button", name="Start").click()
    expect(box.get_by_role("alert")).to_contain_text("turn 1 cannot be made of a picture that shows")
    box.get_by_label(f"What second-{phone}.png shows").fill("an orange robot in the snow")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box.get_by_role("button", name="Start").click()
    box.get_by_role("link", name=f"Open second-{phone}").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("h1")).to_have_text(f"second-{phone}")
    expect(page.locator(".caption")).to_have_text("a green robot in the snow")
    made = running.session(f"first-{phone}")
    assert [turn.prompt for turn in made.turns()] == [demo.prompt(), green]
