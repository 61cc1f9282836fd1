// What the server tells: jobs as they move on, sessions as they change. The browser reconnects by itself and says what
// it saw last; "reset" means that something was missed.

import { get } from "./api.js";
import { state, update } from "./state.js";

export async function follow({ jobEnded, sessionChanged, missed }) {
  const source = new EventSource("/api/events");
  source.addEventListener("open", () => update({ connected: true }));
  source.addEventListener("error", () => update({ connected: false }));
  source.addEventListener("job", (event) => {
    const job = JSON.parse(event.data);
    const before = state.jobs.get(job.id);
    put([job]);
    if (isOpen(before ?? job) && !isOpen(job)) jobEnded(job);
  });
  source.addEventListener("session", (event) => sessionChanged(JSON.parse(event.data).name));
  source.addEventListener("reset", async () => {
    await refreshJobs();
    missed();
  });
  await new Promise((resolve) => source.addEventListener("hello", resolve, { once: true }));
  await refreshJobs();
}

export const isOpen = (job) => job.state === "queued" || job.state === "running";

async function refreshJobs() {
  const { jobs } = await get("/api/jobs");
  state.jobs.clear();
  put(jobs);
}

function put(jobs) {
  for (const job of jobs) state.jobs.set(job.id, job);
  update({ jobs: state.jobs });
}
