// How far the work is, beyond the page: time left, the tab's title, and a quiet word when it is done.

import { ownJob } from "./actions.js";
import { duration, number } from "./format.js";
import { t } from "./languages.js";
import { recall, remember, state, watch } from "./state.js";

const LEAST_S = 3; // seconds below which nobody needs to be told
const KEY = "tell-when-done";

const seen = new Map(); // by job: when this page first saw it advance, and how far it was then

// Seconds that a running job is going to take still, from how fast it has been; null where that cannot be told.
export function secondsLeft(job, now = performance.now()) {
  if (job.state !== "running" || !job.total) return null;
  const first = seen.get(job.id);
  if (!first) {
    seen.set(job.id, { now, evaluations: job.evaluations });
    return null;
  }
  const done = job.evaluations - first.evaluations;
  return done > 0 ? ((job.total - job.evaluations) * (now - first.now)) / done / 1000 : null;
}

export function leftInWords(job) {
  const seconds = secondsLeft(job);
  return seconds === null || seconds < LEAST_S ? "" : t`about ${duration(seconds)} left`;
}

// The title says how far one is in a tab that nobody sees.
export function followTitle() {
  watch(["jobs", "session"], () => {
    const job = ownJob();
    const name = state.session ? `${state.session.name} · undrift studio` : "undrift studio";
    const far = job?.state === "running" && job.total ? t`${number(Math.floor((100 * job.evaluations) / job.total))} %` : job && t("waiting");
    document.title = far ? `${far} · ${name}` : name;
  });
}

export const tellsWhenDone = () => "Notification" in window && Notification.permission === "granted" && recall(KEY, true) === true;

// Switches it on or off; on only if the browser allows it. Resolves to what holds.
export async function askToTell(on) {
  const allowed = on && (await Notification.requestPermission()) === "granted";
  remember(KEY, allowed, true);
  return allowed;
}

export function tellDone(text) {
  if (document.hidden && tellsWhenDone()) new Notification("undrift studio", { body: text, tag: "undrift", silent: true });
}
