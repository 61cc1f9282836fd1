// The picture before the shown one in its place, for as long as something is held: the picture, a key, or a button.

import { turnPath } from "./api.js";
import { h } from "./dom.js";
import { t } from "./languages.js";
import { currentMode } from "./modes.js";
import { originalTurn, shownTurn, state, title, turnOf, watch } from "./state.js";

const MODE = "view"; // where there is a picture to be held

// Lays the turn before, or the original, over what the frame shows; returns what takes it away again.
export function holdBefore(frame, which = "previous") {
  const shown = shownTurn();
  const turn = which === "original" ? originalTurn() : turnOf(shown.parent);
  if (!turn || turn === shown || frame.querySelector(".before")) return null;
  const parts = [
    h("img", { class: "sheet before", src: turnPath(state.session.name, turn, "picture"), alt: t`${title(turn)}, for as long as you hold`, draggable: "false" }),
    h("span", { class: "corner left", "aria-hidden": "true" }, title(turn)),
  ];
  frame.append(...parts);
  return () => parts.forEach((part) => part.remove());
}

const frameShown = () => document.querySelector(`.stage[data-mode="${MODE}"] .window`);

// A key is held: until it is let go.
export function holdKey(key, which) {
  const frame = frameShown();
  const release = frame && holdBefore(frame, which);
  if (!release) return;
  const end = (event) => {
    if (event.type === "keyup" && event.key.toLowerCase() !== key) return;
    release();
    for (const kind of ["keyup", "blur"]) window.removeEventListener(kind, end);
  };
  for (const kind of ["keyup", "blur"]) window.addEventListener(kind, end);
}

// Without holding anything: on, and off again.
export function beforeButton() {
  let release = null;
  const button = h("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: () => toggle(!release) }, t("Before"));
  const toggle = (on) => {
    release?.();
    release = on ? holdBefore(frameShown()) : null;
    button.setAttribute("aria-pressed", String(Boolean(release)));
  };
  // Another picture, another way to look: what was laid over the old one is gone with it.
  watch(["session", "shown", "mode"], () => {
    toggle(false);
    button.disabled = !shownTurn()?.parent || currentMode() !== MODE;
  });
  return button;
}
