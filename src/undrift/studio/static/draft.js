// The next turn as somebody writes it: of the open session, kept by this tab until it is started.

import { basis, becameOf } from "./basis.js";
import { isOpen } from "./events.js";
import { clear } from "./masks.js";
import { stepsBack, toldAsSaid, unheard } from "./saying.js";
import { recall, remember, state, update } from "./state.js";

let draft = null;
let madeFrom = null; // id of what it was written for
const sent = new Map(); // by job: what was sent, so that it can be sent again if no turn comes of it

// `prompt` is what the picture is to show, `caption` what was shown when it was written, `source` another caption for
// that, `words` those that steer, `say` what was said, `references` pictures whose look it takes on.
export const nextTurn = () => draft;

// What the draft is made for, as a key: another one means that the texts may be others.
export const writtenFor = () => `${madeFrom} ${draft.prompt}`;

export const isFor = (id) => madeFrom === id;

// Turns to the open session, and to what its next turn is made from now.
export function follow() {
  const key = `draft:${state.session.name}`;
  const at = basis();
  if (draft?.key !== key) {
    draft = { key, prompt: at.prompt, caption: at.prompt, source: null, words: null, seed: "", count: 1, together: false, say: null, references: [], ...recall(key) };
    madeFrom = recall(`${key}:at`) ?? at.id;
  }
  if (!isFor(at.id)) {
    if (becameOf(madeFrom) !== at.id) moveTo(at);
    draft.caption = at.prompt;
    madeFrom = at.id;
  }
  store();
}

// The next turn is made from something else now: a text nobody changed follows it, one that somebody wrote stays.
function moveTo(at) {
  const failed = !isOpen(state.jobs.get(madeFrom) ?? {}) && sent.get(madeFrom);
  if (failed && draft.prompt === failed.prompt && becameOf(madeFrom) === null) Object.assign(draft, failed);
  else {
    if (draft.prompt === draft.caption) draft.prompt = at.prompt;
    Object.assign(draft, { source: null, words: null, say: draft.say && { ...draft.say, heard: null } });
  }
}

export function store() {
  remember(draft.key, draft);
  remember(`${draft.key}:at`, madeFrom);
}

export function write(values) {
  Object.assign(draft, values);
  store();
}

// Another page or a dropped picture fills the next turn in.
export function suggest(values) {
  write(values);
  update({ session: state.session });
}

export const source = () => draft.source ?? basis().prompt;
export const changes = () => draft.prompt.trim() !== "" && draft.prompt.trim() !== source().trim();
const looksElsewhere = () => draft.references.length > 0 && draft.prompt.trim() !== "";
export const ready = () => !unheard(draft) && (changes() || looksElsewhere() || toldAsSaid(draft) || stepsBack(draft) || Boolean(draft.say?.heard?.again));

// What is written, to be sent.
export function asWritten() {
  const { key, seed, count, together, ...asked } = structuredClone(draft);
  return asked;
}

// `asked` was sent as `job`: if that makes no turn, what was written comes back. A job can be over before its answer is here.
export function wasSent(job, asked) {
  sent.set(job.id, asked);
  const { state: now, turns } = state.jobs.get(job.id);
  if (now !== "failed" || turns.length) return spent();
  write(asked);
  return update({ session: state.session });
}

// What was said has been done. Areas and references hold for one turn too; an area goes as a stroke does, which can be
// taken back.
export function spent() {
  draft.say = null;
  draft.references = [];
  for (const key of ["only", "protect"]) clear(key);
  store();
  update({ session: state.session, references: [] });
}
