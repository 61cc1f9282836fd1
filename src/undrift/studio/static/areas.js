// Areas that have a name, to be used again in a later turn.

import { brush } from "./brush.js";
import { dialog, field, fill, h } from "./dom.js";
import { t } from "./languages.js";
import { areaNames, bringArea, coverage, forgetArea, keepArea, LAYERS } from "./masks.js";

export function areasRow() {
  const names = areaNames();
  const select = h("select", { name: "area", "aria-label": t("Named areas"), onchange: () => select.value && bringArea(select.value, brush.tool, brush.away) },
    h("option", { value: "" }, names.length ? t("Named areas") : t("No named areas yet")), ...names.map((name) => h("option", { value: name }, name)));
  select.disabled = !names.length;
  return h("div", { class: "row" }, select,
    h("button", { type: "button", class: "quiet", id: "area-keep", disabled: !coverage(brush.tool), onclick: nameIt }, t("Name this area")),
    names.length > 0 && h("button", { type: "button", class: "quiet", id: "area-forget", onclick: () => forget(names) }, t("Forget")));
}

function nameIt() {
  const tool = brush.tool;
  const name = h("input", { maxlength: 40, autocomplete: "off", required: true });
  const send = (event) => {
    event.preventDefault();
    if (name.value.trim()) (keepArea(name.value.trim(), tool), box.close());
  };
  const form = h("form", { class: "stack", id: "area-form", onsubmit: send }, h("p", { class: "muted" }, t`What is painted as '${LAYERS[tool].title}'; a name that exists gets the new area.`), field(t("Name"), name));
  const box = dialog(t("Name this area"), form, [h("button", { class: "primary", form: "area-form" }, t("Keep it"))]);
  name.focus();
}

function forget(names) {
  const list = h("ul", { class: "plain" });
  const draw = (left) => fill(list, ...left.map((name) => h("li", { class: "row spread" }, name,
    h("button", { type: "button", "aria-label": t`Forget ${name}`, onclick: () => (forgetArea(name), draw(left.filter((one) => one !== name))) }, t("Forget")))));
  draw(names);
  dialog(t("Named areas"), list);
}
