"""What the studio's page takes of a browser: memory for painting a photo, time to open long lists.

    python benchmarks/studio_page.py --output page.json

Real chromium, a studio of LittleWorld in this process. Painting: fifty strokes over a picture of 12 megapixels, then
the memory of the process that draws the page, its canvases included, beside the heap of its scripts. Opening: the
list of fifty sessions, and a session of three hundred turns at its last one, from the address to the picture; in
seconds of the wall, and of the processor, which another program on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.studio.browser.conftest import CHROMIUM, DESK, PATIENCE_MS, Running, drag, serve
from undrift.backbones import load
from undrift.littleworld import demo
from undrift.session import engine
from undrift.studio.studio import Studio

SESSIONS = 50
TURNS = 300
STROKES = 50
PHOTO = (4000, 3000)
Report = dict[str, dict[str, list[float]]]
PICTURE = "document.querySelector('.stage .picture')?.naturalWidth > 0"
PATIENCE = 10 * PATIENCE_MS


def painting(browser: Browser, running: Running, report: Report) -> None:
    """Fifty strokes on 12 megapixels, on two layers."""
    begin_photo(running)
    page = opened(browser, running, "#/s/photo")
    page.get_by_role("tab", name="Paint").click()
    expect(page.locator(".stage .picture")).to_have_js_property("complete", True)
    before = drawing_memory()
    paint_strokes(page)
    after = drawing_memory()
    heap = page.evaluate("performance.memory.usedJSHeapSize")
    report["painting"] = {"heap_mb": [heap / 1e6], "before_mb": [before / 1e6], "after_mb": [after / 1e6]}
    page.context.close()


def begin_photo(running: Running) -> None:
    """A session ``photo`` of 12 megapixels."""
    photo = demo.picture().resize(PHOTO, Image.Resampling.BICUBIC)
    engine.start_session(running.studio.folders.root / "photo", photo, demo.prompt(), running.studio.backbone)


def paint_strokes(page: Page) -> None:
    """``STROKES`` strokes over the picture in Paint, half of them on another layer."""
    for stroke in range(STROKES):
        if stroke == STROKES // 2:
            page.get_by_role("radio", name="Protect").check()
        height = 0.05 + 0.9 * stroke / STROKES
        drag(page, (0.1, height), (0.9, height))
    expect(page.locator(".area")).to_have_count(2)


def drawing_memory() -> int:
    """Bytes that the largest of chromium's drawing processes has to itself."""
    every = psutil.Process().children(recursive=True)
    drawing = [one for one in every if "--type=renderer" in one.cmdline()]
    return max(int(one.memory_full_info().uss) for one in drawing)


def opening(browser: Browser, running: Running, report: Report) -> None:
    """The lists that grow."""
    backbone, root = running.studio.backbone, running.studio.folders.root
    for number in range(SESSIONS):
        engine.start_session(root / f"session {number}", demo.picture(), demo.prompt(), backbone)
    session = engine.start_session(root / "long", demo.picture(), demo.prompt(), backbone)
    for number in range(TURNS):
        engine.import_picture(session, demo.picture(), f"a {number} dog next to a red cactus", backbone)
    last = session.head.id
    report["sessions"] = timed(browser, running, "#/", f"{count('.cards li')} >= {SESSIONS}")
    report["turns"] = timed(
        browser, running, f"#/s/long/{last}", f"{count('[role=treeitem]')} === {TURNS + 1} && {PICTURE}"
    )


def timed(browser: Browser, running: Running, address: str, seen: str) -> dict[str, list[float]]:
    """Seconds of the wall and the processor until a page at ``address`` shows what is ``seen``, five times."""
    found: dict[str, list[float]] = {"wall_s": [], "processor_s": []}
    watch = f"const look = () => ({seen}) ? (window.seenAt = performance.now()) : requestAnimationFrame(look); look()"
    for _ in range(5):
        page = browser.new_context(viewport=DESK).new_page()
        page.add_init_script(watch)
        tools = page.context.new_cdp_session(page)
        tools.send("Performance.enable", {"timeDomain": "threadTicks"})
        spent = time.process_time()
        page.goto(f"{running.url}/{address}")
        while (at := page.evaluate("window.seenAt")) is None:
            page.wait_for_timeout(20)
        found["wall_s"].append(at / 1000)
        metrics = {one["name"]: one["value"] for one in tools.send("Performance.getMetrics")["metrics"]}
        found["processor_s"].append(metrics["TaskDuration"] + time.process_time() - spent)
        page.context.close()
    return found


def count(selector: str) -> str:
    return f"document.querySelectorAll('{selector}').length"


def opened(browser: Browser, running: Running, address: str) -> Page:
    page = browser.new_context(viewport=DESK).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{running.url}/{address}")
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="write the numbers here as JSON")
    args = parser.parse_args()
    report: Report = {}
    expect.set_options(timeout=PATIENCE)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for running in serve(Studio(load("littleworld", device="cpu"), Path(folder))):
            opening(browser, running, report)
            painting(browser, running, report)
        browser.close()
    for name, numbers in report.items():
        told = {
            key: sorted(value)[len(value) // 2] if isinstance(value, list) else value
            for key, value in numbers.items()
        }
        print(f"{name:9}  " + "  ".join(f"{key} {value:.2f}" for key, value in told.items()))
    if args.output:
        args.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
