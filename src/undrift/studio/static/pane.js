// The room that a picture is shown in, with what lies over it; and the row that enlarges it.

import { fill, h, icon } from "./dom.js";
import { showCrop } from "./crop.js";
import { followGestures } from "./gestures.js";
import { t } from "./languages.js";
import { actualSize, fit, lookThrough, percent, zoomIn, zoomOut } from "./lens.js";
import { holdBefore, beforeButton } from "./before.js";
import { state, watch } from "./state.js";

// A pane with `sheets`; `paints` leaves the left button and one finger to what is shown in it, `click` is called where
// the picture was pressed and not moved. One that is `small` is one of many: the wheel scrolls past it.
export function paneWith(sheets, { paints = false, hold = null, click = null, small = false, label = t("Picture") } = {}) {
  const grid = h("div", { class: "grid", "aria-hidden": "true" });
  const frame = h("div", { class: "window" }, ...sheets, grid);
  const pane = h("div", { class: "pane", tabindex: 0, role: "group", "aria-label": t`${label}; plus and minus enlarge it, the arrow keys move it` }, frame);
  followGestures(pane, { moves: !paints, scrolls: small, click, ...(hold && { hold: () => hold(frame) }) });
  return pane;
}

// The one pane that is looked through.
export function paneOf(sheets, options) {
  const pane = paneWith(sheets, options);
  queueMicrotask(() => lookThrough(pane)); // the last one that is drawn stays; it has a size once it is on the page
  return pane;
}

// The picture of a turn, with the one before it under the finger.
export const picturePane = (image) => paneOf([image], { hold: holdBefore });

export function lensBar() {
  const told = h("output", { class: "fine", "aria-live": "polite" });
  const button = (label, run, name, text) => h("button", { type: "button", class: "quiet", "aria-label": label, title: label, onclick: run }, name ? icon(name) : text);
  const bar = h("div", { class: "lens", role: "group", "aria-label": t("How large the picture is") },
    button(t("Smaller"), zoomOut, "minus"), told, button(t("Larger"), zoomIn, "plus"),
    button(t("Fit the window"), fit, "fit"), button(t("One pixel on one pixel"), actualSize, null, "1:1"), beforeButton(),
    button(t("Crop or extend"), showCrop, "crop"));
  const draw = () => {
    bar.hidden = !state.session;
    if (state.session) fill(told, `${percent()} %`);
  };
  watch(["lens", "session", "mode", "shown"], draw);
  draw();
  return bar;
}
