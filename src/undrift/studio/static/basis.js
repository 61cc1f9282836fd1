// What the next turn is made from: the shown picture, or a turn that is on its way from it.

import { comingTurn } from "./actions.js";
import { h } from "./dom.js";
import { titleOf } from "./events.js";
import { t } from "./languages.js";
import { named, shownTurn, state, turnOf } from "./state.js";

let beside = null; // id of the job that the next turn does not follow

// Its id (a turn's or a job's), its caption, and the job that it waits for, if any.
export function basis() {
  const job = comingTurn();
  if (job && job.id !== beside) return { id: job.id, prompt: job.prompt, job };
  return { id: state.shown, prompt: shownTurn().prompt, job: null };
}

// What a basis of before has become: the turn that the job has made, itself if it is a turn; null if it made none.
export function becameOf(id) {
  const job = state.jobs.get(id);
  return job ? (job.turns[0] ?? null) : turnOf(id) && id;
}

// Says that the next turn follows one on its way, and offers to make it from the shown picture instead.
export function followNote(redraw) {
  const job = comingTurn();
  if (!job) return null;
  const follows = job.id !== beside;
  const other = () => ((beside = follows ? job.id : null), redraw());
  return h("p", { class: "fine muted" },
    follows ? t`Made from the turn on its way: ${titleOf(job)} ` : t`Made from ${named(shownTurn())}, beside the turn on its way. `,
    h("button", { type: "button", class: "quiet fine", onclick: other }, follows ? t`Make it from ${named(shownTurn())} instead` : t("Let it follow")));
}
