// The first page: bring a picture, say what it shows, or go on with a session.

import { post } from "./api.js";
import { sessionList } from "./cards.js";
import { field, fill, h, once } from "./dom.js";
import { acceptPictures, take } from "./drops.js";
import { isOpen } from "./events.js";
import { jobsPanel } from "./jobs.js";
import { number } from "./format.js";
import { t } from "./languages.js";
import { adopt } from "./method.js";
import { recipeSummary, settingsButton } from "./recipe.js";
import { attempt } from "./say.js";
import { state, update, watch } from "./state.js";
import { tab } from "./tab.js";

let jobs = null;

// A session is on its way: another one is not begun until it is there, or is not going to be.
watch(["jobs"], () => {
  const button = document.getElementById("begin");
  if (button) button.disabled = [...state.jobs.values()].some((job) => job.kind === "start" && job.tab === tab && isOpen(job));
});

export async function startView() {
  const form = h("div", { class: "start-form" });
  const begin = (picture, name) => fill(form, pictureForm(picture, name, () => fill(form, dropZone(begin))));
  fill(form, dropZone(begin));
  const sessions = await sessionList();
  const view = h(
    "div", { class: "start" },
    h("section", { class: "panel", "aria-labelledby": "new-title" },
      h("h1", { id: "new-title" }, t("Edit a picture with words")),
      h("p", { class: "muted" }, t("Turn after turn, and what you do not mention stays as it is.")), form, (jobs ??= jobsPanel())),
    h("section", { class: "panel", "aria-labelledby": "old-title" },
      h("h2", { id: "old-title" }, t("Sessions")),
      h("p", { class: "muted fine folder" }, state.about.folder),
      sessions),
  );
  acceptPictures(view, begin);
  return view;
}

function dropZone(begin) {
  const input = h("input", { type: "file", accept: "image/*,.zip", class: "unseen", id: "file", tabindex: "-1", "aria-label": t("Picture file") });
  input.addEventListener("change", () => take(input.files, begin));
  const choose = h("button", { type: "button", class: "primary", onclick: () => input.click() }, t("Choose a picture"));
  const example = h("button", { type: "button", onclick: () => attempt(async () => begin(await post("/api/example"), "example")) }, t("Use the example"));
  const { megapixels, bytes } = state.about.limits;
  return h(
    "div", { class: "drop" },
    h("p", { class: "big" }, t("Drop a picture or a session here, or paste a picture")),
    h("div", { class: "row" }, choose, example, input),
    h("p", { class: "muted fine" }, t`Up to ${megapixels} megapixels and ${bytes / 2 ** 20} MB. It stays on this machine and keeps its size unless you choose a smaller one.`),
    state.about.vocabulary &&
      h("p", { class: "muted fine" }, t`The model ${state.about.model.name} only knows its own drawn world; for photos start the studio with `, h("code", { class: "whole" }, "--model"), "."),
  );
}

function pictureForm(picture, fileName, back) {
  const caption = h("textarea", { rows: 3, value: picture.prompt, required: true, placeholder: "a yellow dog next to a red cactus on a beach" });
  const name = h("input", { value: plainName(fileName), maxlength: 64, autocomplete: "off", spellcheck: "false" });
  const size = picture.smaller.length > 0 && sizeSelect(picture);
  const start = h("button", { class: "primary", id: "begin" }, t("Start"));
  const send = async () => {
    const body = { upload: picture.id, prompt: caption.value.trim(), tab, ...(size && size.value && { longest: Number(size.value) }), ...(name.value.trim() && { name: name.value.trim() }) };
    const job = await post("/api/sessions", body);
    adopt(job.session);
    if (!state.jobs.has(job.id)) update({ jobs: state.jobs.set(job.id, job) });
  };
  const form = h(
    "form", { class: "stack", onsubmit: once(send) },
    h("img", { class: "chosen", src: `/api/uploads/${picture.id}/preview`, alt: t("The picture you brought") }),
    h("p", { class: "muted fine" }, t`${picture.width} × ${picture.height} pixels`),
    size && field(t("Size to work at"), size, h("p", { class: "fine muted" }, t("The work of a turn grows with the square of the pixels: at the full size of a photo it takes many minutes."))),
    picture.foreign && h("p", { class: "note" }, t("This does not look like a picture of the drawn world that the model knows. Edits will not go well: for photos start the studio with --model black-forest-labs/FLUX.1-dev.")),
    picture.recipe && recipeSummary(picture.recipe),
    picture.recipe && settingsButton(picture.recipe),
    field(t("What does the picture show?"), caption),
    field(t("Name of the session"), name),
    h("div", { class: "row" }, start, h("button", { type: "button", onclick: back }, t("Another picture"))),
  );
  queueMicrotask(() => caption.focus());
  return form;
}

// A large picture is scaled down only if this says so, and it says what is chosen.
function sizeSelect({ width, height, smaller }) {
  const full = t`${width} × ${height}, as it is (${number((width * height) / 1e6)} megapixels)`;
  return h("select", {}, ...smaller.map(([w, x], at) => h("option", { value: Math.max(w, x), selected: at === 0 }, `${w} × ${x}`)), h("option", { value: "" }, full));
}

// A name that is free is found by the server if this one is left empty.
function plainName(fileName) {
  const plain = fileName.replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9_-]+$/g, "");
  const taken = new Set(Array.from(document.querySelectorAll("[data-session]"), (card) => card.dataset.session));
  let name = plain.slice(0, 48) || "session";
  for (let count = 2; taken.has(name); count += 1) name = `${plain.slice(0, 48) || "session"}-${count}`;
  return name;
}
