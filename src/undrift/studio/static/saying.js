// The box for plain words: what was said of the shown turn, and what it is understood as.

import { post, sessionPath } from "./api.js";
import { step } from "./actions.js";
import { field, fill, h } from "./dom.js";
import { isOne, signed } from "./format.js";
import { noted, refused, t } from "./languages.js";
import { attempt } from "./say.js";
import { numbered, shownTurn, state } from "./state.js";

const WAIT_MS = 150;
const NOTHING = { text: "", form: null, heard: null };

// `draft` gives the next turn, whose `say` this box fills in; `source` the caption that it is said of, null for that of
// the shown turn; `method` the name of the editor; `take` is called with what was understood.
export function sayBox({ draft, source, method, take, submit }) {
  const box = h("textarea", { rows: 1, maxlength: 4000, placeholder: "make the hat blue", "aria-describedby": "heard" });
  const told = h("p", { class: "fine", id: "heard", "aria-live": "polite" });
  const say = () => (draft().say ??= { ...NOTHING });
  let timer = 0;
  const asking = () => JSON.stringify([state.shown, say().text]);
  let sends = ""; // what is sent as soon as it is understood: that text, of that turn, and none that comes in its place
  let editor = method(); // which one the words were last read for

  const listen = async (askModel = false) => {
    const { text, form } = say();
    const asked = { turn: state.shown, text, form, source_prompt: source(), method: method() };
    if (!text.trim()) return;
    editor = asked.method;
    const heard = await post(`${sessionPath(state.session.name)}/say`, { ...asked, ask_model: askModel });
    // An answer to what has been changed since says nothing any more.
    if (asked.turn !== state.shown || say().text !== text || say().form !== form || method() !== asked.method) return;
    say().heard = heard;
    take(heard);
    draw();
    if (sends === asking()) submit();
    sends = "";
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => attempt(() => listen().catch((error) => ((sends = ""), Promise.reject(error)))), WAIT_MS);
  };
  const change = (values) => {
    sends = "";
    Object.assign(say(), values, { heard: null });
    take(null);
    draw();
    later();
  };
  const button = (label, run) => h("button", { type: "button", class: "quiet fine", onclick: run }, label);
  const other = (form) => button(form === "caption" ? t("It is an instruction") : t("It is a caption"), () => change({ form: form === "caption" ? "instruction" : "caption" }));

  const draw = () => {
    const { text, heard } = say();
    if (box.value !== text) box.value = text;
    const askable = state.about.language_model && heard && !heard.undo && heard.form !== "caption" && !heard.exchange;
    fill(told, text.trim() && heard && [
      h("span", { class: heard.problem ? "note" : "muted" }, heard.problem ? refused(heard.why, heard.problem) : words(heard)), " ",
      heard.note && h("span", { class: "note" }, heard.why && !heard.problem ? refused(heard.why, heard.note) : noted(heard.note)),
      other(heard.form), askable && button(t`Ask ${state.about.language_model}`, () => attempt(() => listen(true)))]);
  };
  box.addEventListener("input", () => change({ text: box.value, form: null }));
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    // Whoever is faster than the answer is not made to press it again.
    sends = say().text.trim() && !say().heard ? asking() : "";
    if (!sends) submit();
  });
  // Another editor may be told what this one is not.
  const editorChanged = () => say().text.trim() && method() !== editor && change({});
  return { element: h("div", { class: "said" }, field(t("Say what to change"), box), told), draw, later, editorChanged };
}

// The kinds of edit that the server tells of.
const KINDS = {
  object: t("another thing"), add: t("something added"), delete: t("something taken away"), colour: t("a colour"), material: t("a material"),
  content: t("a quality"), pose: t("a pose"), background: t("the background"), style: t("a style"), position: t("a place"),
};

function words(heard) {
  if (heard.undo) return isOne(heard.undo) ? t`Goes ${heard.undo} turn back.` : t`Goes ${heard.undo} turns back.`;
  if (heard.again) return t`Makes turn ${numbered(shownTurn())} anew, with the dial at ${signed(heard.dial)}.`;
  if (heard.form === "caption") return t("Read as the whole caption.");
  if (!heard.kinds.length) return t("Told to the editor as you say it; the caption stays as it is.");
  return t`Read as an instruction (${heard.kinds.map((kind) => KINDS[kind] ?? kind).join(", ")}).`;
}

// Whether an editor is told what nobody understood: a turn whose caption stays.
export const toldAsSaid = ({ say }) => say?.heard?.form === "instruction" && say.heard.kinds?.length === 0;

// Whether what was said still waits to be understood, or could not be.
export const unheard = ({ say }) => Boolean(say?.text.trim()) && (!say.heard || Boolean(say.heard.problem));

// Whether what was said goes back in the history, and is no turn.
export const stepsBack = ({ say }) => say?.heard?.undo > 0;

export async function stepBack({ say }) {
  for (let left = say.heard.undo; left > 0; left -= 1) await step("undo");
}

// What a turn records of what was said: the words, and how a language model read them.
export function saidOf({ say }) {
  if (!say?.text.trim() || say.heard?.form !== "instruction") return {};
  return { instruction: say.text.trim(), ...(say.heard.exchange && { exchange: say.heard.exchange }) };
}
