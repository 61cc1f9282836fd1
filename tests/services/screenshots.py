"""Makes the pictures of docs/batch.md and its neighbours: real turns of LittleWorld, shown by a real browser.

python -m tests.services.screenshots docs/images batch
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path
from typing import Any

import anyio
import openai
from click.testing import CliRunner
from mcp import Client
from mcp_types import ImageContent, TextContent
from PIL import Image
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from tests.studio.browser.conftest import CHROMIUM, serve
from tests.support import comfyui as comfy
from tests.support.example import DOG
from undrift import load
from undrift.cli.main import cli
from undrift.littleworld import demo
from undrift.littleworld.captions import caption
from undrift.littleworld.render import render
from undrift.pictures import png_bytes
from undrift.services.images_api.app import create_api
from undrift.services.mcp.desk import Desk
from undrift.services.mcp.server import create_server
from undrift.studio import server
from undrift.studio.studio import Studio

WINDOW = ViewportSize(width=1100, height=760)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pictures", nargs="+", choices=sorted(PICTURES))
    chosen = parser.parse_args()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as desk:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name in chosen.pictures:
            PICTURES[name](browser, Path(desk), chosen.folder / f"{name}.png")
        browser.close()


def batch(browser: Browser, desk: Path, target: Path) -> None:
    """The report of a batch of three rows, one of which fails."""
    render(DOG, demo.SIZE).save(desk / "dog.png")
    rows = [
        {"id": "dog", "picture": "dog.png", "prompt": caption(DOG), "turns": ["make the dog blue", "add a red hat"]},
        {"id": "night", "picture": "dog.png", "prompt": caption(DOG), "turns": ["make it night"]},
        {"id": "horse", "picture": "dog.png", "prompt": caption(DOG), "turns": ["make the horse blue"]},
    ]
    table = desk / "wishes.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    result = CliRunner().invoke(
        cli, ["batch", str(table), "-o", str(desk / "out"), "--seed", "7"], prog_name="undrift"
    )
    assert result.exit_code == 1, result.output
    page = browser.new_context(viewport=WINDOW).new_page()
    page.goto((desk / "out" / "report.html").as_uri())
    save(page.screenshot(full_page=True), target)


def images_api(browser: Browser, desk: Path, target: Path) -> None:
    """The studio on the session that the official client made over three turns."""
    sessions = desk / "api"
    sessions.mkdir()
    studio = Studio(load("littleworld"), sessions)
    for running in serve(studio):
        listening = server.listen("127.0.0.1", 0)
        beside = Studio(studio.backbone, sessions)
        serving = server.server_of(beside, "127.0.0.1", None, create_api)
        thread = threading.Thread(target=serving.run, args=([listening],), daemon=True)
        thread.start()
        with openai.OpenAI(base_url=f"{server.address(listening, '127.0.0.1')}v1", api_key="none") as client:
            picture, more = png_bytes(render(DOG, demo.SIZE)), {"caption": caption(DOG), "seed": 7}
            for said in ("make the dog blue", "add a red hat", "make it night"):
                made = client.images.edit(image=picture, prompt=said, extra_body=more)
                assert made.data is not None
                picture = base64.b64decode(str(made.data[0].b64_json))
                more = {"session": made.session, "seed": 7}  # type: ignore[attr-defined]
        serving.should_exit = True
        thread.join()
        page = browser.new_context(viewport=WINDOW).new_page()
        page.goto(f"{running.url}/#/s/{more['session']}")
        page.locator("[role=treeitem]").nth(3).wait_for()
        page.wait_for_timeout(700)
        save(page.screenshot(), target)


def mcp(browser: Browser, desk: Path, target: Path) -> None:
    """What an agent asked of the tools, and what it got to see."""
    folder = desk / "mcp"
    folder.mkdir()
    render(DOG, demo.SIZE).save(folder / "dog.png")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("open", {"picture": "dog.png", "caption": caption(DOG), "session": "dog"}),
        ("edit", {"session": "dog", "text": "make the dog blue", "seed": 7}),
        ("edit", {"session": "dog", "text": "add a red hat", "seed": 7}),
        ("look", {"session": "dog", "what": "changes"}),
    ]

    async def run() -> str:
        parts = []
        async with Client(create_server(Desk(load("littleworld"), folder))) as client:
            for tool, arguments in calls:
                told, *pictures = (await client.call_tool(tool, arguments)).content
                assert isinstance(told, TextContent)
                seen = "".join(
                    f'<img src="data:image/png;base64,{each.data}">'
                    for each in pictures
                    if isinstance(each, ImageContent)
                )
                asked = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
                parts.append(f"<h2>{tool}({escape(asked)})</h2><div>{seen}<p>{escape(told.text)}</p></div>")
        return _TRANSCRIPT + "".join(parts)

    page = browser.new_context(viewport=WINDOW).new_page()
    with ThreadPoolExecutor(1) as thread:  # this one has the browser's event loop
        page.set_content(thread.submit(anyio.run, run).result())
    save(page.screenshot(full_page=True), target)


def comfyui(browser: Browser, desk: Path, target: Path) -> None:
    """ComfyUI's own page with the example workflow that it ran; where there is a ComfyUI."""
    with comfy.started(comfy.laid_out(desk)) as running:
        page = browser.new_context(viewport=ViewportSize(width=1760, height=900)).new_page()
        page.goto(running.url)
        page.wait_for_function("window.app?.canvas?.graph", timeout=120_000)
        page.wait_for_timeout(4000)
        page.keyboard.press("Escape")  # its offer of templates
        page.evaluate(_PLACED, [comfy.example(), _PLACES])
        page.evaluate("() => window.app.queuePrompt(0)")
        comfy.waited(lambda: running.call("/history"), "the graph is run")
        page.wait_for_timeout(3000)
        save(page.screenshot(clip={"x": 60, "y": 85, "width": 1655, "height": 665}), target)


_PLACES = {
    "1": (0, 0, 240, 154),
    "2": (0, 200, 240, 330),
    "3": (280, 0, 300, 270),
    "4": (620, 0, 300, 270),
    "5": (960, 0, 300, 270),
    "6": (1300, 0, 210, 46),
    "7": (1300, 105, 210, 46),
    "8": (620, 340, 300, 330),
    "9": (1550, 0, 260, 290),
    "10": (1300, 340, 510, 330),
    "11": (1300, 210, 210, 80),
    "12": (960, 340, 300, 220),
}
"""Where the nodes stand and how large they are."""

_PLACED = """([graph, places]) => {
    window.app.extensionManager.setting.set("Comfy.Minimap.Visible", false);
    window.app.loadApiJson(graph, "undrift");
    for (const node of window.app.graph._nodes) {
        const [x, y, width, height] = places[node.id];
        node.pos = [x, y];
        node.setSize([width, height]);
    }
    const view = window.app.canvas.ds;
    view.scale = 0.87;
    view.offset = [80, 95];
    window.app.canvas.setDirty(true, true);
}"""


_TRANSCRIPT = """<style>
body { font: 14px system-ui, sans-serif; margin: 20px; color: #1d2733 }
h2 { font: 600 14px ui-monospace, monospace; margin: 18px 0 8px }
div { display: flex; gap: 16px } img { width: 150px; height: 150px }
p { font: 13px/1.5 ui-monospace, monospace; margin: 0; overflow-wrap: anywhere; color: #44525f }
</style>"""


def save(screenshot: bytes, path: Path) -> None:
    """A screenshot as a small PNG."""
    Image.open(io.BytesIO(screenshot)).convert("RGB").quantize(128).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


PICTURES: Mapping[str, Callable[[Browser, Path, Path], None]] = {
    "batch": batch,
    "images-api": images_api,
    "mcp": mcp,
    "comfyui": comfyui,
}

if __name__ == "__main__":
    main()
