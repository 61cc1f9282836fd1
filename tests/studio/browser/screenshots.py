"""Makes the pictures of docs/studio.md: real turns of LittleWorld at its default steps, in a real browser.

python -m tests.studio.browser.screenshots docs/images
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect, sync_playwright

from tests.studio.browser.conftest import CHROMIUM, PHONE, Running, drag, make_turn, rows, serve, write
from undrift.backbones import load
from undrift.littleworld import demo
from undrift.studio.studio import Studio

WINDOW = ViewportSize(width=1220, height=740)
LOWER = ViewportSize(width=1220, height=680)
SEED = "7"
SETTLED_MS = 700


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as sessions, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for running in serve(Studio(load("littleworld"), Path(sessions))):
            running.begin("beach", demo.SIZE)
            said(browser, running, folder)
            light(browser, running, folder)
            dark(browser, running, folder)
            phone(browser, running, folder)
        browser.close()


def light(browser: Browser, running: Running, folder: Path) -> None:
    """The session as it grows, on a desk."""
    page = browser.new_context(viewport=WINDOW).new_page()
    page.goto(f"{running.url}/#/s/beach")
    page.get_by_label("Seed").fill(SEED)
    for prompt in demo.edits():
        make_turn(page, prompt)
    rows(page).nth(3).click()
    write(page, "an orange robot wearing pink glasses next to a white flower at night")
    page.locator(".diff ins").first.wait_for()
    save(page, folder / "studio.png")
    page.get_by_role("tab", name="Compare").click()
    page.get_by_label("Left", exact=True).select_option(index=0)
    divider(page).fill("47")
    save(page, folder / "studio-compare.png")
    page.get_by_role("tab", name="Paint").click()
    paint(page)
    save(page, folder / "studio-paint.png")
    page.get_by_role("button", name="Clear", exact=True).click()
    page.get_by_role("spinbutton", name="Candidates").fill("3")
    page.get_by_role("button", name="Make the turn").click()
    expect(page.locator(".several li")).to_have_count(3)
    save(page, folder / "studio-candidates.png")
    page.get_by_label("Show", exact=True).select_option("This branch")
    page.get_by_role("button", name="Larger").click(click_count=1)
    save(page, folder / "studio-beside.png")
    page.get_by_role("button", name="Fit the window").click()
    page.get_by_role("tab", name="View").click()
    page.get_by_role("button", name="Crop or extend").click()
    page.get_by_label("Shape").select_option("3 : 2")
    page.get_by_label("Width", exact=True).fill("320")
    page.get_by_label("Width", exact=True).press("Tab")
    save(page, folder / "studio-crop.png")
    page.get_by_role("button", name="Close").click()


def said(browser: Browser, running: Running, folder: Path) -> None:
    """An instruction, and what it makes of the caption, before the turn."""
    page = browser.new_context(viewport=LOWER).new_page()
    page.goto(f"{running.url}/#/s/beach")
    page.get_by_label("Say what to change").fill("make the robot green and put it in the snow")
    page.locator(".diff ins").first.wait_for()
    save(page, folder / "studio-say.png")


def dark(browser: Browser, running: Running, folder: Path) -> None:
    """What changed, in the dark."""
    page = browser.new_context(viewport=LOWER, color_scheme="dark").new_page()
    page.goto(f"{running.url}/#/s/beach")
    rows(page).nth(1).click()
    page.get_by_role("tab", name="Changes").click()
    expect(page.get_by_text("of the pixels changed")).to_be_visible()
    save(page, folder / "studio-dark.png")


def phone(browser: Browser, running: Running, folder: Path) -> None:
    """The same session in a pocket."""
    page = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=1).new_page()
    page.goto(f"{running.url}/#/s/beach")
    rows(page).nth(3).tap()
    write(page, "an orange robot wearing pink glasses next to a red flower on a beach")
    page.locator(".diff ins").first.wait_for()
    page.evaluate("scrollTo(0, 0)")
    save(page, folder / "studio-phone.png")


def divider(page: Page) -> Locator:
    """The divider of the comparison."""
    return page.get_by_role("slider", name="Divider")


def paint(page: Page) -> None:
    """The sky may change, what stands on the ground at the left may not."""
    drag(page, (0.12, 0.14), (0.88, 0.14))
    drag(page, (0.12, 0.3), (0.88, 0.3))
    page.get_by_role("radio", name="Protect").check()
    drag(page, (0.14, 0.62), (0.14, 0.86))


def save(page: Page, path: Path) -> None:
    """A screenshot as a small PNG of 256 colours: the page and the drawn world have hardly more."""
    page.wait_for_timeout(SETTLED_MS)
    shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shown.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
