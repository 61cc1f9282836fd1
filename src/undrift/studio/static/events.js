// What the server tells: jobs as they move on, sessions as they change. The browser reconnects by itself and says what
// it saw last; "reset" means that something was missed.

import { get } from "./api.js";
import { heard, t } from "./languages.js";
import { state, update } from "./state.js";

export async function follow(followers) {
  let source = null;
  let last = "";
  const connect = () => {
    source = new EventSource(`/api/events?after=${last}`);
    source.addEventListener("open", () => update({ connected: true }));
    source.addEventListener("error", () => update({ connected: false }));
    for (const [kind, run] of Object.entries(HANDLERS)) {
      source.addEventListener(kind, (event) => {
        last = event.lastEventId;
        run(JSON.parse(event.data), followers);
      });
    }
  };
  // A browser keeps six connections to one address, for all of its tabs: one that nobody sees must hold none.
  document.addEventListener("visibilitychange", () => {
    source.close();
    if (!document.hidden) connect();
  });
  connect();
  await new Promise((resolve) => source.addEventListener("hello", resolve, { once: true }));
  await refreshJobs();
}

const HANDLERS = {
  hello() {},
  async job(job, { jobEnded }) {
    // A short job may be told of for the first time when it has ended.
    const before = state.jobs.get(job.id);
    const ended = !isOpen(job) && (!before || isOpen(before));
    job.arriving = ended && job.turns.length > 0; // until the page shows what it has made
    put([job]);
    if (!ended) return;
    await jobEnded(job);
    job.arriving = false;
    update({ jobs: state.jobs });
  },
  queue: ({ paused }) => update({ paused }),
  about: (nothing, { modelChanged }) => modelChanged(),
  session: ({ name }, { sessionChanged }) => sessionChanged(name),
  async reset(nothing, { jobEnded, missed }) {
    const open = [...state.jobs.values()].filter(isOpen);
    await refreshJobs();
    await missed();
    for (const { id } of open) if (state.jobs.has(id) && !isOpen(state.jobs.get(id))) jobEnded(state.jobs.get(id));
  },
};

export const isOpen = (job) => job.state === "queued" || job.state === "running";

// What a job is called. What somebody wrote is said as it was written, what the server says in the page's language.
export const titleOf = (job) => (job.title === job.prompt ? job.title : heard(job.title));

const STATES = { queued: t("waiting"), running: t("running"), done: t("done"), failed: t("failed"), cancelled: t("cancelled") };

// What has become of a job: why it failed, else its state.
export const outcomeOf = (job) => heard(job.error) || STATES[job.state];

async function refreshJobs() {
  const { jobs, paused } = await get("/api/jobs");
  state.jobs.clear();
  put(jobs);
  update({ paused });
}

function put(jobs) {
  for (const job of jobs) state.jobs.set(job.id, job);
  update({ jobs: state.jobs });
}
