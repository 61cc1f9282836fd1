// What the next turn changes, word by word, and which of the words steer where it looks for its edit.

import { post } from "./api.js";
import { fill, h } from "./dom.js";
import { changes, nextTurn, source, write } from "./draft.js";
import { t } from "./languages.js";
import { attempt } from "./say.js";
import { state, turnOf } from "./state.js";
import { changedWords, chips, marked } from "./words.js";

const WAIT_MS = 120;

// `drawn` is called whenever what it says is new.
export function differenceOf(drawn) {
  const diff = h("p", { class: "diff", id: "diff", "aria-live": "polite" });
  const steer = h("div", { class: "row steer", role: "group", "aria-label": t("Words that steer the attention") });
  let analysis = { words: [], steering: [], unknown: [] };

  const compare = debounced(async () => {
    const asked = { source: source(), target: nextTurn().prompt };
    const found = await post("/api/diff", asked);
    // An answer to a text that has been changed since says nothing any more.
    if (asked.source !== source() || asked.target !== nextTurn().prompt) return;
    analysis = found;
    draw();
  });
  const draw = () => {
    const { words } = nextTurn();
    const chosen = new Set((words ?? analysis.steering).map((word) => word.toLowerCase()));
    fill(diff, changes() ? marked(analysis.words) : h("span", { class: "muted hint" }, t("Say what to change, or change what the picture is to show.")));
    fill(steer, changes() && [h("span", { class: "label" }, t("Steering")), ...chips(analysis.words, chosen, toggle),
      words && h("button", { type: "button", class: "quiet fine", onclick: () => choose(null) }, t("as they differ"))]);
    if (changes() && !chosen.size) steer.append(h("span", { class: "note" }, t("No word steers where this edits.")));
    if (analysis.unknown.length) diff.append(h("span", { class: "note" }, t`LittleWorld does not know: ${analysis.unknown.join(", ")}`));
    drawn();
  };
  const choose = (words) => {
    write({ words });
    draw();
  };
  const toggle = (word) => {
    const now = nextTurn().words ?? analysis.steering;
    const rest = now.filter((one) => one.toLowerCase() !== word.toLowerCase());
    choose(rest.length < now.length ? rest : [...now, word]);
    [...steer.querySelectorAll(".chip")].find((chip) => chip.textContent === word)?.focus();
  };
  return { diff, steer, compare, isEmpty: () => !analysis.words.length };
}

// What a turn on its way changes of the picture that it is made from.
export function changeOf(job) {
  const place = h("p", { class: "diff", hidden: true });
  const from = state.jobs.get(job.after)?.prompt ?? turnOf(job.parent)?.prompt;
  const show = async () => {
    const { words } = await post("/api/diff", { source: from, target: job.prompt });
    fill(place, changedWords(words));
    place.hidden = false;
  };
  if (from && job.prompt && from !== job.prompt) attempt(show);
  return place;
}

function debounced(run) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => attempt(run), WAIT_MS);
  };
}
