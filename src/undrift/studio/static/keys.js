// Keys that work wherever no text is being written.

import { cancel, ownJob, redo, undo } from "./actions.js";
import { dialog, h } from "./dom.js";
import { MODES, setMode } from "./modes.js";
import { state } from "./state.js";

const KEYS = [
  ["Enter", "start the turn, from its text"],
  ["Shift + Enter", "a new line in the text"],
  ["Ctrl + Z", "undo"],
  ["Ctrl + Shift + Z", "redo"],
  ["Escape", "cancel the running turn"],
  ["1 to 6", MODES.map((mode) => mode.title.toLowerCase()).join(", ")],
  ["Arrow keys", "move in the history, or the divider of the comparison; Enter goes to a turn"],
  ["?", "this list"],
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
  if (event.key === "?") return showKeys;
  if (!state.session) return null;
  const command = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (command && key === "z") return event.shiftKey ? redo : undo;
  if (command && key === "y") return redo;
  const mode = !command && !event.altKey && MODES[Number(event.key) - 1];
  return mode ? () => setMode(mode.name) : null;
}

function stop() {
  const job = ownJob();
  return job ? () => cancel(job) : null;
}

const writing = (element) =>
  element.matches("textarea, select, input:not([type=range], [type=checkbox], [type=radio])") || element.isContentEditable;

export function showKeys() {
  const rows = KEYS.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)]);
  dialog("Keys", h("dl", { class: "keys" }, ...rows));
}
