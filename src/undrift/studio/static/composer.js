// The next turn: what is said of the picture, what it is to show, what that changes, and how hard to hold on to the rest.

import { basis, followNote } from "./basis.js";
import { costLine } from "./cost.js";
import { differenceOf } from "./difference.js";
import { field, fill, h, icon, once } from "./dom.js";
import { follow, isFor, nextTurn, ready, source, write, writtenFor } from "./draft.js";
import { number } from "./format.js";
import { t } from "./languages.js";
import { otherModel } from "./maker.js";
import { clear, coverage, LAYERS, masks } from "./masks.js";
import { chosenMethod, dialField, drawInto, methodFields } from "./method.js";
import { referenceFields } from "./references.js";
import { sayBox, stepsBack } from "./saying.js";
import { makeTurn, redoTurn } from "./sending.js";
import { named, shownTurn, state, update, watch } from "./state.js";

// The box below the picture, and the form with everything else.
export function composer() {
  follow();
  masks();
  const prompt = h("textarea", { rows: 3, maxlength: 4000, "aria-describedby": "diff" });
  const caption = h("textarea", { rows: 2, maxlength: 4000 });
  const captionBox = h("details", { class: "source" }, h("summary", { class: "fine" }, t("What it shows now")), field(t("Caption of the shown picture"), caption));
  const note = h("p", { class: "note", hidden: true });
  const follows = h("div");
  const start = h("button", { class: "primary" }, t("Make the turn"));
  const send = h("button", { class: "primary send", form: "next-turn", "aria-label": t("Send"), title: t("Send (Enter)") }, icon("send"));
  const startable = () => (start.disabled = send.disabled = !ready());
  const again = h("button", { type: "button", onclick: once(redoTurn) });
  const { diff, steer, compare, isEmpty } = differenceOf(startable);

  // What was understood fills the caption in, where it can be corrected.
  const take = (heard) => {
    const { prompt: before } = basis();
    const implied = heard?.source && heard.source !== before && nextTurn().source === null ? { source: heard.source } : {};
    write({ prompt: heard?.target ?? before, words: heard?.words ?? null, ...implied });
    showTexts();
    analyse();
  };
  const submit = () => start.disabled || form.requestSubmit();
  const said = sayBox({ draft: nextTurn, source: () => nextTurn().source ?? basis().job?.prompt ?? null, method: () => chosenMethod().name, take, submit });

  const showTexts = () => {
    if (prompt.value !== nextTurn().prompt) prompt.value = nextTurn().prompt;
    if (document.activeElement !== caption) caption.value = source();
  };
  const analyse = () => {
    startable();
    start.textContent = stepsBack(nextTurn()) ? t("Go back") : t("Make the turn");
    compare();
  };
  const draw = () => {
    if (!state.session) return;
    const before = writtenFor();
    follow();
    showTexts();
    otherModel(note);
    const shown = shownTurn();
    again.hidden = shown.kind !== "edit";
    again.textContent = t`Try ${named(shown)} again`;
    said.draw();
    const { say } = nextTurn();
    if (say?.text && !say.heard) said.later();
    fill(follows, followNote(draw));
    if (before !== writtenFor() || isEmpty()) analyse();
  };

  prompt.addEventListener("input", () => (write({ prompt: prompt.value, words: null }), analyse()));
  caption.addEventListener("input", () => (write({ source: caption.value === basis().prompt ? null : caption.value }), analyse()));
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  watch(["session", "shown"], draw);
  watch(["method"], () => said.editorChanged());
  watch(["references"], startable);
  // Jobs tell of every step; what the next turn is made from changes rarely.
  watch(["jobs"], () => state.session && !isFor(basis().id) && draw());

  const form = h(
    "form", { class: "stack", id: "next-turn", onsubmit: once(makeTurn) },
    h("h2", {}, t("Next turn")), note, follows, field(t("What the picture is to show"), prompt), steer, captionBox, areaChips(), ...methodParts(
      numberFields(), h("div", { class: "row" }, start, again), costLine(() => nextTurn().count), referenceFields()),
    vocabulary(),
  );
  draw();
  analyse();
  const box = h("section", { class: "conversation", "aria-label": t("Conversation") }, said.element, send, diff);
  return { box, form };
}

// The dial above `between`, and the method with its parameters below.
function methodParts(...between) {
  const dial = h("div");
  const method = h("div", { class: "stack" });
  const draw = () => {
    drawInto(dial, () => [dialField()]);
    drawInto(method, methodFields);
  };
  let owner = state.session.name;
  watch(["method"], draw);
  watch(["session"], () => {
    if (!state.session || owner === state.session.name) return;
    owner = state.session.name;
    draw();
  });
  draw();
  return [dial, ...between, h("details", { class: "expert" }, h("summary", { class: "fine" }, t("Method and parameters")), method)];
}

// How many variants, and what their noise is drawn from.
function numberFields() {
  const seed = h("input", { inputmode: "numeric", placeholder: t("drawn"), autocomplete: "off" });
  const count = h("input", { type: "number", min: 1, max: state.about.limits.candidates });
  const together = h("input", { type: "checkbox" });
  const asOne = h("label", { class: "fine inline" }, together, t("Make them together: all are done sooner"));
  const draw = () => {
    if (!state.session) return;
    if (document.activeElement !== seed) seed.value = nextTurn().seed;
    if (document.activeElement !== count) count.value = nextTurn().count;
    together.checked = nextTurn().together;
    together.disabled = nextTurn().count < 2; // not hidden: what moves under the pointer is not clicked
  };
  seed.addEventListener("input", () => write({ seed: seed.value.trim() }));
  count.addEventListener("change", () => (write({ count: Number(count.value) }), update({ count: nextTurn().count }), draw()));
  together.addEventListener("change", () => write({ together: together.checked }));
  watch(["session", "shown"], draw);
  draw();
  return [h("div", { class: "pair" }, field(t("Candidates"), count), field(t("Seed"), seed)), asOne];
}

function vocabulary() {
  const words = state.about.vocabulary;
  return words && h("details", { class: "expert" }, h("summary", { class: "fine" }, t("Words that LittleWorld knows")), h("p", { class: "fine muted" }, words.join(", ")));
}

// What is painted for the next turn.
function areaChips() {
  const areas = h("div", { class: "row" });
  const draw = () => state.session && fill(areas, ["only", "protect"].filter((key) => coverage(key) > 0).map(area));
  watch(["painted", "session"], draw);
  draw();
  return areas;
}

function area(key) {
  const percent = Math.max(1, Math.round(100 * coverage(key)));
  return h("span", { class: `area ${key}` }, t`${LAYERS[key].title}: ${number(percent)} % of the picture`,
    h("button", { type: "button", class: "quiet", "aria-label": t`Clear: ${LAYERS[key].title}`, onclick: () => clear(key) }, "×"));
}
