// How far the picture has come from the original, turn by turn, and the way back.

import { queue } from "./actions.js";
import { number, share } from "./format.js";
import { heard, t } from "./languages.js";
import { chosenMethod } from "./method.js";
import { fill, h, once, svg } from "./dom.js";
import { named, numbered, pathTo, shownTurn, state, title, watch } from "./state.js";

export function driftPanel() {
  const content = h("div", { class: "stack" });
  const draw = () => {
    if (!state.session) return;
    const open = content.querySelector("details")?.open ?? false;
    fill(content, ...render());
    const numbers = content.querySelector("details");
    if (numbers) numbers.open = open;
  };
  watch(["session", "shown"], draw);
  draw();
  return h("section", { class: "card-section", "aria-labelledby": "drift-title" }, h("h2", { id: "drift-title" }, t("What changed outside")), content);
}

function render() {
  const shown = shownTurn();
  const turns = pathTo(shown).filter((turn) => turn.drift_original);
  if (!turns.length) return [h("p", { class: "muted fine" }, t("Nothing has changed yet. From the first turn on, this shows what changed outside of the edits."))];
  return [
    shown.warning && h("p", { class: "note", role: "status" }, `${title(shown)}: ${heard(shown.warning)}`),
    h("p", { class: "fine" }, inWords(turns.at(-1).drift_original)),
    chart(turns),
    h("details", { class: "expert" }, h("summary", { class: "fine" }, t("Drift in numbers")),
      h("div", { class: "rows", tabindex: "0", role: "region", "aria-label": t("Drift of each turn") }, table(turns))),
    h("button", { type: "button", class: shown.warning ? "primary" : null, onclick: once(rebase) }, t("Make it anew from the original")),
    h("p", { class: "muted fine" }, t("What this turn shows, in one turn from the original picture (a rebase).")),
  ];
}

const rebase = () => queue("rebase", { turn: state.shown, method: chosenMethod() });

// Without a unit that has to be known: the share of pixels that nobody asked to change, and that changed.
function inWords({ outside, psnr, changed }) {
  if (outside === 0) return t("The edits took in everything: there is nothing outside of them.");
  if (psnr === null) return t("Outside of the edits every pixel is that of the original.");
  return outside === 1 ? t`${share(changed)} % of the picture is not as it was in the original.` : t`Outside of the edits ${share(changed)} % of the pixels are not as they were in the original.`;
}

const text = (numbers) => {
  if (!numbers) return "–";
  if (numbers.outside === 0) return t("all edited");
  const psnr = numbers.psnr === null ? t("identical") : t`${number(numbers.psnr, 1)} dB`;
  return numbers.outside === 1 ? t`${psnr}, ${share(numbers.changed)} % of all` : t`${psnr}, ${share(numbers.changed)} %`;
};

function table(turns) {
  return h(
    "table", { class: "drift" },
    h("caption", { class: "unseen" }, t("Change outside of the edits, in decibels and in per cent of the pixels")),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("Turn")), h("th", { scope: "col" }, h("i", { class: "key original" }), t("to the original")), h("th", { scope: "col" }, h("i", { class: "key previous" }), t("to the turn before")))),
    h("tbody", {}, ...turns.map((turn) => h("tr", { class: turn.id === state.shown ? "here" : null }, h("th", { scope: "row" }, numbered(turn)), h("td", {}, text(turn.drift_original)), h("td", {}, text(turn.drift_previous))))),
  );
}

// Neighbours in a row, where nothing is missing between them.
function pieces(points) {
  const found = [[]];
  for (const point of points) point ? found.at(-1).push(point) : found.push([]);
  return found.filter((piece) => piece.length > 1);
}

const MOST_LABELS = 12; // turns named below the chart: more would run into each other
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [320, 92, 34, 16];

// Changed pixels by turn: the solid line against the original, the dashed one against the turn before.
function chart(turns) {
  const most = Math.max(0.05, ...turns.flatMap((turn) => [turn.drift_original.changed, turn.drift_previous?.changed ?? 0]));
  const x = (at) => LEFT + (turns.length === 1 ? 0.5 : at / (turns.length - 1)) * (WIDTH - LEFT - 12);
  const y = (value) => 8 + (1 - value / most) * (HEIGHT - BOTTOM - 8);
  const every = Math.ceil(turns.length / MOST_LABELS);
  const line = (pick, name) => {
    // A turn that edited everything leaves nothing to be measured: there is no point, not one at zero.
    const told = turns.map((turn, at) => pick(turn)?.outside > 0 && [x(at), y(pick(turn).changed)]);
    const points = told.filter(Boolean);
    return svg("g", { class: name }, ...pieces(told).map((piece) => svg("polyline", { points: piece.join(" ") })), ...points.map(([cx, cy]) => svg("circle", { cx, cy, r: every > 1 ? 1.5 : 3 })));
  };
  const last = turns.at(-1);
  const percent = (value) => t`${share(value, 0)} %`;
  const label = (props, words) => svg("text", props, words);
  return svg(
    "svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": t`Pixels changed outside of the edits up to ${named(last)}: ${text(last.drift_original)} against the original` },
    svg("path", { class: "axis", d: `M${LEFT} ${y(most)}H${WIDTH}M${LEFT} ${y(0)}H${WIDTH}` }),
    label({ x: LEFT - 6, y: y(most) + 4, "text-anchor": "end" }, percent(most)),
    label({ x: LEFT - 6, y: y(0) + 4, "text-anchor": "end" }, percent(0)),
    ...turns.map((turn, at) => at % every === 0 && label({ x: x(at), y: HEIGHT - 2, "text-anchor": "middle" }, String(turn.number))).filter(Boolean),
    line((turn) => turn.drift_previous, "previous"),
    line((turn) => turn.drift_original, "original"),
  );
}
