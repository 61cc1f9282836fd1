// The turns up to the shown one on other pictures, each as a session of its own: a recipe, and of several pictures a batch.

import { post, sessionPath } from "./api.js";
import { sessionAddress } from "./actions.js";
import { dialog, field, fill, h, once } from "./dom.js";
import { takeAll } from "./drops.js";
import { isOpen, outcomeOf } from "./events.js";
import { jobProgress } from "./jobs.js";
import { t } from "./languages.js";
import { named, pathTo, shownTurn, state, update, watch } from "./state.js";
import { tab } from "./tab.js";
import { changedWords } from "./words.js";

let rows = []; // of the open dialog: a picture, what it shows, and the job that it was given or why it has none
let redraw = () => {};
watch(["jobs"], () => redraw());

// `first` is a picture that was dropped on the session, with the name of its file.
export function showRepeat(...first) {
  const turn = shownTurn();
  rows = [];
  const list = h("ul", { class: "plain repeats" });
  const size = h("div");
  const file = h("input", { type: "file", accept: "image/*", multiple: true, class: "unseen", tabindex: "-1", "aria-label": t("Pictures to do the same to") });
  const add = h("button", { type: "button", onclick: () => file.click() }, t("Add pictures"));
  const start = h("button", { class: "primary", form: "repeat-form" }, t("Start"));
  file.addEventListener("change", () => (takeAll(file.files, bring), (file.value = "")));
  const bring = (picture, name) => {
    rows.push(rowOf(picture, name));
    fill(list, ...rows.map((row) => row.element));
    fill(size, sizeField());
    redraw();
    rows.at(-1).caption.focus();
  };
  redraw = () => {
    for (const row of rows) showState(row);
    start.disabled = !rows.some((row) => !row.job);
  };
  const send = once(async () => {
    for (const row of rows.filter((one) => !one.job)) await begin(row, turn, size.querySelector("select")?.value);
  });
  const form = h(
    "form", { class: "stack", id: "repeat-form", onsubmit: send },
    h("p", { class: "muted" }, t`Every picture becomes a session of its own, with the turns up to ${named(turn)}. What was said is understood of what the picture shows; what was written is changed in its caption.`),
    h("ol", { class: "steps fine" }, ...pathTo(turn).filter((one) => one.spec).map(step)), list, size, h("div", { class: "row" }, add, file));
  dialog(t("Do the same to other pictures"), form, [start]);
  if (first.length) bring(...first);
  else redraw();
  add.focus();
}

function step(turn) {
  const words = turn.changes ? changedWords(turn.changes.words) : [];
  return h("li", {}, turn.spec.instruction ? `“${turn.spec.instruction}”` : words.length ? words : turn.prompt);
}

function rowOf(picture, name) {
  const caption = h("textarea", { rows: 2, maxlength: 4000, value: picture.prompt || state.session.turns[0].prompt });
  const place = h("div");
  const row = { picture, name, caption, place, job: null, error: "" };
  row.element = h("li", {},
    h("img", { src: `/api/uploads/${picture.id}/preview`, alt: "", width: 72, height: 72 }),
    h("div", { class: "grow stack" }, field(t`What ${name} shows`, caption), place));
  return row;
}

// One size for all of those that are large; how large it is to be is chosen, and said.
function sizeField() {
  const sides = new Set(rows.flatMap(({ picture }) => picture.smaller.map((size) => Math.max(...size))));
  const chosen = document.querySelector(".repeats + div select")?.value;
  return sides.size > 0 && field(t("Size to work at"), h("select", {}, ...[...sides].map((side) => h("option", { value: side, selected: String(side) === chosen }, t`at most ${side} pixels a side`)),
    h("option", { value: "", selected: chosen === "" }, t("as they are"))));
}

async function begin(row, turn, longest) {
  const { picture, name, caption } = row;
  const large = longest && picture.smaller.length > 0;
  const body = { turn: turn.id, upload: picture.id, prompt: caption.value.trim(), name: name.replace(/\.[^.]*$/, "").slice(0, 60), called: name.slice(-80), tab, ...(large && { longest: Number(longest) }) };
  try {
    row.error = "";
    row.job = await post(`${sessionPath(state.session.name)}/repeat`, body);
    if (!state.jobs.has(row.job.id)) update({ jobs: state.jobs.set(row.job.id, row.job) });
  } catch (error) {
    row.error = error.message;
  }
  redraw();
}

function showState({ job, error, place, caption }) {
  const known = job && (state.jobs.get(job.id) ?? job);
  caption.disabled = Boolean(job);
  if (error) fill(place, h("p", { class: "problem fine", role: "alert" }, error));
  else if (!known) fill(place);
  else if (isOpen(known)) fill(place, jobProgress(known));
  else if (known.state === "done") fill(place, h("a", { class: "button", href: sessionAddress(known.session), onclick: (event) => event.target.closest("dialog").close() }, t`Open ${known.session}`));
  else fill(place, h("p", { class: "problem fine" }, outcomeOf(known)));
}
