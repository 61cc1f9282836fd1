// Telling the user: short messages that go away, and words for screen readers.

import { h } from "./dom.js";
import { t } from "./languages.js";

const SHOWN_MS = 7000;
const MOST_TOASTS = 3;

export function announce(text) {
  document.getElementById("live").textContent = text;
}

export function toast(text, kind = "info") {
  const toasts = place();
  for (const same of [...toasts.children]) if (same.textContent === `${text}×`) same.remove();
  const close = h("button", { type: "button", class: "quiet", "aria-label": t("Dismiss"), onclick: () => box.remove() }, "×");
  const box = h("div", { class: `toast ${kind}`, role: kind === "problem" ? "alert" : "status" }, h("span", {}, text), close);
  toasts.append(box);
  while (toasts.children.length > MOST_TOASTS) toasts.firstChild.remove();
  setTimeout(() => box.remove(), kind === "problem" ? SHOWN_MS * 2 : SHOWN_MS);
}

// Where messages are seen: what lies behind an open dialog can be neither read nor dismissed.
function place() {
  const toasts = document.getElementById("toasts");
  const box = [...document.querySelectorAll("dialog[open]")].at(-1);
  const home = box ?? document.body;
  if (toasts.parentElement !== home) home.append(toasts);
  box?.addEventListener("close", () => document.body.append(toasts), { once: true });
  return toasts;
}

// Runs an action and shows its failure.
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    toast(error.message, "problem");
    console.error(error);
    return null;
  }
}
