// The bar at the top: where one is, undo and redo, export, help.

import { redo, undo } from "./actions.js";
import { fill, h, icon } from "./dom.js";
import { exportMenu } from "./exports.js";
import { showKeys } from "./keys.js";
import { t } from "./languages.js";
import { showModels } from "./models.js";
import { attempt } from "./say.js";
import { shownTurn, state, watch } from "./state.js";

export function topBar(element) {
  const home = h("a", { class: "brand", href: "#/" }, h("img", { src: "/static/icon.svg", alt: "", width: 26, height: 26 }), "undrift");
  const name = h("h1", { class: "name" });
  const model = h("button", { type: "button", class: "chip model", title: t("The model that turns are made with"), disabled: !state.about.other_models, onclick: () => attempt(showModels) });
  const undoing = button("undo", t("Undo"), undo);
  const redoing = button("redo", t("Redo"), redo);
  const help = button("help", t("Keys and settings"), showKeys);
  const lost = h("span", { class: "lost", role: "status" });
  const menu = exportMenu();
  const leave = state.about.locked && h("form", { method: "post", action: "/logout" }, h("button", { class: "quiet" }, t("Log out")));
  fill(element, home, name, h("span", { class: "space" }), lost, model, undoing, redoing, menu, help, leave);
  const draw = () => {
    const open = Boolean(state.session);
    name.textContent = state.session?.name ?? "";
    model.textContent = state.about.model.name;
    model.setAttribute("aria-label", t`Model: ${state.about.model.name}`);
    for (const part of [undoing, redoing, menu, name]) part.hidden = !open;
    undoing.disabled = !shownTurn()?.parent;
    redoing.disabled = !open || !(state.shown in state.session.trail);
    lost.textContent = state.connected ? "" : t("Connecting…");
  };
  watch(["session", "shown", "connected", "about"], draw);
  draw();
}

function button(name, label, action) {
  return h("button", { type: "button", class: "quiet", "aria-label": label, title: label, onclick: () => action() }, icon(name));
}
