// The page's beginning: which view is shown, and what keeps it up to date.

import { get } from "./api.js";
import { bringPictureIntoSight, look, open, refresh } from "./actions.js";
import { fill, h } from "./dom.js";
import { follow, outcomeOf, titleOf } from "./events.js";
import { heard, t } from "./languages.js";
import { modelChanged } from "./models.js";
import { followTitle, tellDone } from "./progress.js";
import { keepFocus } from "./focus.js";
import { bindKeys } from "./keys.js";
import { announce, attempt, toast } from "./say.js";
import { sessionView } from "./session.js";
import { startView } from "./start.js";
import { recall, remember, shownTurn, state, update } from "./state.js";
import { claimTab, tab } from "./tab.js";
import { topBar } from "./top.js";

const main = document.getElementById("main");
const skip = document.querySelector(".skip");
skip.textContent = t("Skip to the picture");
skip.addEventListener("click", (event) => {
  // The part of the address behind the # says which session is shown, and must stay.
  event.preventDefault();
  main.focus();
});
let shownView = null;
let session = null; // one view for all sessions: it follows the state
let routes = 0;

// Shows what the address says. A view that took so long that the address has changed meanwhile is not shown any more.
async function route() {
  const mine = ++routes;
  const [kind, name, turn] = location.hash.slice(2).split("/").map(decodeURIComponent);
  if (kind === "s" && name) {
    if (state.session?.name === name && shownView === "session") {
      if (turn && turn !== state.shown) look(turn);
      return;
    }
    const opened = await attempt(async () => (await open(name, turn), true));
    if (mine !== routes) return;
    if (opened) return show("session", (session ??= sessionView()));
    history.replaceState(null, "", "#/");
  }
  update({ session: null, shown: null });
  const start = await startView();
  if (mine === routes) show("start", start);
}

function show(kind, view) {
  shownView = kind;
  document.body.dataset.view = kind;
  fill(main, view);
}

const followers = {
  async jobEnded(job) {
    const mine = job.tab === tab;
    if (job.state === "failed") toast(mine ? heard(job.error) : `${titleOf(job)}: ${heard(job.error)}`, "problem");
    if (!mine) return;
    tellDone(job.state === "done" ? t`Done: ${titleOf(job)}` : `${titleOf(job)}: ${outcomeOf(job)}`);
    announce({ done: t`Done: ${titleOf(job)}`, failed: t`Failed: ${heard(job.error)}`, cancelled: t("Cancelled") }[job.state]);
    if (job.kind === "download" && job.state === "done") toast(t`${titleOf(job)}: done. Choose it with the button that names the model.`);
    if (!job.turns.length) return;
    // Who asked for a session goes to it: from the first page, or from the one whose picture it begins with.
    if ((job.kind === "start" && !state.session) || (job.kind === "frame" && state.session)) location.hash = `#/s/${encodeURIComponent(job.session)}`;
    else if (job.session === state.session?.name) await attempt(() => arrive(job));
  },
  modelChanged,
  sessionChanged(name) {
    if (name === state.session?.name) attempt(refresh);
  },
  missed: () => attempt(async () => {
    tellDropped();
    await refresh();
    // What could not be loaded while the studio was away can be now.
    for (const image of document.images) if (image.complete && !image.naturalWidth) image.src = image.src;
  }),
};

// What an earlier studio had in its queue and this one cannot go on with, each told once.
function tellDropped() {
  const told = new Set(recall("dropped"));
  for (const job of state.jobs.values()) if (job.dropped && !told.has(job.id)) toast(`${job.session}, ${titleOf(job)}: ${heard(job.error)}`, "problem");
  remember("dropped", [...state.jobs.values()].filter((job) => job.dropped).map((job) => job.id));
}

// The turn that this page asked for is there: show it, and its candidates if there are several.
async function arrive(job) {
  await refresh();
  look(job.turns[0]);
  if (!document.activeElement?.matches("textarea, input")) bringPictureIntoSight();
  if (shownTurn()?.warning) announce(t`Done: ${titleOf(job)}. ${heard(shownTurn().warning)}`);
  update({ several: job.turns.length > 1 ? "candidates" : state.several, mode: job.turns.length > 1 ? "several" : state.mode === "paint" ? "view" : state.mode });
}

async function begin() {
  const [about] = await Promise.all([get("/api/about"), claimTab()]);
  update({ about });
  topBar(document.getElementById("top"));
  bindKeys();
  followTitle();
  await follow(followers);
  tellDropped();
  keepFocus();
  if (location.hash.length < 3 && state.about.first) {
    history.replaceState(null, "", `#/s/${encodeURIComponent(state.about.first)}`);
  }
  window.addEventListener("hashchange", route);
  window.addEventListener("focus", () => attempt(refresh));
  await route();
}

if (!("old" in document.documentElement.dataset)) begin().catch((error) => fill(main, h("p", { class: "problem" }, error.message)));
