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
from dataclasses import replace
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
from undrift import load, method, run_turn, start_session
from undrift.cli.main import cli
from undrift.littleworld import demo
from undrift.littleworld.captions import caption
from undrift.littleworld.render import render
from undrift.littleworld.scenes import PLACEMENTS, Scene, Thing
from undrift.pictures import png_bytes
from undrift.services.images_api.app import create_api
from undrift.services.mcp.desk import Desk
from undrift.services.mcp.server import create_server
from undrift.session.compare import compare
from undrift.session.saying import heard, said_plan
from undrift.session.sheet import contact_sheet
from undrift.studio import server
from undrift.studio.studio import Studio

WINDOW = ViewportSize(width=1100, height=760)
DOG = Scene("beach", Thing("dog", "yellow"), None, Thing("cactus", "red"), PLACEMENTS[0])
"""What the example workflow for ComfyUI begins with; it wears nothing yet."""


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
    """The example workflow as a graph, with the pictures that the same turns give without ComfyUI."""
    graph = json.loads((Path(__file__).parents[2] / "integrations/comfyui/example_workflow.json").read_text("utf-8"))
    model, picture = load("littleworld"), render(DOG, demo.SIZE)
    session = start_session(desk / "comfyui", picture, caption(DOG), model)
    for key in ("4", "5"):
        plan = replace(said_plan(heard(session.tree(), graph[key]["inputs"]["text"]), session.head), seed=7)
        run_turn(session, model, method("undrift", model), plan)
    path = session.path(session.head)
    shown = {"2": picture, "3": picture, "4": session.picture(path[1]), "5": session.picture(path[2])}
    shown |= {"6": compare(session, path[0], path[2]).heat, "7": contact_sheet(session)}
    page = browser.new_context(viewport=ViewportSize(width=1485, height=490)).new_page()
    page.set_content(_graph(graph, shown))
    save(page.screenshot(), target)


_PLACES = {
    "1": (20, 20),
    "2": (20, 260),
    "3": (265, 140),
    "4": (510, 140),
    "5": (755, 140),
    "6": (1000, 100),
    "7": (1000, 300),
    "8": (1000, 20),
    "9": (1245, 100),
    "10": (1245, 300),
}


def _graph(graph: dict[str, Any], shown: Mapping[str, Image.Image]) -> str:
    """Boxes with their values and pictures, and the wires between them."""
    boxes, wires = [], []
    for key, node in graph.items():
        x, y = _PLACES[key]
        values = {name: value for name, value in node["inputs"].items() if not isinstance(value, list)}
        rows = "".join(f"<p>{escape(name)}: {escape(str(value))}</p>" for name, value in list(values.items())[:3])
        seen = ""
        if key in shown:
            data = base64.b64encode(png_bytes(shown[key])).decode()
            seen = f'<img src="data:image/png;base64,{data}">'
        boxes.append(f'<div style="left:{x}px;top:{y}px"><h2>{escape(node["class_type"])}</h2>{rows}{seen}</div>')
        for value in node["inputs"].values():
            if isinstance(value, list):
                a, b = _PLACES[value[0]]
                ends = f"M{a + 215} {b + 14} C{a + 245} {b + 14} {x - 30} {y + 14} {x} {y + 14}"
                wires.append(f'<path d="{ends}" fill="none" stroke="#7d8fa3" stroke-width="2"/>')
    return f'{_GRAPH}<svg width="1485" height="490">{"".join(wires)}</svg>{"".join(boxes)}'


_GRAPH = """<style>
body { font: 12px system-ui, sans-serif; margin: 0; background: #f4f5f7; color: #1d2733 }
svg { position: absolute } h2 { font-size: 13px; margin: 0 0 4px } p { margin: 0; color: #44525f }
div { position: absolute; width: 195px; padding: 6px 10px; background: #fff; border: 1px solid #b9c4cf;
      border-radius: 8px } img { max-width: 195px; max-height: 125px; margin-top: 6px; display: block }
</style>"""


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
