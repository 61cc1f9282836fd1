// Which editor the next turn is made with: the dial for everyone, the parameters behind an expander.

import { fill, field, h } from "./dom.js";
import { isOne, number, signed } from "./format.js";
import { heard, t } from "./languages.js";
import { pathTo, recall, remember, shownTurn, state, update } from "./state.js";

const BEFORE = "method:new"; // what was chosen for a session that is not there yet
let choice = null;
let owner = null;

const place = () => (state.session ? `method:${state.session.name}` : BEFORE);

// The choice for the open session, of this tab: method, preset, what differs from the preset, and the dial.
function chosen() {
  if (owner !== place()) {
    owner = place();
    choice = recall(owner) ?? usual();
  }
  // Another model may not have every method that was chosen for the one before.
  if (!methodOf(choice.name)) choice = usual();
  return choice;
}

// A session that nobody chose for goes on as its shown turn was made, without what held for that one turn: a method that
// draws a region anew did, too.
function usual() {
  const spec = state.session && pathTo(shownTurn()).findLast((turn) => turn.spec && !methodOf(turn.spec.method)?.redraws)?.spec;
  const method = spec && methodOf(spec.method);
  if (!method) return { name: state.about.default_method, preset: "default", params: {}, dial: 0 };
  return { name: spec.method, preset: spec.preset in method.presets ? spec.preset : "default", params: {}, dial: 0 };
}

// What was chosen before there was a session becomes the choice for the one called `name`.
export function adopt(name) {
  const before = recall(BEFORE);
  if (!before) return;
  remember(`method:${name}`, before);
  remember(BEFORE, null);
}

export const methodOf = (name) => state.about.methods.find((method) => method.name === name);

// The choice as the server takes it.
export function chosenMethod() {
  const { name, preset, params, dial } = chosen();
  return { name, preset, params, dial: methodOf(name).has_dial[preset] ? dial : 0 };
}

export function choose(values) {
  choice = { ...chosen(), ...values };
  remember(place(), choice);
  update({ method: choice });
}

export function dialField() {
  const words = [t("changes more"), t("changes a little more"), t("as the method does it"), t("keeps a little more"), t("keeps more")];
  const say = (value) => words[Math.round((value + 1) * 2)];
  const range = h("input", { type: "range", min: -1, max: 1, step: 0.05, value: chosen().dial });
  const told = h("output", { class: "fine muted" });
  const show = () => {
    const value = Number(range.value);
    told.textContent = `${say(value)} (${signed(value, 2)})`;
    range.setAttribute("aria-valuetext", told.textContent);
  };
  range.addEventListener("input", show);
  range.addEventListener("change", () => choose({ dial: Number(range.value) }));
  show();
  const able = methodOf(chosen().name).has_dial[chosen().preset];
  range.disabled = !able;
  if (!able) told.textContent = t("this method has no dial");
  return h("div", { class: "dial" }, field(t("How much may change"), range),
    h("div", { class: "row spread fine muted ends", "aria-hidden": "true" }, h("span", {}, t("changes more")), h("span", {}, t("keeps more"))), told);
}

export function methodFields() {
  const { name, preset } = chosen();
  const method = methodOf(name);
  const methods = h("select", { onchange: () => choose({ name: methods.value, preset: "default", params: {} }) },
    ...state.about.methods.map((one) => h("option", { value: one.name, selected: one.name === name }, heard(one.title))));
  const presets = h("select", { onchange: () => choose({ preset: presets.value, params: {} }) },
    ...Object.entries(method.presets).map(([key, { evaluations }]) => h("option", { value: key, selected: key === preset }, `${key} (${isOne(evaluations) ? t`${evaluations} evaluation` : t`${number(evaluations)} evaluations`})`)));
  return [h("div", { class: "pair" }, field(t("Method"), methods), field(t("Preset"), presets)), h("p", { class: "muted fine paper" }, heard(method.paper)), parameters(method)];
}

function parameters(method) {
  const { preset, params } = chosen();
  const usual = method.presets[preset].params;
  const box = h("div", { class: "parameters" }, ...Object.entries(method.parameters).map(([name, schema]) => parameter(name, schema, name in params ? params[name] : usual[name], usual[name])));
  const changed = Object.keys(params).length;
  return h("div", { class: "stack" }, box,
    changed ? h("button", { type: "button", class: "quiet", onclick: () => choose({ params: {} }) }, t`Back to the preset (${changed} changed)`) : null);
}

function parameter(name, schema, value, usual) {
  const help = h("p", { class: "muted fine", id: `help-${name}` }, heard(schema.description) ?? "");
  const input = inputFor(schema, value);
  input.setAttribute("aria-describedby", help.id);
  input.addEventListener("change", () => {
    const params = { ...chosen().params };
    const given = read(input, schema);
    if (JSON.stringify(given) === JSON.stringify(usual)) delete params[name];
    else params[name] = given;
    choose({ params });
  });
  const box = field(name.replaceAll("_", " "), input, help);
  box.classList.toggle("check", schema.type === "boolean");
  return box;
}

function inputFor(schema, value) {
  if (schema.type === "boolean") return h("input", { type: "checkbox", checked: value });
  if (schema.enum) return h("select", {}, ...schema.enum.map((one) => h("option", { selected: one === value }, one)));
  if (schema.type === "integer" || schema.type === "number") {
    const step = schema.type === "integer" ? 1 : "any";
    return h("input", { type: "number", min: schema.minimum, max: schema.maximum, step, value });
  }
  return h("input", { value: typeof value === "string" ? value : JSON.stringify(value), spellcheck: "false", autocomplete: "off" });
}

// Lists and "null" travel as they are written: the server reads JSON in strings, and says what is wrong with it.
function read(input, schema) {
  if (schema.type === "boolean") return input.checked;
  if (input.type === "number") return Number(input.value);
  try {
    return JSON.parse(input.value);
  } catch {
    return input.value;
  }
}

// Redraws `place` whenever another method, preset or parameter is chosen, and leaves the focus where it was.
export function drawInto(place, draw) {
  const path = place.contains(document.activeElement) ? [...place.querySelectorAll("input, select, button")].indexOf(document.activeElement) : -1;
  fill(place, ...draw());
  if (path >= 0) place.querySelectorAll("input, select, button")[path]?.focus();
}
