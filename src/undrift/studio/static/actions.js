// What a person can do, each as one call of the server and what the page shows next.

import { get, post, sessionPath } from "./api.js";
import { isOpen } from "./events.js";
import { announce, attempt } from "./say.js";
import { state, title, turnOf, update } from "./state.js";
import { tab } from "./tab.js";

const address = (...parts) => `#/${parts.map(encodeURIComponent).join("/")}`;

export const sessionAddress = (name, turn) => (turn ? address("s", name, turn) : address("s", name));

// Opens the session at `turn`, or where its head is.
export async function open(name, turn) {
  const session = await get(sessionPath(name));
  const known = session.turns.some((one) => one.id === turn);
  const fresh = state.session?.name !== name;
  update({ session, shown: known ? turn : session.head, ...(fresh ? { mode: "view", against: null } : {}) });
  settle();
}

export async function refresh() {
  if (!state.session) return;
  const session = await get(sessionPath(state.session.name));
  if (session.name !== state.session?.name) return;
  update({ session, shown: session.turns.some((turn) => turn.id === state.shown) ? state.shown : session.head });
}

// Shows a turn, without moving the session's head.
export function look(id) {
  const shown = turnOf(id);
  if (!shown) return;
  update({ shown: id, mode: keepsMode(shown) ? state.mode : "view" });
  settle();
}

let before = Promise.resolve();

// Steps come one after another, however fast the keys: each starts from what the one before it has shown.
const inTurn = (action) => (before = before.then(() => attempt(action)));

// Where the page is one long column, what happens to the picture is not to happen out of sight.
export function bringPictureIntoSight() {
  const picture = document.querySelector(".centre");
  const { top } = picture?.getBoundingClientRect() ?? { top: 0 };
  if (top < -40 || top > innerHeight / 2) picture.scrollIntoView({ block: "start" });
}

// Goes to a turn: the head moves there, and the next turn is made from it.
export function go(id) {
  look(id);
  return inTurn(() => step("here", id));
}

export async function step(kind, id = state.shown) {
  const from = state.shown;
  const { head } = await post(`${sessionPath(state.session.name)}/head`, { turn: id, step: kind });
  await refresh();
  // Whoever has gone on to look at another turn meanwhile is not taken back; one that is gone to is looked at already.
  if (kind !== "here" && state.shown === from) look(head);
  const turn = turnOf(head);
  if (turn) announce(`${title(turn)}: ${turn.prompt}`);
}

export const undo = () => inTurn(() => step("undo"));
export const redo = () => inTurn(() => step("redo"));
export const keep = (id) => inTurn(() => step("keep", id));

// The job is known at once: what is asked for next comes after it.
export async function queue(what, body) {
  const job = await post(`${sessionPath(state.session.name)}/${what}`, { ...body, tab });
  if (!state.jobs.has(job.id)) update({ jobs: state.jobs.set(job.id, job) });
  return job;
}

export const cancel = (job) => attempt(() => post(`/api/jobs/${job.id}/cancel`));

// The last turn on the way from the shown one that this page has asked for and that is not there yet; null for none.
export function comingTurn() {
  const own = [...state.jobs.values()].filter((job) => job.tab === tab && job.session === state.session?.name && job.kind !== "start");
  return own.findLast((job) => coming(job) && madeFrom(job) === state.shown) ?? null;
}

const coming = (job) => isOpen(job) || job.arriving;

// The turn that a job's chain begins with: one that it follows may be there by now.
function madeFrom(job) {
  const before = job.after && state.jobs.get(job.after);
  if (!before) return job.parent;
  // Its turn may be shown before all that comes with it is.
  return coming(before) && !before.turns.includes(state.shown) ? madeFrom(before) : before.turns[0];
}

export const ownJob = () =>
  [...state.jobs.values()].find((job) => isOpen(job) && job.tab === tab && job.session === state.session?.name) ?? null;

// A mode that the turn cannot have gives way to the plain view.
function keepsMode(turn) {
  return state.mode !== "mask" || turn.has_mask || turn.has_region;
}

// The address says what is shown, so that a reload and a bookmark find it again.
function settle() {
  const wanted = sessionAddress(state.session.name, state.shown);
  if (location.hash !== wanted) history.replaceState(null, "", wanted);
}
