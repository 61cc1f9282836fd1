// Candidates of one turn: made from the same picture towards the same words, with another seed, dial or method.

import { turnPath } from "./api.js";
import { look } from "./actions.js";
import { fill, h } from "./dom.js";
import { signed } from "./format.js";
import { heard, language, t } from "./languages.js";
import { candidatesOf, shownTurn, state, watch } from "./state.js";

// The small row below the picture.
export function strip() {
  const row = h("div", { class: "strip", role: "group", "aria-label": t("Candidates of this turn") });
  const draw = () => {
    const candidates = state.session ? candidatesOf(shownTurn()) : [];
    row.hidden = candidates.length < 2 || state.mode === "several";
    fill(row, candidates.map((turn) => thumb(turn, candidates)));
  };
  watch(["session", "shown", "mode"], draw);
  draw();
  return row;
}

function thumb(turn, all) {
  return h(
    "button", { type: "button", "aria-pressed": String(turn.id === state.shown), onclick: () => look(turn.id), title: difference(turn, all) },
    h("img", { src: turnPath(state.session.name, turn, "thumbnail"), alt: t`Candidate ${all.indexOf(turn) + 1}` }),
    h("span", { class: "fine" }, difference(turn, all)),
  );
}

// In what a candidate differs from the others: its method, its parameters, else its seed.
export function difference(turn, all) {
  const specs = all.map((one) => one.spec);
  const own = turn.spec;
  if (!own) return t("put in by hand");
  const parts = [];
  const differs = (pick) => new Set(specs.map((spec) => JSON.stringify(spec && pick(spec)))).size > 1;
  const alone = specs.filter((spec) => spec?.dial === own.dial).length === 1;
  if (own.dial !== null && alone && differs((spec) => spec.dial) && !differs((spec) => spec.method)) return dialWords(own.dial);
  if (differs((spec) => spec.method)) parts.push(heard(state.about.methods.find((method) => method.name === own.method)?.title) ?? own.method);
  else {
    const names = Object.keys(own.params).filter((name) => differs((spec) => spec.params[name]));
    parts.push(...names.slice(0, 2).map((name) => `${name.replaceAll("_", " ")} ${plain(own.params[name])}`));
  }
  return parts.length ? parts.join(", ") : t`seed ${own.seed}`;
}

function dialWords(dial) {
  if (dial === 0) return t("as the method does it");
  const amount = Math.abs(dial);
  const much = amount === 1 ? t("as much as it can") : amount > 0.5 ? t("much more") : amount === 0.5 ? t("more") : t("a little more");
  const place = signed(dial);
  return dial < 0 ? t`changes ${much} (${place})` : t`keeps ${much} (${place})`;
}

const plain = (value) => (typeof value === "number" ? new Intl.NumberFormat(language, { maximumFractionDigits: 3 }).format(value) : JSON.stringify(value));
