// The page's beginning: which view is shown, and what keeps it up to date.

import { get } from "./api.js";
import { look, open, refresh } from "./actions.js";
import { fill, h } from "./dom.js";
import { follow } from "./events.js";
import { bindKeys } from "./keys.js";
import { announce, attempt, toast } from "./say.js";
import { sessionView } from "./session.js";
import { startView } from "./start.js";
import { state, tab, update } from "./state.js";
import { topBar } from "./top.js";

const main = document.getElementById("main");
document.querySelector(".skip").addEventListener("click", (event) => {
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
  document.title = "undrift studio";
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
    if (job.state === "failed") toast(mine ? job.error : `${job.title}: ${job.error}`, "problem");
    if (!mine) return;
    announce({ done: `Done: ${job.title}`, failed: `Failed: ${job.error}`, cancelled: "Cancelled" }[job.state]);
    if (!job.turns.length) return;
    if (job.kind === "start" && !state.session) location.hash = `#/s/${encodeURIComponent(job.session)}`;
    else if (job.session === state.session?.name) await attempt(() => arrive(job));
  },
  sessionChanged(name) {
    if (name === state.session?.name) attempt(refresh);
  },
  missed: () => attempt(refresh),
};

// The turn that this page asked for is there: show it, and its candidates if there are several.
async function arrive(job) {
  await refresh();
  look(job.turns[0]);
  update({ mode: job.turns.length > 1 ? "candidates" : state.mode === "paint" ? "view" : state.mode });
}

async function begin() {
  update({ about: await get("/api/about") });
  topBar(document.getElementById("top"));
  bindKeys();
  await follow(followers);
  if (location.hash.length < 3 && state.about.first) {
    history.replaceState(null, "", `#/s/${encodeURIComponent(state.about.first)}`);
  }
  window.addEventListener("hashchange", route);
  window.addEventListener("focus", () => attempt(refresh));
  await route();
}

begin().catch((error) => fill(main, h("p", { class: "problem" }, error.message)));
