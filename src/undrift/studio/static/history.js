// The history's panel: the tree, what finds a turn in a long one, and what is noted of the shown turn.

import { post, sessionPath } from "./api.js";
import { nameBranch } from "./branches.js";
import { dialog, field, fill, h, icon } from "./dom.js";
import { t } from "./languages.js";
import { showRepeat } from "./repeat.js";
import { attempt } from "./say.js";
import { candidatesOf, named, noteOf, pathTo, shownTurn, state, title, update, watch } from "./state.js";
import { historyTree } from "./tree.js";

const LONG = 8; // turns from which on there is something to be searched

export function historyPanel() {
  const star = h("button", { type: "button", class: "quiet", "aria-label": t("Favourite"), title: t("Favourite"), onclick: () => note({ starred: !noteOf(shownTurn()).starred }) }, icon("star"));
  const name = h("button", { type: "button", class: "quiet", "aria-label": t("Name this turn"), title: t("Name this turn"), onclick: nameTurn }, icon("pen"));
  const branch = h("button", { type: "button", class: "quiet", "aria-label": t("Name a branch"), title: t("Name a branch"), onclick: nameBranch }, icon("branch"));
  const repeat = h("button", { type: "button", class: "quiet", "aria-label": t("Do the same to other pictures"), title: t("Do the same to other pictures"), onclick: () => showRepeat() }, icon("repeat"));
  const draw = () => {
    if (!state.session) return;
    star.setAttribute("aria-pressed", String(noteOf(shownTurn()).starred));
    repeat.disabled = !pathTo(shownTurn()).some((turn) => turn.spec);
  };
  watch(["session", "shown"], draw);
  draw();
  return h("section", { class: "panel history", "aria-labelledby": "history-title" },
    h("div", { class: "row spread" }, h("h2", { id: "history-title" }, t("History")), h("span", { class: "row tight" }, star, name, branch, repeat)),
    finder(), historyTree());
}

function finder() {
  const text = h("input", { type: "search", placeholder: t("Find a turn"), "aria-label": t("Find a turn"), autocomplete: "off", oninput: () => find({ text: text.value }) });
  const only = (label, key) => h("label", { class: "row tight fine" }, h("input", { type: "checkbox", onchange: (event) => find({ [key]: event.target.checked }) }), label);
  const [starred, folded] = [only(t("Favourites"), "starred"), only(t("Fold candidates"), "folded")];
  const told = h("p", { class: "fine muted", role: "status" });
  const box = h("div", { class: "finder" }, text, h("div", { class: "row" }, starred, folded), told);
  const draw = () => {
    if (!state.session) return;
    const { turns, notes } = state.session;
    starred.hidden = !Object.values(notes).some((one) => one.starred) && !state.found.starred;
    folded.hidden = !turns.some((turn) => candidatesOf(turn).length > 1);
    text.hidden = turns.length < LONG;
    box.hidden = text.hidden && starred.hidden && folded.hidden;
    const count = turns.filter(isFound).length;
    fill(told, narrowed() && (count ? t`${count} of ${turns.length} turns` : t("No turn has these words.")));
  };
  // What is looked for is looked for in one session.
  let name = state.session?.name;
  watch(["session"], () => {
    if (!state.session || name === state.session.name) return;
    name = state.session.name;
    text.value = "";
    for (const input of box.querySelectorAll("[type=checkbox]")) input.checked = false;
    find({ text: "", starred: false, folded: false });
  });
  watch(["session", "shown", "found"], draw);
  draw();
  return box;
}

const find = (values) => update({ found: { ...state.found, ...values } });

export const narrowed = () => Boolean(state.found.text.trim() || state.found.starred);

// Whether a turn is one that is looked for; every word has to be found somewhere in it.
export function isFound(turn) {
  const note = noteOf(turn);
  if (state.found.starred && !note.starred) return false;
  const branches = Object.keys(state.session.branches).filter((name) => state.session.branches[name] === turn.id);
  const all = [title(turn), note.name, turn.prompt, turn.spec?.instruction, ...branches].join(" ").toLowerCase();
  return state.found.text.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}

async function note(values) {
  const turn = shownTurn();
  await attempt(() => post(`${sessionPath(state.session.name)}/notes`, { turn: turn.id, ...noteOf(turn), ...values }));
}

function nameTurn() {
  const name = h("input", { maxlength: 80, autocomplete: "off", value: noteOf(shownTurn()).name });
  const send = async (event) => {
    event.preventDefault();
    await note({ name: name.value });
    box.close();
  };
  const form = h("form", { class: "stack", id: "note-form", onsubmit: send }, h("p", { class: "muted" }, t("Only a name in this list: the turn stays as it is. Nothing takes the name away.")), field(t("Name"), name));
  const box = dialog(t`Name ${named(shownTurn())}`, form, [h("button", { class: "primary", form: "note-form" }, t("Name it"))]);
  name.focus();
}
