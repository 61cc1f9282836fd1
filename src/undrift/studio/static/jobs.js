// Work that waits and runs, of this page and of others.

import { post } from "./api.js";
import { cancel } from "./actions.js";
import { isOpen, titleOf } from "./events.js";
import { fill, h } from "./dom.js";
import { heard, t } from "./languages.js";
import { leftInWords } from "./progress.js";
import { announce, attempt } from "./say.js";
import { state, watch } from "./state.js";
import { tab } from "./tab.js";

let told = "";

export function jobsPanel() {
  const list = h("ul", { class: "jobs" });
  const pause = h("button", { type: "button", class: "quiet", title: t("For all pages: what runs goes on, nothing else is begun"), onclick: () => attempt(() => post("/api/queue", { paused: !state.paused })) });
  const panel = h("section", { class: "card-section", "aria-labelledby": "queue-title" }, h("div", { class: "row spread" }, h("h2", { id: "queue-title" }, t("In the queue")), pause), list);
  const draw = () => {
    const open = [...state.jobs.values()].filter(isOpen).sort((a, b) => a.position - b.position);
    panel.hidden = open.length === 0 && !state.paused;
    pause.textContent = state.paused ? t("Go on") : t("Pause");
    pause.setAttribute("aria-label", state.paused ? t("Go on with the queue") : t("Pause the queue"));
    fill(list, open.map((job) => row(job, calledAmong(job, open))));
    tell(open.find((job) => job.tab === tab));
  };
  watch(["jobs", "paused"], draw);
  draw();
  return panel;
}

// What a job is called among others: those with one title are counted.
function calledAmong(job, others) {
  const alike = others.filter((one) => titleOf(one) === titleOf(job));
  return alike.length > 1 ? t`${titleOf(job)}, ${alike.indexOf(job) + 1} of ${alike.length} with these words` : titleOf(job);
}

function row(job, called) {
  const elsewhere = job.session && job.session !== state.session?.name;
  const whose = job.tab === tab ? "" : elsewhere ? t` · another page, ${job.session}` : t(" · another page");
  return h(
    "li", { "data-job": job.id },
    h("div", { class: "row spread" }, h("span", { class: "title" }, titleOf(job), h("span", { class: "muted" }, whose)),
      job.position > 1 && h("button", { type: "button", class: "quiet", onclick: () => attempt(() => post(`/api/jobs/${job.id}/sooner`)), "aria-label": t`Sooner: ${called}` }, t("Sooner")),
      h("button", { type: "button", class: "quiet", onclick: () => cancel(job), "aria-label": t`Cancel: ${called}` }, t("Cancel"))),
    jobProgress(job),
  );
}

export function jobProgress(job) {
  const waiting = job.state === "queued";
  const words = waiting ? [state.paused && t("the queue is paused"), place(job.position), heard(job.phase)].filter(Boolean).join(" · ") : [job.items > 1 && t`candidate ${job.item + 1} of ${job.items}`, heard(job.phase) || t("preparing"), leftInWords(job)].filter(Boolean).join(" · ");
  return h(
    "div", { class: "progress" },
    h("progress", { max: Math.max(job.total, 1), value: waiting ? 0 : job.evaluations, "aria-label": titleOf(job) }),
    h("span", { class: "fine words" }, words),
  );
}

const place = (position) => (position === 1 ? t("next in line") : t`${position - 1} before it in line`);

// Screen readers hear every quarter, not every step.
function tell(job) {
  if (!job) return;
  const quarter = job.total ? Math.floor((4 * job.evaluations) / job.total) * 25 : 0;
  const text = job.state === "queued" ? t`Waiting, ${place(job.position)}` : t`${titleOf(job)}: ${quarter} percent`;
  if (text !== told) announce((told = text));
}
