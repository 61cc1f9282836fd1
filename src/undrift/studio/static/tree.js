// The history as a tree: one row a turn, side branches indented, as `undrift log` draws it.

import { turnPath } from "./api.js";
import { go } from "./actions.js";
import { fill, h } from "./dom.js";
import { isFound, narrowed } from "./history.js";
import { heard, t } from "./languages.js";
import { candidatesOf, childrenOf, noteOf, state, title, turnOf, watch } from "./state.js";
import { difference } from "./strip.js";
import { changedWords, changesInWords } from "./words.js";

export function historyTree() {
  const list = h("ul", { class: "tree", role: "tree", "aria-labelledby": "history-title" });
  list.addEventListener("keydown", (event) => move(list, event));
  const draw = () => state.session && render(list);
  watch(["session", "shown", "found"], draw);
  // A list that was not on the page has no place to scroll to: the shown turn is brought into sight once it has.
  new ResizeObserver(() => reveal(list)).observe(list);
  draw();
  return list;
}

let revealed = null; // the list's height and the turn that was brought into sight in it

function render(list) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.turn : null;
  const rows = listed();
  const wanted = focused ?? state.shown;
  const reachable = rows.some(([turn]) => turn.id === wanted) ? wanted : rows[0]?.[0].id;
  const top = list.scrollTop;
  fill(list, rows.map(([turn, level, rail]) => row(turn, level, rail, turn.id === reachable)));
  list.scrollTop = top;
  if (focused) rowOf(list, focused)?.focus({ preventScroll: true });
  reveal(list);
}

const rowOf = (list, id) => list.querySelector(`[data-turn="${id}"]`);

// Scrolls the list alone: where all of the page scrolls, on a phone, the picture must not go out of sight.
function reveal(list) {
  const key = `${state.session?.name} ${state.shown} ${list.clientHeight}`;
  const wanted = rowOf(list, state.shown);
  if (!wanted || !list.clientHeight || key === revealed) return;
  revealed = key;
  const [row, box] = [wanted.getBoundingClientRect(), list.getBoundingClientRect()];
  if (row.top < box.top) list.scrollTop -= box.top - row.top;
  else if (row.bottom > box.bottom) list.scrollTop += row.bottom - box.bottom;
}

// Every turn with its level and how its rail runs: the first child goes straight on in the rail of its parent, every
// other one starts a rail of its own beneath its parent, ahead of that first child.
function drawn() {
  const rows = [];
  const stack = [[state.session.turns[0], 1, "root"]];
  while (stack.length) {
    const [turn, level, rail] = stack.pop();
    const [first, ...others] = childrenOf(turn);
    rows.push([turn, level, `${rail}${first ? "" : " tip"}`]);
    if (first) stack.push([first, level, "on"]);
    for (const other of others.reverse()) stack.push([other, level + 1, "off"]);
  }
  return rows;
}

// The rows that are to be seen: all of them, those that are looked for (which stand beside no rails), or all but the
// candidates that nothing was made of.
function listed() {
  if (narrowed()) return drawn().filter(([turn]) => isFound(turn)).map(([turn, level]) => [turn, level, null]);
  return state.found.folded ? drawn().filter(([turn]) => !isLeft(turn)) : drawn();
}

// A candidate that was not taken: the last of its kind, neither shown nor kept, not even a favourite.
function isLeft(turn) {
  const siblings = candidatesOf(turn);
  const used = (one) => one.id === state.shown || one.id === state.session.head || noteOf(one).starred || childrenOf(one).length > 0;
  return siblings.length > 1 && !used(turn) && (siblings.some(used) || siblings[0] !== turn);
}

// A rail passes by in every level that this turn's branch has left: it goes on below. `off` bends from the one beside it.
function rails(level, rail) {
  return h("span", { class: `rails ${rail}${level > 6 ? " deep" : ""}`, "aria-hidden": "true" }, ...Array.from({ length: level }, () => h("i")));
}

function row(turn, level, rail, reachable) {
  const { session, shown } = state;
  const here = turn.id === session.head;
  const names = Object.entries(session.branches).filter(([, tip]) => tip === turn.id).map(([name]) => name);
  const element = h(
    "li", {
      role: "treeitem", "aria-level": level, "aria-selected": String(turn.id === shown), tabindex: reachable ? 0 : -1,
      "data-turn": turn.id, class: turn.id === shown ? "here" : null, "aria-current": here ? "true" : null,
      "aria-label": label(turn, here, names), onclick: () => go(turn.id),
    },
    rail && rails(level, rail),
    h("img", { src: turnPath(session.name, turn, "thumbnail"), alt: "", width: 44, height: 44, loading: "lazy", draggable: "false" }),
    h("span", { class: "text" },
      h("span", { class: "head" }, title(turn), noteOf(turn).starred && h("span", { class: "star" }, "★"), here && h("b", { class: "tag now" }, t("head")), ...names.map((name) => h("b", { class: "tag" }, name)),
        turn.has_references && h("b", { class: "tag", title: t("Made with references") }, t("look")),
        turn.warning && h("b", { class: "tag warn", title: heard(turn.warning) }, t("drift"))),
      noteOf(turn).name && h("strong", { class: "noted" }, noteOf(turn).name),
      h("span", { class: "what" }, ...what(turn))),
  );
  return element;
}

function what(turn) {
  if (turn.kind === "restore") return [turnOf(turn.restore.anchor)?.kind === "original" ? t("part of the original put back") : t("part of an earlier turn put back")];
  if (turn.kind === "import") return [t`put in: ${turn.prompt}`];
  if (!turn.changes) return [turn.prompt || t("(no caption)")];
  const siblings = candidatesOf(turn);
  if (siblings.length > 1 && siblings[0] !== turn) return [t`candidate: ${difference(turn, siblings)}`];
  const words = changedWords(turn.changes.words);
  return words.length ? words : [turn.prompt];
}

function label(turn, here, names) {
  const marks = [noteOf(turn).starred && t("favourite"), here && t("head"), ...names.map((name) => t`branch ${name}`), turn.has_references && t("made with references"), heard(turn.warning)].filter(Boolean);
  const said = turn.spec?.instruction ?? (turn.changes && changesInWords(turn.changes.words));
  return [[title(turn), noteOf(turn).name, said, turn.prompt].filter(Boolean).join(": "), ...marks].join(", ");
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
  if (event.key === "Enter" || event.key === " ") go(turn.id);
  else if (!next) return;
  event.preventDefault();
  event.stopPropagation();
  const target = next?.();
  if (!target) return;
  for (const one of rows) one.tabIndex = one === target ? 0 : -1;
  target.focus();
}
