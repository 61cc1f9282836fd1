// The next turn: what is said of the picture, what it is to show, what that changes, and how hard to hold on to the rest.

import { post } from "./api.js";
import { bringPictureIntoSight, queue } from "./actions.js";
import { costLine } from "./cost.js";
import { basis, becameOf, followNote } from "./basis.js";
import { field, fill, h, icon, once } from "./dom.js";
import { clear, coverage, LAYERS, masks, png } from "./masks.js";
import { chosenMethod, dialField, drawInto, methodFields } from "./method.js";
import { attempt } from "./say.js";
import { saidOf, sayBox, stepBack, stepsBack, unheard } from "./saying.js";
import { recall, remember, shownTurn, state, title, update, watch } from "./state.js";
import { chips, marked } from "./words.js";

const DIFF_WAIT_MS = 120;

let draft = null;
let madeFrom = null; // id of what the draft was written for
let analysis = { words: [], steering: [], unknown: [] };
const sent = new Map(); // by job: what was sent, so that it can be sent again if no turn comes of it

// What was written for the open session and not started yet.
function follow() {
  const key = `draft:${state.session.name}`;
  const at = basis();
  if (draft?.key !== key) {
    draft = { key, prompt: at.prompt, caption: at.prompt, source: null, words: null, seed: "", count: 1, say: null, ...recall(key) };
    madeFrom = recall(`${key}:at`) ?? at.id;
  }
  if (madeFrom !== at.id) {
    if (becameOf(madeFrom) !== at.id) moveTo(at);
    draft.caption = at.prompt;
    madeFrom = at.id;
  }
  store();
}

// The next turn is made from something else now: a text nobody changed follows it, one that somebody wrote stays.
function moveTo(at) {
  const failed = sent.get(madeFrom);
  if (failed && draft.prompt === failed.prompt && becameOf(madeFrom) === null) Object.assign(draft, failed);
  else {
    if (draft.prompt === draft.caption) draft.prompt = at.prompt;
    Object.assign(draft, { source: null, words: null, say: draft.say && { ...draft.say, heard: null } });
  }
}

function store() {
  remember(draft.key, draft);
  remember(`${draft.key}:at`, madeFrom);
}

const source = () => draft.source ?? basis().prompt;
const changes = () => draft.prompt.trim() !== "" && draft.prompt.trim() !== source().trim();
const ready = () => !unheard(draft) && (changes() || stepsBack(draft) || Boolean(draft.say?.heard?.again));

// The box below the picture, and the form with everything else.
export function composer() {
  follow();
  masks();
  const prompt = h("textarea", { rows: 3, maxlength: 4000, "aria-describedby": "diff" });
  const caption = h("textarea", { rows: 2, maxlength: 4000 });
  const captionBox = h("details", { class: "source" }, h("summary", { class: "fine" }, "What it shows now"), field("Caption of the shown picture", caption));
  const diff = h("p", { class: "diff", id: "diff", "aria-live": "polite" });
  const steer = h("div", { class: "row steer", role: "group", "aria-label": "Words that steer the attention" });
  const note = h("p", { class: "note", hidden: true });
  const areas = h("div", { class: "row" });
  const follows = h("div");
  const start = h("button", { class: "primary" }, "Make the turn");
  const send = h("button", { class: "primary send", form: "next-turn", "aria-label": "Send", title: "Send (Enter)" }, icon("send"));
  const startable = () => (start.disabled = send.disabled = !ready());
  const again = h("button", { type: "button", onclick: once(redoTurn) });
  const seed = h("input", { inputmode: "numeric", placeholder: "drawn", value: draft.seed, autocomplete: "off" });
  const count = h("input", { type: "number", min: 1, max: state.about.limits.candidates, value: draft.count });
  const dial = h("div");
  const method = h("div", { class: "stack" });

  const said = sayBox({ draft: () => draft, source: () => draft.source ?? basis().job?.prompt ?? null, take: (heard) => take(heard), submit: () => start.disabled || form.requestSubmit() });
  // What was understood fills the caption in, where it can be corrected.
  const take = (heard) => {
    const { prompt: before } = basis();
    const aim = heard?.target ?? before;
    const implied = heard?.source && heard.source !== before && draft.source === null ? { source: heard.source } : {};
    Object.assign(draft, { prompt: aim, words: heard?.words ?? null, ...implied });
    store();
    if (prompt.value !== draft.prompt) prompt.value = draft.prompt;
    if (document.activeElement !== caption) caption.value = source();
    analyse();
  };

  const compare = debounced(async () => {
    const asked = { source: source(), target: draft.prompt };
    const found = await post("/api/diff", asked);
    // An answer to a text that has been changed since says nothing any more.
    if (asked.source !== source() || asked.target !== draft.prompt) return;
    analysis = found;
    drawWords();
  });
  const analyse = () => {
    startable();
    start.textContent = stepsBack(draft) ? "Go back" : "Make the turn";
    compare();
  };
  const drawWords = () => {
    const chosen = new Set((draft.words ?? analysis.steering).map((word) => word.toLowerCase()));
    fill(diff, changes() ? marked(analysis.words) : h("span", { class: "muted" }, "Say what to change, or change what the picture is to show."));
    fill(steer, changes() && [h("span", { class: "label" }, "Steering"), ...chips(analysis.words, chosen, toggle),
      draft.words && h("button", { type: "button", class: "quiet fine", onclick: () => setWords(null) }, "as they differ")]);
    if (changes() && !chosen.size) steer.append(h("span", { class: "note" }, "No word steers where this edits."));
    if (analysis.unknown.length) diff.append(h("span", { class: "note" }, `LittleWorld does not know: ${analysis.unknown.join(", ")}`));
    startable();
  };
  const setWords = (words) => {
    draft.words = words;
    store();
    drawWords();
  };
  const toggle = (word) => {
    const now = draft.words ?? analysis.steering;
    const rest = now.filter((one) => one.toLowerCase() !== word.toLowerCase());
    setWords(rest.length < now.length ? rest : [...now, word]);
    [...steer.querySelectorAll(".chip")].find((chip) => chip.textContent === word)?.focus();
  };

  const draw = () => {
    if (!state.session) return;
    const before = `${madeFrom} ${draft.prompt}`;
    follow();
    if (prompt.value !== draft.prompt) prompt.value = draft.prompt;
    if (document.activeElement !== seed) seed.value = draft.seed;
    if (document.activeElement !== count) count.value = draft.count;
    otherModel(note);
    if (document.activeElement !== caption) caption.value = source();
    const shown = shownTurn();
    again.hidden = shown.kind !== "edit";
    again.textContent = `Try ${title(shown).replace("Turn", "turn")} again`;
    said.draw();
    if (draft.say?.text && !draft.say.heard) said.later();
    fill(follows, followNote(draw));
    if (before !== `${madeFrom} ${draft.prompt}` || !analysis.words.length) analyse();
  };
  const drawAreas = () => state.session && fill(areas, ["only", "protect"].filter((key) => coverage(key) > 0).map((key) => area(key)));

  prompt.addEventListener("input", () => {
    Object.assign(draft, { prompt: prompt.value, words: null });
    store();
    analyse();
  });
  caption.addEventListener("input", () => {
    draft.source = caption.value === basis().prompt ? null : caption.value;
    store();
    analyse();
  });
  seed.addEventListener("input", () => ((draft.seed = seed.value.trim()), store()));
  count.addEventListener("change", () => ((draft.count = Number(count.value)), store(), update({ count: draft.count })));
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!start.disabled) form.requestSubmit();
  });
  const drawMethod = () => {
    drawInto(dial, () => [dialField()]);
    drawInto(method, methodFields);
  };
  watch(["session", "shown"], draw);
  // Jobs tell of every step; what the next turn is made from changes rarely.
  watch(["jobs"], () => state.session && basis().id !== madeFrom && draw());
  watch(["painted", "session"], drawAreas);
  watch(["method"], drawMethod);
  let methodOfSession = state.session.name;
  watch(["session"], () => {
    if (!state.session || methodOfSession === state.session.name) return;
    methodOfSession = state.session.name;
    drawMethod();
  });

  const form = h(
    "form", { class: "stack", id: "next-turn", onsubmit: once(makeTurn) },
    h("h2", {}, "Next turn"), note, follows, field("What the picture is to show", prompt), steer, captionBox, areas, dial,
    h("div", { class: "pair" }, field("Candidates", count), field("Seed", seed)),
    h("div", { class: "row" }, start, again), costLine(() => draft.count),
    h("details", { class: "expert" }, h("summary", { class: "fine" }, "Method and parameters"), method),
    vocabulary(),
  );
  draw();
  drawAreas();
  drawMethod();
  analyse();
  const box = h("section", { class: "conversation", "aria-label": "Conversation" }, said.element, send, diff);
  return { box, form };
}

// A session goes on with another model from its pictures, because latents mean nothing to it.
function otherModel(note) {
  const { model } = state.session;
  const own = state.about.model.name;
  note.hidden = !model || model === own;
  note.textContent = `This session was made with ${model}, the studio runs ${own}: pictures are encoded again, which costs a little detail.`;
}

function vocabulary() {
  const words = state.about.vocabulary;
  return words && h("details", { class: "expert" }, h("summary", { class: "fine" }, "Words that LittleWorld knows"), h("p", { class: "fine muted" }, words.join(", ")));
}

function area(key) {
  const percent = Math.max(1, Math.round(100 * coverage(key)));
  return h("span", { class: `area ${key}` }, `${LAYERS[key].title}: ${percent} % of the picture`,
    h("button", { type: "button", class: "quiet", "aria-label": `Clear: ${LAYERS[key].title}`, onclick: () => clear(key) }, "×"));
}

// What both ways of making a turn share.
const settings = () => ({
  method: chosenMethod(),
  count: draft.count,
  ...(draft.seed !== "" && { seed: wholeNumber(draft.seed) }),
  ...(coverage("only") && { only: png("only") }),
  ...(coverage("protect") && { protect: png("protect") }),
});

function wholeNumber(text) {
  if (!/^\d{1,10}$/.test(text)) throw new Error(`Seed '${text}': expected a whole number, or nothing to have one drawn.`);
  return Number(text);
}

async function makeTurn() {
  const { again, dial } = draft.say?.heard ?? {};
  const { job: before } = basis();
  if (stepsBack(draft)) return stepBack(draft).then(spent);
  if (again) await queue("edit", { ...settings(), ...again, method: { ...chosenMethod(), dial }, region_of: state.shown, ...saidOf(draft) });
  else {
    const { key, seed, count, ...asked } = structuredClone(draft);
    const job = await queue("edit", { parent: state.shown, ...(before && { after: before.id }), prompt: draft.prompt.trim(), source_prompt: draft.source, words: draft.words, ...saidOf(draft), ...settings() });
    sent.set(job.id, asked);
  }
  spent();
  return bringPictureIntoSight();
}

// What was said has been done. Areas hold for one turn too; they go as a stroke does, which can be taken back.
function spent() {
  draft.say = null;
  for (const key of ["only", "protect"]) clear(key);
  store();
  update({ session: state.session });
}

// The shown turn once more, beside it: another method, dial or seed on the same picture and the same words.
async function redoTurn() {
  const { parent, spec, prompt } = shownTurn();
  await queue("edit", { parent, prompt, source_prompt: spec.source_prompt, instruction: spec.instruction, words: spec.words, region_of: state.shown, ...settings() });
  bringPictureIntoSight();
}

// Another page or a dropped picture fills the next turn in.
export function suggest(values) {
  Object.assign(draft, values);
  store();
  update({ session: state.session });
}

function debounced(run) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => attempt(run), DIFF_WAIT_MS);
  };
}
