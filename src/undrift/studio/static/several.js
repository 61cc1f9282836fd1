// Several turns side by side, all looked at through one lens: the same place, equally large, in each of them.

import { turnPath } from "./api.js";
import { keep, look } from "./actions.js";
import { field, h, icon } from "./dom.js";
import { branch } from "./film.js";
import { share } from "./format.js";
import { t } from "./languages.js";
import { lookThrough } from "./lens.js";
import { paneWith } from "./pane.js";
import { candidatesOf, noteOf, pathTo, shownTurn, state, title, turnOf, update } from "./state.js";
import { difference } from "./strip.js";

const MOST = 24; // pictures shown at once

const SETS = {
  candidates: { label: t("Candidates of this turn"), turns: () => candidatesOf(shownTurn()) },
  favourites: { label: t("Favourites"), turns: () => state.session.turns.filter((turn) => noteOf(turn).starred) },
  branch: { label: t("This branch"), turns: branch },
  all: { label: t("All turns"), turns: () => state.session.turns },
};

const possible = () => Object.keys(SETS).filter((key) => SETS[key].turns().length > 1);

// What is shown: what was chosen, where there are several of it, else candidates before the branch.
function chosen() {
  const keys = possible();
  if (keys.includes(state.several)) return state.several;
  return keys.find((key) => key !== "favourites") ?? keys[0];
}

export function severalView() {
  const key = chosen();
  const all = SETS[key].turns();
  const turns = around(all);
  const kept = new Set(pathTo(turnOf(state.session.head)).map((turn) => turn.id));
  const cells = turns.map((turn, at) => cell(turn, { at, turns, kept, candidates: key === "candidates" }));
  queueMicrotask(() => lookThrough(...cells.map((one) => one.querySelector(".pane"))));
  queueMicrotask(() => cells.find((one) => one.classList.contains("here"))?.scrollIntoView({ block: "nearest" }));
  return [h("ul", { class: `several of-${columns(turns.length)}` }, ...cells), h("div", { class: "row tools" }, setSelect(key), turns.length < all.length && h("span", { class: "fine muted" }, t`${turns.length} of ${all.length}; make those you want favourites`))];
}

// Those nearest to the shown turn, where there are too many.
function around(turns) {
  const at = Math.max(0, turns.findIndex((turn) => turn.id === state.shown));
  const first = Math.min(Math.max(0, at - MOST / 2), Math.max(0, turns.length - MOST));
  return turns.slice(first, first + MOST);
}

const columns = (count) => ({ 1: 1, 2: 2, 4: 2 })[count] ?? 3;

function setSelect(key) {
  const select = h("select", { name: "several", onchange: () => update({ several: select.value }) },
    ...possible().map((one) => h("option", { value: one, selected: one === key }, SETS[one].label)));
  const box = field(t("Show"), select);
  box.classList.add("inline");
  return box;
}

function cell(turn, { at, turns, kept, candidates }) {
  const called = candidates ? t`candidate ${at + 1}` : title(turn);
  const here = turn.id === state.shown;
  const picture = h("img", { class: "picture sheet", src: turnPath(state.session.name, turn, "picture"), alt: turn.prompt, loading: "lazy", draggable: "false" });
  return h(
    "li", { class: here ? "here" : null },
    paneWith([picture], { label: called, small: true, click: () => look(turn.id) }),
    h("div", { class: "row spread" },
      h("span", { class: "fine" }, candidates ? difference(turn, turns) : words(turn), h("br"), h("span", { class: "muted" }, drift(turn))),
      h("span", { class: "row tight" },
        !here && h("button", { type: "button", class: "quiet", onclick: () => look(turn.id), "aria-label": t`Look at ${called}` }, t("Look")),
        candidates && (kept.has(turn.id) ? h("span", { class: "tag now" }, t("kept"))
          : h("button", { type: "button", onclick: () => keep(turn.id), "aria-label": t`Keep ${called}` }, icon("keep"), t("Keep"))))),
  );
}

const words = (turn) => [title(turn), noteOf(turn).name].filter(Boolean).join(": ");

function drift(turn) {
  const found = turn.drift_previous;
  if (!found) return "";
  if (found.outside === 0) return t("all edited");
  // A method that does not say where it edits leaves all of the picture, of which nothing is known to be its edit.
  return found.outside < 1 ? t`${share(found.changed)} % changed outside` : t`${share(found.changed)} % of the picture changed`;
}
