// Which model makes the turns, and changing to another one that is on this machine.

import { get, post } from "./api.js";
import { dialog, h, once } from "./dom.js";
import { isOpen } from "./events.js";
import { gigabytes, size as amount } from "./format.js";
import { heard, t } from "./languages.js";
import { attempt, toast } from "./say.js";
import { state, update } from "./state.js";
import { tab } from "./tab.js";

export async function showModels() {
  const { models } = await get(`/api/models${state.session ? `?session=${encodeURIComponent(state.session.name)}` : ""}`);
  const { width, height } = state.session ?? { width: 1024, height: 1024 };
  const box = dialog(t("Models"), h("div", { class: "stack" },
    state.about.model.notes && h("p", { class: "muted fine" }, heard(state.about.model.notes)),
    h("p", { class: "muted fine" }, t`Memory is for pictures of ${width} × ${height} pixels.`),
    h("ul", { class: "plain models" }, ...models.map((model) => row(model, () => box.close())))));
}

async function ask(path, model, close, words) {
  const job = await post(path, { name: model.name, tab });
  if (!state.jobs.has(job.id)) update({ jobs: state.jobs.set(job.id, job) });
  close();
  toast(words);
}

function row(model, close) {
  const use = once(() => ask("/api/model", model, close, t`The studio changes to ${model.name} after the turns that are on their way`));
  const fetch = once(() => ask("/api/models/download", model, close, t`${model.name} is downloaded beside the turns; the queue shows how far it is`));
  const size = model.bytes ? t`${gigabytes(model.bytes)} in 16 bits` : "";
  const memory = model.memory ? t`about ${amount(model.memory)} of memory` : "";
  const told = [heard(model.about), size, memory, model.licence && t`licence ${model.licence}`, heard(model.why_not)].filter(Boolean).join("; ");
  const coming = [...state.jobs.values()].some((job) => isOpen(job) && job.title === `download ${model.name}`);
  const end = model.used ? h("span", { class: "tag now" }, t("in use"))
    : coming ? h("span", { class: "tag" }, t("on its way"))
    : model.download ? h("button", { type: "button", "aria-label": t`Download ${model.name}`, onclick: fetch }, t("Download"))
    : h("button", { type: "button", disabled: Boolean(model.why_not), "aria-label": t`Use ${model.name}`, onclick: use }, t("Use"));
  return h("li", { class: "row" }, h("span", { class: "grow" }, h("strong", {}, model.name), h("span", { class: "fine muted block" }, told)), end);
}

// The studio has another model now: its methods and what it knows are others, too.
export const modelChanged = () => attempt(async () => {
  const about = await get("/api/about");
  update({ about, method: about, session: state.session });
  toast(t`Turns are made with ${about.model.name} now`);
});
