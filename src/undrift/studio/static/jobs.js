// Work that waits and runs, of this page and of others.

import { cancel } from "./actions.js";
import { isOpen } from "./events.js";
import { fill, h } from "./dom.js";
import { leftInWords } from "./progress.js";
import { announce } from "./say.js";
import { state, watch } from "./state.js";
import { tab } from "./tab.js";

let told = "";

export function jobsPanel() {
  const list = h("ul", { class: "jobs" });
  const panel = h("section", { class: "card-section", "aria-labelledby": "queue-title" }, h("h2", { id: "queue-title" }, "In the queue"), list);
  const draw = () => {
    const open = [...state.jobs.values()].filter(isOpen);
    panel.hidden = open.length === 0;
    fill(list, open.map(row));
    tell(open.find((job) => job.tab === tab));
  };
  watch(["jobs"], draw);
  draw();
  return panel;
}

function row(job) {
  const whose = job.tab === tab ? "" : ` · another page${job.session === state.session?.name ? "" : `, ${job.session}`}`;
  return h(
    "li", { "data-job": job.id },
    h("div", { class: "row spread" }, h("span", { class: "title" }, job.title, h("span", { class: "muted" }, whose)),
      h("button", { type: "button", class: "quiet", onclick: () => cancel(job), "aria-label": `Cancel: ${job.title}` }, "Cancel")),
    jobProgress(job),
  );
}

export function jobProgress(job) {
  const waiting = job.state === "queued";
  const words = waiting ? place(job.position) : [job.items > 1 && `candidate ${job.item + 1} of ${job.items}`, job.phase || "preparing", leftInWords(job)].filter(Boolean).join(" · ");
  return h(
    "div", { class: "progress" },
    h("progress", { max: Math.max(job.total, 1), value: waiting ? 0 : job.evaluations, "aria-label": job.title }),
    h("span", { class: "fine words" }, words),
  );
}

const place = (position) => (position === 1 ? "next in line" : `${position - 1} before it in line`);

// Screen readers hear every quarter, not every step.
function tell(job) {
  if (!job) return;
  const quarter = job.total ? Math.floor((4 * job.evaluations) / job.total) * 25 : 0;
  const text = job.state === "queued" ? `Waiting, ${place(job.position)}` : `${job.title}: ${quarter} percent`;
  if (text !== told) announce((told = text));
}
