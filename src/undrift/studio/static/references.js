// Pictures whose look the next turn takes on, each with a weight and, if wanted, an area that it pulls in.

import { turnPath } from "./api.js";
import { turnOptions } from "./choosing.js";
import { fill, h } from "./dom.js";
import { nextTurn, write } from "./draft.js";
import { take } from "./drops.js";
import { listed, share } from "./format.js";
import { heard, t } from "./languages.js";
import { areaNames, areaPng, coverage, png } from "./masks.js";
import { chosenMethod, methodOf } from "./method.js";
import { state, title, turnOf, update, watch } from "./state.js";

const USUAL_WEIGHT = 0.7;
const EVERYWHERE = "";
const PAINTED = ":only"; // no name of an area begins so

const able = () => methodOf(chosenMethod().name).takes_references;

// A reference is { upload } or { turn }, and { name, size, weight, where }.
export function addReference(one) {
  change([...nextTurn().references, { weight: USUAL_WEIGHT, where: EVERYWHERE, ...one }].slice(-state.about.limits.references));
  document.getElementById("references").open = true;
}

export const addPicture = (picture, name) => addReference({ upload: picture.id, name, size: [picture.width, picture.height] });

function change(references) {
  write({ references });
  update({ references });
}

// As the server takes them.
export function chosenReferences() {
  return nextTurn().references.map(({ upload, turn, weight, where }) => ({ ...(upload ? { upload } : { turn }), weight, ...maskOf(where) }));
}

function maskOf(where) {
  if (where === EVERYWHERE) return {};
  const mask = where === PAINTED ? png("only") : areaPng(where);
  if (!mask) throw new Error(where === PAINTED ? t("A reference is to pull in 'Only here', but nothing is painted there.") : t`A reference is to pull in the area '${where}', but nothing is painted there.`);
  return { mask };
}

export function referenceFields() {
  const list = h("ul", { class: "plain references" });
  const file = h("input", { type: "file", accept: "image/*", class: "unseen", tabindex: "-1", "aria-label": t("Picture whose look to take on") });
  file.addEventListener("change", () => (take(file.files, addPicture), (file.value = "")));
  const add = h("button", { type: "button", onclick: () => file.click() }, t("Add a picture"));
  const turns = h("select", { "aria-label": t("Add a turn of this session as a reference"), onchange: () => addTurn(turns) });
  const summary = h("summary", { class: "fine" });
  const cannot = h("p", { class: "note" });
  const box = h("details", { class: "expert", id: "references" }, summary,
    h("p", { class: "fine muted" }, t("The next turn takes on their look: colours, materials, style. The words alone say what it shows.")),
    cannot, list, h("div", { class: "row" }, add, turns, file));
  let drawn = "";
  const draw = () => {
    if (!state.session) return;
    const { references } = nextTurn();
    const full = references.length >= state.about.limits.references;
    add.disabled = turns.disabled = full || !able();
    summary.textContent = references.length ? t`Take on the look of (${references.length})` : t("Take on the look of another picture");
    cannot.hidden = able();
    cannot.textContent = t`${heard(methodOf(chosenMethod().name).title)} takes no references; ${takers()} do.`;
    fill(turns, h("option", { value: "" }, t("or a turn")), ...turnOptions(state.session.turns));
    const key = JSON.stringify([state.session.name, references.map(({ weight, ...rest }) => rest), areaNames(), coverage("only") > 0]);
    if (key === drawn) return; // a weight that is being moved keeps its slider
    drawn = key;
    fill(list, ...references.map(row));
    if (references.length) box.open = true;
  };
  watch(["session", "references", "method", "painted"], draw);
  draw();
  return box;
}

const takers = () => listed(state.about.methods.filter((one) => one.takes_references).map((one) => heard(one.title)));

function addTurn(select) {
  const turn = turnOf(select.value);
  select.value = "";
  if (turn) addReference({ turn: turn.id, name: title(turn), size: [turn.width, turn.height] });
}

function row(one, at) {
  const alter = (values) => change(nextTurn().references.map((other, place) => (place === at ? { ...other, ...values } : other)));
  const told = h("output", { class: "fine" }, percent(one.weight));
  const weight = h("input", { type: "range", min: 0.05, max: 1, step: 0.05, value: one.weight, "aria-label": t`Weight of ${one.name}`, "aria-valuetext": percent(one.weight) });
  weight.addEventListener("input", () => {
    told.textContent = percent(weight.value);
    weight.setAttribute("aria-valuetext", told.textContent);
    alter({ weight: Number(weight.value) });
  });
  const where = h("select", { "aria-label": t`Where ${one.name} pulls`, onchange: () => alter({ where: where.value }) },
    ...places(one.where).map(([value, label]) => h("option", { value, selected: value === one.where }, label)));
  return h("li", {},
    h("img", { src: previewOf(one), alt: "", width: 56, height: 56 }),
    h("span", { class: "grow" },
      h("span", { class: "row spread tight" }, h("strong", { class: "fine" }, one.name), h("button", { type: "button", class: "quiet", "aria-label": t`Take ${one.name} away`, onclick: () => change(nextTurn().references.filter((_, place) => place !== at)) }, "×")),
      h("span", { class: "row tight" }, weight, told), where,
      isScaled(one) && h("span", { class: "fine muted block" }, t`Scaled and cropped to ${state.session.width} × ${state.session.height} pixels`)));
}

const percent = (weight) => t`${share(weight, 0)} %`;

function places(chosen) {
  const names = areaNames();
  if (![EVERYWHERE, PAINTED, ...names].includes(chosen)) names.push(chosen);
  return [[EVERYWHERE, t("Everywhere")], [PAINTED, t("Where 'Only here' is painted")], ...names.map((name) => [name, t`In the area '${name}'`])];
}

const isScaled = ({ size: [width, height] }) => width !== state.session.width || height !== state.session.height;

function previewOf({ upload, turn }) {
  return upload ? `/api/uploads/${upload}/preview` : turnPath(state.session.name, turnOf(turn) ?? state.session.turns[0], "thumbnail");
}
