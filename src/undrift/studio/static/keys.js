// Keys that work wherever no text is being written.

import { cancel, ownJob, redo, undo } from "./actions.js";
import { dialog, h } from "./dom.js";
import { holdKey } from "./before.js";
import { t } from "./languages.js";
import { fit, zoomIn, zoomOut } from "./lens.js";
import { resizeBrush } from "./brush.js";
import { redoStroke, undoStroke } from "./masks.js";
import { currentMode, MODES, setMode } from "./modes.js";
import { settingsFields } from "./settings.js";
import { recall, remember, state } from "./state.js";

const KEYS = [
  [t("Enter"), t("start the turn, from its text")],
  [t("Shift + Enter"), t("a new line in the text")],
  [t("Ctrl + Z"), t("undo; in Paint the last stroke")],
  [t("Ctrl + Shift + Z"), t("redo; in Paint the stroke taken back")],
  [t("Escape"), t("cancel the running turn")],
  ["1 – 6", MODES.map((mode) => mode.title).join(", ")],
  ["+ − 0", t("enlarge the picture, make it smaller; fit the window (also the wheel, and two fingers)")],
  [t("Space"), t("with the pointer: move the enlarged picture")],
  ["B, O", t("held: the turn before, the original, in the picture's place (also: press on the picture)")],
  ["[ ]", t("in Paint a smaller, a larger brush")],
  [t("Arrow keys"), t("move in the history, or the divider of the comparison; Enter goes to a turn")],
  ["?", t("this list")],
];

export function bindKeys() {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const run = event.key === "Escape" ? stop() : !writing(event.target) && shortcut(event);
    if (!run) return;
    event.preventDefault();
    run();
  });
}

function shortcut(event) {
  const command = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (command) return state.session && !event.altKey ? history(key, event.shiftKey) : null;
  if (event.altKey) return null;
  // The picture that has the focus is enlarged all the same: its keys get in nobody's way.
  if (!singleKeys()) return event.target.closest(".pane") ? (LENS_KEYS[key] ?? null) : null;
  if (key === "?") return showKeys;
  if (state.session && key in PICTURE_KEYS) return event.repeat && "bo".includes(key) ? () => {} : PICTURE_KEYS[key];
  const mode = state.session && MODES[Number(key) - 1];
  return mode ? () => setMode(mode.name) : null;
}

const LENS_KEYS = { "+": zoomIn, "=": zoomIn, "-": zoomOut, 0: fit };
const PICTURE_KEYS = {
  ...LENS_KEYS,
  b: () => holdKey("b", "previous"), o: () => holdKey("o", "original"),
  "[": () => resizeBrush(-1), "]": () => resizeBrush(1),
};

// While somebody paints, the last thing that was done is a stroke: a turn is undone with its button then.
function history(key, shift) {
  const [back, again] = currentMode() === "paint" ? [undoStroke, redoStroke] : [undo, redo];
  if (key === "z") return shift ? again : back;
  return key === "y" ? again : null;
}

// Keys without Ctrl get in the way of those who speak to their computer (WCAG 2.1.4).
const singleKeys = () => recall("single-keys", true) ?? true;

function stop() {
  const job = ownJob();
  return job ? () => cancel(job) : null;
}

const writing = (element) =>
  element.matches("textarea, select, input:not([type=range], [type=checkbox], [type=radio])") || element.isContentEditable;

export function showKeys() {
  const rows = KEYS.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)]);
  const single = h("input", { type: "checkbox", checked: singleKeys(), onchange: () => remember("single-keys", single.checked, true) });
  dialog(t("Keys and settings"), h("div", { class: "stack" }, ...settingsFields(),
    h("label", { class: "row" }, single, t("Keys without Ctrl: 1 to 6, + − 0, B, O, [ ] and ?")), h("dl", { class: "keys" }, ...rows)));
}
