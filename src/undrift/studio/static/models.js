// Which model makes the turns, and changing to another one that is on this machine.

import { get, post } from "./api.js";
import { dialog, h, once } from "./dom.js";
import { attempt, toast } from "./say.js";
import { state, update } from "./state.js";
import { tab } from "./tab.js";

export async function showModels() {
  const { models } = await get("/api/models");
  const box = dialog("Models", h("div", { class: "stack" },
    h("p", { class: "muted fine" }, state.about.model.notes),
    h("ul", { class: "plain models" }, ...models.map((model) => row(model, () => box.close())))));
}

function row(model, close) {
  const use = once(async () => {
    const job = await post("/api/model", { name: model.name, tab });
    if (!state.jobs.has(job.id)) update({ jobs: state.jobs.set(job.id, job) });
    close();
    toast(`The studio changes to ${model.name} after the turns that are on their way`);
  });
  const size = model.bytes ? `${(model.bytes / 1e9).toFixed(1)} GB in 16 bits` : "";
  const told = [model.about, size, model.licence && `licence ${model.licence}`, model.why_not].filter(Boolean).join("; ");
  const end = model.used ? h("span", { class: "tag now" }, "in use")
    : h("button", { type: "button", disabled: Boolean(model.why_not), "aria-label": `Use ${model.name}`, onclick: use }, "Use");
  return h("li", { class: "row" }, h("span", { class: "grow" }, h("strong", {}, model.name), h("span", { class: "fine muted block" }, told)), end);
}

// The studio has another model now: its methods and what it knows are others, too.
export const modelChanged = () => attempt(async () => {
  const about = await get("/api/about");
  update({ about, method: about, session: state.session });
  toast(`Turns are made with ${about.model.name} now`);
});
