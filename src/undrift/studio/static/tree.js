// The history as a tree: one row a turn, side branches indented, as `undrift log` draws it.

import { turnPath } from "./api.js";
import { go } from "./actions.js";
import { fill, h } from "./dom.js";
import { attempt } from "./say.js";
import { candidatesOf, state, turnOf, watch } from "./state.js";
import { difference } from "./strip.js";
import { changedWords } from "./words.js";

export function historyTree() {
  const list = h("ul", { class: "tree", role: "tree", "aria-labelledby": "history-title" });
  list.addEventListener("keydown", (event) => move(list, event));
  const draw = () => state.session && render(list);
  watch(["session", "shown"], draw);
  draw();
  return list;
}

function render(list) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.turn : null;
  const rows = drawn();
  const reachable = focused ?? state.shown;
  fill(list, rows.map(([turn, level]) => row(turn, level, turn.id === reachable)));
  const wanted = list.querySelector(`[data-turn="${focused ?? state.shown}"]`);
  if (focused) wanted?.focus({ preventScroll: true });
  wanted?.scrollIntoView({ block: "nearest" });
}

// Every turn with its level: the first child goes straight on, every other one starts a branch beneath its parent.
function drawn() {
  const children = Map.groupBy(state.session.turns, (turn) => turn.parent);
  const rows = [];
  const stack = [[state.session.turns[0], 1]];
  while (stack.length) {
    const [turn, level] = stack.pop();
    rows.push([turn, level]);
    const [first, ...others] = children.get(turn.id) ?? [];
    if (first) stack.push([first, level]);
    for (const other of others.reverse()) stack.push([other, level + 1]);
  }
  return rows;
}

function row(turn, level, reachable) {
  const { session, shown } = state;
  const here = turn.id === session.head;
  const names = Object.entries(session.branches).filter(([, tip]) => tip === turn.id).map(([name]) => name);
  const element = h(
    "li", {
      role: "treeitem", "aria-level": level, "aria-selected": String(turn.id === shown), tabindex: reachable ? 0 : -1,
      "data-turn": turn.id, class: turn.id === shown ? "here" : null, "aria-current": here ? "true" : null,
      "aria-label": label(turn, here, names), onclick: () => attempt(() => go(turn.id)),
    },
    h("span", { class: "rails", "aria-hidden": "true" }, ...Array.from({ length: Math.min(level, 6) }, () => h("i"))),
    h("img", { src: turnPath(session.name, turn, "thumbnail"), alt: "", width: 44, height: 44, loading: "lazy", draggable: "false" }),
    h("span", { class: "text" },
      h("span", { class: "head" }, title(turn), here && h("b", { class: "tag now" }, "head"), ...names.map((name) => h("b", { class: "tag" }, name)),
        turn.warning && h("b", { class: "tag warn", title: turn.warning }, "drift")),
      h("span", { class: "what" }, ...what(turn))),
  );
  return element;
}

const title = (turn) => (turn.kind === "original" ? "Original" : `Turn ${turn.number}`);

function what(turn) {
  if (turn.kind === "restore") return ["part of ", turnOf(turn.restore.anchor)?.kind === "original" ? "the original" : "an earlier turn", " put back"];
  if (turn.kind === "import") return ["put in: ", turn.prompt];
  if (!turn.changes) return [turn.prompt || "(no caption)"];
  const siblings = candidatesOf(turn);
  if (siblings.length > 1 && siblings[0] !== turn) return ["candidate: ", difference(turn, siblings)];
  const words = changedWords(turn.changes.words);
  return words.length ? words : [turn.prompt];
}

function label(turn, here, names) {
  const marks = [here && "head", ...names.map((name) => `branch ${name}`), turn.warning].filter(Boolean);
  return [`${title(turn)}: ${turn.prompt}`, ...marks].join(", ");
}

// Arrow keys move the focus, Enter and the space bar go to the turn.
function move(list, event) {
  const rows = [...list.children];
  const at = rows.indexOf(document.activeElement);
  const turn = rows[at] && turnOf(rows[at].dataset.turn);
  if (!turn) return;
  const next = {
    ArrowDown: () => rows[at + 1],
    ArrowUp: () => rows[at - 1],
    ArrowLeft: () => rows.find((one) => one.dataset.turn === turn.parent),
    ArrowRight: () => rows.find((one) => turnOf(one.dataset.turn).parent === turn.id),
    Home: () => rows[0],
    End: () => rows.at(-1),
  }[event.key];
  if (event.key === "Enter" || event.key === " ") attempt(() => go(turn.id));
  else if (!next) return;
  event.preventDefault();
  event.stopPropagation();
  const target = next?.();
  if (!target) return;
  for (const one of rows) one.tabIndex = one === target ? 0 : -1;
  target.focus();
}
