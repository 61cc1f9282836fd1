"""A photo of 12 megapixels on the page: what painting on it takes of the browser."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from benchmarks.studio_page import begin_photo, drawing_memory, paint_strokes
from tests.studio.browser.conftest import Open, Running, module

MOST_BYTES = 500e6


def test_fifty_strokes_on_twelve_megapixels_stay_small(open_page: Open, running: Running) -> None:
    """The memory of the process that draws the page, canvases included: with scripts alone nothing would be seen."""
    begin_photo(running)
    page = open_page("#/s/photo")
    page.get_by_role("tab", name="Paint").click()
    expect(page.locator(".stage .picture")).to_have_js_property("complete", True)
    paint_strokes(page)
    taken = [_kept_memory(page)]
    for name in ("Grow", "Shrink", "Soften", "Invert"):
        page.get_by_role("button", name=name, exact=True).click()
        taken.append(_kept_memory(page))
    for _ in range(4):
        page.keyboard.press("Control+z")
        page.evaluate(module("masks.js"))  # comes back when the stroke is gone
        taken.append(_kept_memory(page))
    assert max(taken) < MOST_BYTES, [round(one / 1e6) for one in taken]


def _kept_memory(page: Page) -> int:
    """What is still used once garbage is collected: when the browser does so of itself is its own affair."""
    page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")
    return drawing_memory()


def test_an_area_of_a_photo_grows_and_shrinks_by_as_much(open_page: Open, running: Running) -> None:
    """It is looked at with 1024 pixels on its longer side: four of the photo's are one there."""
    running.begin("to grow")
    page = open_page("#/s/to grow")
    bounds = page.evaluate(f"""{module("strokes.js")}.then(({{ blank, applyTo, penOf }}) => {{
      const layer = blank(4096, 3072);
      const bounds = () => {{
        const {{ data }} = penOf(layer).getImageData(0, 1200, layer.width, 1);
        const painted = [...Array(layer.width).keys()].filter((x) => data[4 * x + 3] > 127);
        return [painted[0], painted.at(-1) + 1, painted.length];
      }};
      applyTo(layer, {{ box: [1600, 1000, 800, 400] }});
      applyTo(layer, {{ grow: 48 }});
      const grown = bounds();
      applyTo(layer, {{ grow: -48 }});
      return [grown, bounds()];
    }})""")
    for (left, right, painted), by in zip(bounds, (48, 0), strict=True):
        assert abs(left - (1600 - by)) <= 4
        assert abs(right - (2400 + by)) <= 4
        assert painted == right - left
