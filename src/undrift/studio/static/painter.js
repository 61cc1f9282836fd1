// Painting masks on the picture: the tools around the canvas.

import { turnPath } from "./api.js";
import { queue } from "./actions.js";
import { areasRow } from "./areas.js";
import { brush, setBrush, SHAPES } from "./brush.js";
import { turnOptions } from "./choosing.js";
import { field, fill, h, icon, once } from "./dom.js";
import { t } from "./languages.js";
import { add, canUndoStroke, clear, coverage, LAYERS, masks, png, redoStroke, canRedoStroke, undoStroke } from "./masks.js";
import { showMasks } from "./overlay.js";
import { paneOf } from "./pane.js";
import { followPointer } from "./pointer.js";
import { shownTurn, originalTurn, state, title, watch } from "./state.js";

const GROWTH = 64; // a press grows an area by the picture's shorter side divided by this

let redraw = () => {};
let show = () => {};
watch(["painted", "brush"], () => redraw());
watch(["lens"], () => show());

export function painter() {
  masks();
  const picture = h("img", { class: "picture sheet", src: turnPath(state.session.name, shownTurn(), "picture"), alt: t`${title(shownTurn())}, to paint on`, draggable: "false" });
  const canvas = h("canvas", { class: "paint", role: "img", "aria-label": t("What is painted; without a pointer use the rectangle below") });
  const tools = h("div", { class: "tools stack" });
  const pane = paneOf([picture, canvas], { paints: true });
  show = (more) => canvas.isConnected && showMasks(canvas, more);
  redraw = () => {
    if (!canvas.isConnected && tools.childElementCount) return;
    show();
    keepingFocus(tools, () => fill(tools, layerRow(), shapeRow(), actionRow(), h("div", { class: "row spread" }, areasRow(), rectangleRow())));
  };
  picture.addEventListener("load", () => redraw());
  followPointer(canvas, picture, (more) => show(more));
  redraw();
  return [pane, tools];
}

// Tools are drawn anew with every stroke: what has the focus keeps it.
function keepingFocus(box, draw) {
  const held = box.contains(document.activeElement) ? document.activeElement : null;
  const same = held && (held.id ? `#${held.id}` : held.name && `[name="${held.name}"]${held.type === "radio" ? `[value="${held.value}"]` : ""}`);
  const open = box.querySelector("details[open]") !== null;
  draw();
  if (open) for (const one of box.querySelectorAll("details")) one.open = true;
  if (same) box.querySelector(same)?.focus();
}

function choices(legend, name, options, chosen, pick) {
  return h("fieldset", { class: "row" }, h("legend", { class: "unseen" }, legend), ...Object.entries(options).map(([key, { title: label }]) => h(
    "label", { class: `tool ${key}` },
    h("input", { type: "radio", name, value: key, checked: chosen === key, onchange: () => pick(key) }), key in LAYERS && h("i", { "aria-hidden": "true" }), label)));
}

const layerRow = () => h("div", { class: "row" },
  choices(t("What the area is for"), "tool", LAYERS, brush.tool, (tool) => setBrush({ tool })),
  h("p", { class: "muted fine hint" }, LAYERS[brush.tool].help));

function shapeRow() {
  const away = h("input", { type: "checkbox", name: "away", checked: brush.away, onchange: () => setBrush({ away: away.checked }) });
  return h("div", { class: "row" },
    choices(t("With what"), "shape", SHAPES, brush.shape, (shape) => setBrush({ shape })),
    h("label", { class: "row" }, away, t("Take away")),
    brush.shape === "brush" && slider(t("Size"), "size", 0.01, 0.4),
    brush.shape === "thing" && slider(t("Reach"), "spread", 0.1, 0.9),
    brush.shape === "colour" && slider(t("Reach"), "reach", 0.02, 0.4),
    h("p", { class: "muted fine hint" }, SHAPES[brush.shape].help));
}

function slider(label, name, min, max) {
  const range = h("input", { type: "range", name, id: `brush-${name}`, min, max, step: 0.005, value: brush[name], onchange: () => setBrush({ [name]: Number(range.value) }) });
  range.addEventListener("input", () => (brush[name] = Number(range.value)));
  return inline(field(label, range));
}

function inline(box) {
  box.classList.add("inline");
  return box;
}

function actionRow() {
  const painted = Object.keys(LAYERS).filter((key) => coverage(key) > 0);
  const has = painted.includes(brush.tool);
  const amount = Math.max(1, Math.round(Math.min(state.session.width, state.session.height) / GROWTH));
  const change = (values) => () => add({ tool: brush.tool, ...values });
  const button = (id, label, run, usable, ...before) => h("button", { type: "button", class: "quiet", id: `paint-${id}`, disabled: !usable, onclick: run }, ...before, label);
  const anchors = anchorSelect();
  const restore = h("button", { type: "button", id: "put-back", disabled: !painted.includes("back") || !shownTurn().parent, onclick: once(() => putBack(anchors.value)) }, t("Put it back here"));
  return h(
    "div", { class: "row" },
    button("undo", t("Last stroke"), undoStroke, canUndoStroke(), icon("undo")),
    button("redo", t("Again"), redoStroke, canRedoStroke(), icon("redo")),
    button("grow", t("Grow"), change({ grow: amount }), has), button("shrink", t("Shrink"), change({ grow: -amount }), has),
    button("soften", t("Soften"), change({ soften: amount }), has), button("invert", t("Invert"), change({ invert: true }), true),
    button("clear", t("Clear"), () => painted.forEach(clear), painted.length),
    brush.tool === "back" && inline(field(t("Take it from"), anchors)), brush.tool === "back" && restore,
  );
}

function anchorSelect() {
  const others = state.session.turns.filter((turn) => turn.id !== state.shown);
  return h("select", { name: "anchor" }, ...turnOptions(others, originalTurn().id));
}

async function putBack(anchor) {
  await queue("restore", { parent: state.shown, anchor, brush: png("back") });
  clear("back");
}

const CORNERS = { left: t("left"), top: t("top"), width: t("width"), height: t("height") };
const corners = {};

function rectangleRow() {
  const { width, height, name: session } = state.session;
  if (corners.session !== session) Object.assign(corners, { session, left: 0, top: 0, width: Math.round(width / 2), height: Math.round(height / 2) });
  const most = { left: width, top: height, width, height };
  const inputs = Object.keys(most).map((name) => {
    const input = h("input", { type: "number", min: 0, max: most[name], value: corners[name], "aria-label": t`Rectangle: ${CORNERS[name]} in pixels`, name });
    input.addEventListener("input", () => (corners[name] = Number(input.value)));
    return input;
  });
  const paint = () => add({ tool: brush.tool, away: brush.away, box: inputs.map((input) => Number(input.value)) });
  return h(
    "details", { class: "numbers" },
    h("summary", { class: "fine" }, t("Rectangle in numbers")),
    h("div", { class: "row" }, ...inputs.map((input) => h("span", { class: "field" }, h("span", { class: "label", "aria-hidden": "true" }, CORNERS[input.name]), input)),
      h("button", { type: "button", id: "paint-rectangle", onclick: paint }, t("Paint the rectangle"))));
}
