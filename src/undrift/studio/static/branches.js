// Branches are there as soon as a turn is made from an earlier one; a name makes them easy to come back to.

import { post, sessionPath } from "./api.js";
import { dialog, field, h } from "./dom.js";
import { t } from "./languages.js";
import { attempt } from "./say.js";
import { named, shownTurn, state } from "./state.js";

export function nameBranch() {
  const name = h("input", { maxlength: 64, autocomplete: "off", spellcheck: "false", required: true });
  const send = async () => {
    await post(`${sessionPath(state.session.name)}/branches`, { name: name.value.trim(), turn: state.shown });
    box.close();
  };
  const form = h(
    "form", { class: "stack", id: "branch-form", onsubmit: (event) => (event.preventDefault(), attempt(send)) },
    h("p", { class: "muted" }, t`The branch ends at ${named(shownTurn())}, and follows the turns made from it.`), field(t("Name"), name));
  const box = dialog(t("Name a branch"), form, [h("button", { class: "primary", form: "branch-form" }, t("Name it"))]);
  name.focus();
}
