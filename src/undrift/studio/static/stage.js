// The picture in the middle, and the ways to look at it.

import { get, heatPath, sessionPath, turnPath } from "./api.js";
import { cancel, ownJob } from "./actions.js";
import { number, share } from "./format.js";
import { t } from "./languages.js";
import { severalView } from "./several.js";
import { borderNote } from "./border.js";
import { comparison, turnSelect } from "./compare.js";
import { changeOf } from "./difference.js";
import { fill, h, icon } from "./dom.js";
import { jobProgress } from "./jobs.js";
import { currentMode, MODES, setMode } from "./modes.js";
import { painter } from "./painter.js";
import { lensBar, paneOf, picturePane } from "./pane.js";
import { anchorTurn, numbered, shownTurn, state, update, watch } from "./state.js";
import { showTiles } from "./tiles.js";

export function stage() {
  const tabs = h("div", { class: "modes", role: "tablist", "aria-label": t("How to look at the picture") });
  const view = h("div", { class: "stage", role: "tabpanel", id: "stage", "aria-labelledby": "mode-view", tabindex: "-1" });
  const caption = h("p", { class: "caption" });
  const bar = h("div", { class: "bar", hidden: true });
  const frame = h("div", { class: "frame" }, view);
  let drawn = "";
  const draw = () => {
    if (!state.session) return;
    const mode = currentMode();
    drawTabs(tabs, mode);
    view.setAttribute("aria-labelledby", `mode-${mode}`);
    caption.textContent = shownTurn().prompt || t("(no caption)");
    // What is seen of other turns changes with the session, everything else with the turn alone: a brush is not to be lost.
    const key = JSON.stringify([mode, state.session.name, state.shown, mode === "several" ? [state.several, state.session.head, state.session.notes] : state.against, ["several", "compare", "changes"].includes(mode) && state.session.turns.length]);
    if (key === drawn) return;
    drawn = key;
    view.dataset.mode = mode;
    frame.style.setProperty("--ratio", state.session.width / state.session.height);
    const [picture, ...tools] = VIEWS[mode]();
    fill(view, picture, mode !== "several" && caption, ...tools);
  };
  const drawLive = () => (showLive(view, ownJob()), showBar(bar, ownJob()));
  watch(["session", "shown", "mode", "against", "several"], draw);
  watch(["jobs", "session", "mode", "shown"], drawLive);
  draw();
  drawLive();
  return h("div", { class: "stage-box" }, h("div", { class: "above" }, tabs, lensBar()), borderNote(), frame, bar);
}

const VIEWS = {
  view: () => [picturePane(h("img", { class: "picture sheet", src: turnPath(state.session.name, shownTurn(), "picture"), alt: shownTurn().prompt, draggable: "false" }))],
  compare: comparison,
  changes,
  mask() {
    const turn = shownTurn();
    const nothing = turn.has_mask && turn.drift_previous?.outside === 1;
    const told = nothing ? t("The method highlighted nothing in this turn.") : turn.has_mask ? t("Orange is where the method looked for the edit.") : t("Orange is where this turn was allowed to change.");
    return [
      paneOf([h("img", { class: "picture sheet", src: turnPath(state.session.name, turn, "overlay"), alt: t`Mask of turn ${numbered(turn)}: ${told}`, draggable: "false" })]),
      h("p", { class: "muted fine tools" }, told),
    ];
  },
  paint: painter,
  several: severalView,
};

function changes() {
  const [first, second] = [anchorTurn(), shownTurn()];
  const numbers = h("span", { class: "muted fine", role: "status" }, "…");
  get(`${sessionPath(state.session.name)}/compare/${first.id}/${second.id}`).then((found) => {
    const psnr = found.psnr === null ? t("identical") : t`${number(found.psnr, 1)} dB`;
    numbers.textContent = t`${psnr}, ${share(found.changed)} % of the pixels changed`;
  }, (error) => (numbers.textContent = error.message));
  return [
    paneOf([h("img", { class: "picture sheet", src: heatPath(state.session.name, first, second), alt: t`What changed from turn ${numbered(first)} to turn ${numbered(second)}`, draggable: "false" })]),
    h("div", { class: "row tools" }, turnSelect(t("Changes since"), first, (id) => update({ against: id })), legend(), numbers),
  ];
}

function legend() {
  return h("span", { class: "legend fine muted" }, t("little"), h("i", { class: "scale", "aria-hidden": "true" }), t("much"));
}

function drawTabs(tabs, mode) {
  const focused = tabs.contains(document.activeElement) ? document.activeElement.id : null;
  fill(tabs, MODES.map(({ name, title, can }) => h(
    "button", {
      type: "button", role: "tab", id: `mode-${name}`, "aria-selected": String(name === mode), "aria-controls": "stage",
      tabindex: name === mode ? 0 : -1, disabled: !can(), onclick: () => setMode(name), onkeydown: besides,
    }, title)));
  if (focused) document.getElementById(focused)?.focus();
}

function besides(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const tabs = [...event.target.parentElement.children].filter((tab) => !tab.disabled);
  const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
  next.focus();
  next.click();
}

// While a turn of this page is made, its preview lies over the picture; a brush and a comparison are not covered.
function showLive(view, job) {
  const shown = view.querySelector(".live");
  const previews = job?.tiles.length === 1 && job.tiles[0].previews; // several have tiles of their own
  if (!previews || currentMode() !== "view") return shown?.remove();
  const image = shown ?? h("img", { class: "sheet live", alt: t("Preview of the turn being made"), draggable: "false" });
  image.src = `/api/jobs/${job.id}/preview?n=${previews}`;
  return image.isConnected || view.querySelector(".window")?.append(image);
}

// How far the turn is, and the way to stop it: below the picture and its tools, not over them.
function showBar(bar, job) {
  bar.hidden = !job;
  if (!job) return fill(bar);
  if (bar.dataset.job !== job.id || !bar.firstChild) {
    bar.dataset.job = job.id;
    const stop = h("button", { type: "button", class: "stop", onclick: () => cancel(job) }, icon("stop"), t("Cancel"));
    fill(bar, h("ul", { class: "strip tiles", "aria-label": t("Candidates being made") }), changeOf(job), h("div", { class: "row" }, h("div", { class: "progress-place" }), stop));
  }
  showTiles(bar.querySelector(".tiles"), job);
  return fill(bar.querySelector(".progress-place"), jobProgress(job));
}
