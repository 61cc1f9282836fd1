"""Makes the pictures of docs/batch.md and its neighbours: real turns of LittleWorld, shown by a real browser.

python -m tests.services.screenshots docs/images batch
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from click.testing import CliRunner
from PIL import Image
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from tests.studio.browser.conftest import CHROMIUM
from undrift.cli.main import cli
from undrift.littleworld import demo

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
    demo.picture().save(desk / "dog.png")
    rows = [
        {"id": "dog", "picture": "dog.png", "prompt": demo.prompt(), "turns": ["make the dog blue", "add a red hat"]},
        {"id": "night", "picture": "dog.png", "prompt": demo.prompt(), "turns": ["make it night"]},
        {"id": "horse", "picture": "dog.png", "prompt": demo.prompt(), "turns": ["make the horse blue"]},
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


def save(screenshot: bytes, path: Path) -> None:
    """A screenshot as a small PNG."""
    Image.open(io.BytesIO(screenshot)).convert("RGB").quantize(128).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


PICTURES: Mapping[str, Callable[[Browser, Path, Path], None]] = {"batch": batch}

if __name__ == "__main__":
    main()
