// Elements from JavaScript: no template language, no HTML from strings, so that no prompt can become markup.

import { t } from "./languages.js";
import { attempt } from "./say.js";

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) set(element, name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "class") element.className = value;
  else if (name === "value") element.value = value;
  else if (name === "checked") element.checked = value;
  else element.setAttribute(name, value === true ? "" : value);
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, props = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const ICONS = {
  undo: "M9 7 4.5 11.5 9 16M5 11.5h9a5 5 0 0 1 0 10h-2",
  redo: "m15 7 4.5 4.5L15 16M19 11.5h-9a5 5 0 0 0 0 10h2",
  save: "M12 4v11m0 0 4.5-4.5M12 15l-4.5-4.5M5 19.5h14",
  help: "M9.2 9.2a2.9 2.9 0 1 1 4.3 2.5c-1 .6-1.5 1.1-1.5 2.3M12 17.6v.1",
  stop: "M7 7h10v10H7z",
  home: "M4 11.5 12 5l8 6.5M6.5 10v9h11v-9",
  branch: "M7 4.5v15M7 15c0-5 10-3 10-8.5",
  keep: "m5 12.5 4.5 4.5L19 7.5",
  play: "M8 5.5v13l10.5-6.5z",
  star: "m12 4.5 2.3 4.7 5.2.8-3.8 3.7.9 5.1-4.6-2.4-4.6 2.4.9-5.1L4.5 10l5.2-.8z",
  pen: "M4.5 19.5l.9-4L15.6 5.3a1.6 1.6 0 0 1 2.3 0l.8.8a1.6 1.6 0 0 1 0 2.3L8.5 18.6z",
  send: "M12 19V5.5m0 0L6 11.5m6-6 6 6",
  bin: "M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7",
  repeat: "M4.5 11a7.5 7.5 0 0 1 13-4.5L19.5 9M19.5 4.5V9H15M19.5 13a7.5 7.5 0 0 1-13 4.5L4.5 15M4.5 19.5V15H9",
  crop: "M7 3.5V17h13.5M3.5 7H17v13.5",
  plus: "M12 5.5v13M5.5 12h13",
  minus: "M5.5 12h13",
  fit: "M4.5 9V4.5H9M15 4.5h4.5V9M19.5 15v4.5H15M9 19.5H4.5V15",
};

export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

// A handler that does not begin again while it is at work, nor at the second click of a double click.
export function once(action) {
  let busy = false;
  return async (event) => {
    event.preventDefault();
    if (busy || event.detail > 1) return;
    busy = true;
    await attempt(() => action(event));
    busy = false;
  };
}

let counter = 0;

// A label, its input, and what else belongs below it.
export function field(label, input, ...below) {
  input.id ||= `f${(counter += 1)}`;
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input, ...below);
}

export function dialog(title, content, buttons = []) {
  const id = `d${(counter += 1)}`;
  const close = h("button", { type: "button", onclick: () => box.close() }, t("Close"));
  const box = h(
    "dialog", { "aria-labelledby": id },
    h("h2", { id }, title), h("div", { class: "content" }, content),
    h("div", { class: "row end" }, ...buttons, close),
  );
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => event.target === box && box.close());
  document.body.append(box);
  box.showModal();
  return box;
}
