// Two turns in one frame, with a divider that the pointer and the arrow keys move.

import { turnPath } from "./api.js";
import { turnOptions } from "./choosing.js";
import { field, h } from "./dom.js";
import { t } from "./languages.js";
import { paneOf } from "./pane.js";
import { anchorTurn, shownTurn, state, title, update } from "./state.js";

export function comparison() {
  const [first, second] = [anchorTurn(), shownTurn()];
  const name = state.session.name;
  const range = h("input", { type: "range", min: 0, max: 100, step: 1, value: 50, "aria-label": t`Divider: ${title(first)} left of it, ${title(second)} right of it`, class: "divider" });
  const over = h("div", { class: "over" }, h("img", { class: "picture sheet", src: turnPath(name, first, "picture"), alt: `${title(first)}: ${first.prompt}`, draggable: "false" }));
  const box = h(
    "div", { class: "compare" },
    h("img", { class: "picture sheet", src: turnPath(name, second, "picture"), alt: `${title(second)}: ${second.prompt}`, draggable: "false" }),
    over,
    h("span", { class: "line", "aria-hidden": "true" }),
    h("span", { class: "corner left", "aria-hidden": "true" }, title(first)),
    h("span", { class: "corner right", "aria-hidden": "true" }, title(second)),
    range,
  );
  const place = () => box.style.setProperty("--at", `${range.value}%`);
  range.addEventListener("input", place);
  place();
  return [paneOf([box], { paints: true }), h("div", { class: "row tools" }, turnSelect(t("Left"), first, (id) => update({ against: id })), h("span", { class: "muted fine" }, t`Right: ${title(second)}, the one shown`))];
}

export function turnSelect(label, chosen, pick) {
  const select = h(
    "select", { onchange: () => pick(select.value) },
    ...turnOptions(state.session.turns, chosen.id),
  );
  const box = field(label, select);
  box.classList.add("inline");
  return box;
}
