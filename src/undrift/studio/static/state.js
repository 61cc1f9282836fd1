// What this page shows. Everything that matters is on the server; this can be lost and asked for again.

import { t } from "./languages.js";

export const state = {
  about: null, // model, methods, limits
  session: null, // the open session as the server tells it, null on the start page
  shown: null, // id of the turn that is shown, and that the next turn is made from
  mode: "view", // view, compare, changes, mask, paint or several
  several: null, // which turns are put side by side, see several.js; null for what fits the shown one
  against: null, // id of the turn that compare and changes compare with, null for the one before
  jobs: new Map(), // id -> job, oldest first
  found: { text: "", starred: false, folded: false }, // what the history is narrowed to
  paused: false, // whether the queue begins no more jobs
  connected: true,
};

const watchers = new Map();
let pending = new Set();

// Runs `run` after any of the named values was updated; several updates in one go run it once.
export function watch(names, run) {
  for (const name of names) {
    if (!watchers.has(name)) watchers.set(name, new Set());
    watchers.get(name).add(run);
  }
}

export function update(values) {
  Object.assign(state, values);
  if (pending.size === 0) queueMicrotask(flush);
  for (const name of Object.keys(values)) pending.add(name);
}

function flush() {
  const names = pending;
  pending = new Set();
  const runs = new Set([...names].flatMap((name) => [...(watchers.get(name) ?? [])]));
  for (const run of runs) run();
}

let indexed = {}; // of no session yet, not even of none

// The turns of the open session by what they are asked for by: a long session is looked through once.
function index() {
  const { session } = state;
  if (indexed.session !== session) {
    const turns = session?.turns ?? [];
    indexed = { session, ids: new Map(turns.map((turn) => [turn.id, turn])), numbers: Map.groupBy(turns, (turn) => turn.number), parents: Map.groupBy(turns, (turn) => turn.parent) };
  }
  return indexed;
}

export const turnOf = (id) => index().ids.get(id) ?? null;
export const childrenOf = (turn) => index().parents.get(turn.id) ?? [];
const NOTHING = { name: "", starred: false };
export const noteOf = (turn) => state.session.notes[turn.id] ?? NOTHING;
export const shownTurn = () => turnOf(state.shown);

// What a turn is called: by its number, and a letter where several turns have the same one.
export function title(turn) {
  if (turn.kind === "original") return t("Original");
  return t`Turn ${numbered(turn)}`;
}

// Its number, with that letter.
export function numbered(turn) {
  const twins = index().numbers.get(turn.number);
  const at = twins.findIndex((other) => other.id === turn.id);
  return `${turn.number}${at > 0 ? letters(at) : ""}`;
}

// The same within a sentence.
export const named = (turn) => (turn.kind === "original" ? t("the original") : t`turn ${numbered(turn)}`);

const letters = (at) => (at < 26 ? String.fromCharCode(97 + at) : `-${at + 1}`);

export const originalTurn = () => state.session?.turns[0] ?? null;

// From the original to the turn, both included.
export function pathTo(turn) {
  const path = [];
  for (let at = turn; at; at = turnOf(at.parent)) path.unshift(at);
  return path;
}

// The turns made from the same turn towards the same prompt: candidates of one turn.
export function candidatesOf(turn) {
  if (!turn?.parent) return [];
  return index().parents.get(turn.parent).filter((other) => other.prompt === turn.prompt);
}

// What the shown turn is compared with.
export function anchorTurn() {
  const shown = shownTurn();
  return turnOf(state.against) ?? turnOf(shown?.parent) ?? shown;
}

// Values that this tab keeps over a reload; `always` keeps them in this browser, for every tab.
export function remember(key, value, always = false) {
  try {
    (always ? localStorage : sessionStorage).setItem(key, JSON.stringify(value));
  } catch {
    // A full or forbidden store only means that a reload forgets what was not started yet.
  }
}

export function recall(key, always = false) {
  try {
    return JSON.parse((always ? localStorage : sessionStorage).getItem(key));
  } catch {
    return null;
  }
}
