// Telling the user: short messages that go away, and words for screen readers.

import { h } from "./dom.js";

const SHOWN_MS = 7000;

export function announce(text) {
  document.getElementById("live").textContent = text;
}

export function toast(text, kind = "info") {
  const close = h("button", { type: "button", class: "quiet", "aria-label": "Dismiss", onclick: () => box.remove() }, "×");
  const box = h("div", { class: `toast ${kind}`, role: kind === "problem" ? "alert" : null }, h("span", {}, text), close);
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), kind === "problem" ? SHOWN_MS * 2 : SHOWN_MS);
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
