// Everything that can be taken along.

import { exportPath } from "./api.js";
import { dialog, h, icon } from "./dom.js";
import { heard, t } from "./languages.js";
import { attempt, toast } from "./say.js";
import { shownTurn, state } from "./state.js";

const FILES = [
  ["png", t("Picture"), t("PNG with everything that led to it in its metadata")],
  ["zip", t("Session"), t("all turns; unpacked it is a session again")],
  ["sheet", t("Contact sheet"), t("the turns up to this one, with masks and changes")],
  ["animation", t("Animation"), t("the turns up to this one, one after another")],
];
const SCRIPTS = [
  ["commands", t("Command line"), t("what to type to make this turn again")],
  ["python", "Python", t("a script that makes this turn again")],
];

export function exportMenu() {
  const list = h("div", { class: "menu-list", id: "export-list" });
  const button = h("summary", { class: "button" }, icon("save"), t("Export"));
  const menu = h("details", { class: "menu" }, button, list);
  menu.addEventListener("toggle", () => menu.open && list.replaceChildren(...items(() => (menu.open = false))));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    button.focus();
  });
  document.addEventListener("pointerdown", (event) => menu.contains(event.target) || (menu.open = false));
  return menu;
}

function items(close) {
  const path = (kind) => exportPath(state.session.name, kind, shownTurn());
  return [
    ...FILES.map(([kind, name, what]) => h("a", { href: path(kind), download: "", onclick: close }, name, h("span", { class: "fine muted" }, what))),
    ...SCRIPTS.map(([kind, name, what]) => h("button", { type: "button", class: "quiet", onclick: () => (close(), attempt(() => showScript(path(kind), name))) }, name, h("span", { class: "fine muted" }, what))),
  ];
}

async function showScript(path, name) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(heard((await response.json()).error));
  const text = await response.text();
  const copy = h("button", { type: "button", class: "primary", onclick: () => navigator.clipboard.writeText(text).then(() => toast(t("Copied")), () => toast(t("The browser does not allow copying: select the text instead"), "problem")) }, t("Copy"));
  dialog(name, h("pre", { tabindex: "0", "aria-label": name }, text), [copy, h("a", { class: "button", href: path, download: "" }, t("Download"))]);
}
