// The list of sessions: finding one, another name for it, taking it away, and bringing it back.

import { get, post, sessionPath, turnPath } from "./api.js";
import { sessionAddress } from "./actions.js";
import { dialog, field, fill, h, icon, once } from "./dom.js";
import { ago, isOne, moment } from "./format.js";
import { heard, t } from "./languages.js";
import { attempt, toast } from "./say.js";
import { state } from "./state.js";

const MANY = 8; // sessions from which on there is something to be searched

export async function sessionList() {
  const box = h("div", { class: "stack" });
  const draw = async () => {
    const found = (await attempt(() => get("/api/sessions"))) ?? { sessions: [], removed: [] };
    fill(box, listed(found.sessions, draw), found.removed.length > 0 && removedList(found.removed, draw));
  };
  await draw();
  return box;
}

function listed(sessions, redraw) {
  if (!sessions.length) return h("p", { class: "muted" }, t("None yet."));
  const list = h("ul", { class: "cards" }, ...sessions.map((session) => card(session, redraw)));
  const text = h("input", { type: "search", placeholder: t("Find a session"), "aria-label": t("Find a session"), autocomplete: "off" });
  text.addEventListener("input", () => {
    const words = text.value.toLowerCase().split(/\s+/);
    for (const one of list.children) one.hidden = !words.every((word) => one.textContent.toLowerCase().includes(word));
  });
  return h("div", { class: "stack" }, sessions.length >= MANY && text, list);
}

function card(session, redraw) {
  const { name } = session;
  if (session.error) return h("li", { "data-session": name }, h("p", { class: "problem fine" }, `${name}: ${heard(session.error)}`));
  const turns = isOne(session.turns) ? t`${session.turns} turn` : t`${session.turns} turns`;
  const turn = { id: session.head, image_hash: session.hash };
  return h(
    "li", { "data-session": name },
    h("a", { class: "card", href: sessionAddress(name) },
      h("img", { src: turnPath(name, turn, "thumbnail"), alt: "", loading: "lazy" }),
      h("span", { class: "text" }, h("strong", {}, name),
        h("span", { class: "muted fine" }, session.prompt),
        h("span", { class: "muted fine", title: moment(session.changed) }, turns, " · ", ago(session.changed)))),
    h("span", { class: "row tight" },
      h("button", { type: "button", class: "quiet", "aria-label": t`Rename ${name}`, title: t("Rename"), onclick: () => rename(name, redraw) }, icon("pen")),
      h("button", { type: "button", class: "quiet", "aria-label": t`Remove ${name}`, title: t("Remove"), onclick: once(() => remove(name, redraw)) }, icon("bin"))),
  );
}

function rename(name, redraw) {
  const input = h("input", { value: name, maxlength: 64, autocomplete: "off", spellcheck: "false", required: true });
  const send = async () => {
    await post(`${sessionPath(name)}/rename`, { name: input.value });
    box.close();
    await redraw();
  };
  const form = h("form", { id: "rename-form", onsubmit: (event) => (event.preventDefault(), attempt(send)) }, field(t("Name"), input));
  const box = dialog(t`Rename ${name}`, form, [h("button", { class: "primary", form: "rename-form" }, t("Rename"))]);
  input.select();
}

async function remove(name, redraw) {
  await post(`${sessionPath(name)}/remove`);
  await redraw();
  toast(t`${name} was removed; it can be brought back below the list`);
}

function removedList(names, redraw) {
  const back = (name) => once(async () => {
    await post(`/api/removed/${encodeURIComponent(name)}/bring-back`);
    await redraw();
  });
  return h("details", {}, h("summary", { class: "fine muted" }, t`Removed sessions (${names.length})`),
    h("p", { class: "fine muted" }, t`They are kept in ${state.about.folder}/.undrift-removed.`),
    h("ul", { class: "plain" }, ...names.map((name) => h("li", { class: "row spread" }, name, h("button", { type: "button", "aria-label": t`Bring back ${name}`, onclick: back(name) }, t("Bring back"))))));
}
