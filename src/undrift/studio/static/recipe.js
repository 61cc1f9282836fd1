// A picture that undrift made knows how: dropped on the page, it gives its parameters back.

import { post } from "./api.js";
import { queue } from "./actions.js";
import { suggest } from "./draft.js";
import { dialog, h } from "./dom.js";
import { t } from "./languages.js";
import { choose, methodOf } from "./method.js";
import { addPicture } from "./references.js";
import { showRepeat } from "./repeat.js";
import { attempt, toast } from "./say.js";
import { pathTo, shownTurn, state } from "./state.js";
import { tab } from "./tab.js";

// The turns that led to a picture, as a list.
export function recipeSummary(recipe) {
  const turns = (recipe.turns ?? []).map(({ number, prompt, spec }) => h(
    "li", { value: number },
    h("span", {}, prompt),
    spec && h("span", { class: "fine muted" }, [spec.method, spec.preset, t`seed ${spec.seed}`, spec.model].join(", "))));
  return h("section", { class: "recipe" }, h("h3", {}, t("Made by undrift, in these turns")), h("ol", {}, ...turns));
}

const lastEdit = (recipe) => (recipe?.turns ?? []).findLast((turn) => turn.spec);

// For a picture that starts a session: edit it further as it was edited last.
export function settingsButton(recipe) {
  const last = lastEdit(recipe);
  const use = () => attempt(() => (useMethod(last.spec), toast(t("The next turn is made with its method and parameters"))));
  return last && h("button", { type: "button", onclick: use }, t("Use its method and parameters"));
}

// A picture was dropped on an open session.
export function showRecipe(picture, name) {
  const { width, height } = state.session;
  const fits = picture.width === width && picture.height === height;
  const last = lastEdit(picture.recipe);
  const then = (label, run) => h("button", { type: "button", onclick: () => (box.close(), attempt(run)) }, label);
  const buttons = [
    last && then(t("Use its settings"), () => apply(last)),
    fits && then(t("Put it in as a turn"), () => queue("import", { parent: state.shown, upload: picture.id, prompt: picture.prompt })),
    then(t("Take on its look"), () => addPicture(picture, name)),
    pathTo(shownTurn()).some((turn) => turn.spec) && then(t("Do the same to it"), () => showRepeat(picture, name)),
    then(t("Start a session with it"), () => start(picture)),
  ].filter(Boolean);
  const content = [
    h("img", { class: "chosen", src: `/api/uploads/${picture.id}/preview`, alt: t("The picture you brought") }),
    h("p", { class: "muted fine" }, fits ? t`${picture.width} × ${picture.height} pixels` : t`${picture.width} × ${picture.height} pixels; this session's pictures have ${width} × ${height}`),
    picture.recipe ? recipeSummary(picture.recipe) : h("p", { class: "muted" }, t("It carries no record of undrift.")),
  ];
  const box = dialog(name, h("div", { class: "stack" }, ...content), buttons);
}

// The settings of a recorded turn become those of the next one.
function apply({ spec }) {
  useMethod(spec);
  suggest({ prompt: spec.target_prompt, seed: String(spec.seed), words: spec.words });
  toast(t`Settings of '${spec.target_prompt}' are in the next turn`);
}

function useMethod(spec) {
  const method = methodOf(spec.method);
  if (!method) throw new Error(t`This studio has no method '${spec.method}'.`);
  const preset = spec.preset in method.presets ? spec.preset : "default";
  const usual = method.presets[preset].params;
  const params = Object.fromEntries(Object.entries(spec.params).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(usual[key])));
  choose({ name: spec.method, preset, params, dial: 0 });
}

const start = (picture) => post("/api/sessions", { upload: picture.id, prompt: picture.prompt, tab });
