// Painting masks on the picture, with a brush or, without a pointer, with rectangles in numbers.

import { turnPath } from "./api.js";
import { queue } from "./actions.js";
import { field, fill, h, icon, once } from "./dom.js";
import { beginStroke, canUndoStroke, clear, coverage, extendStroke, LAYERS, masks, png, rectangle, settle, undoStroke } from "./masks.js";
import { shownTurn, originalTurn, state, title, watch } from "./state.js";

const brush = { tool: "only", size: 0.12 };
let redraw = () => {};
watch(["painted"], () => redraw());

export function painter() {
  masks();
  const picture = h("img", { class: "picture", src: turnPath(state.session.name, shownTurn(), "picture"), alt: `${title(shownTurn())}, to paint on`, draggable: "false" });
  const canvas = h("canvas", { class: "paint", role: "img", "aria-label": "What is painted; without a pointer use the rectangle below" });
  const tools = h("div", { class: "tools stack" });
  redraw = () => {
    if (!canvas.isConnected && tools.childElementCount) return;
    show(canvas);
    fill(tools, toolRow(), h("div", { class: "row spread" }, actionRow(), rectangleRow()));
  };
  picture.addEventListener("load", () => redraw());
  new ResizeObserver(() => show(canvas)).observe(picture);
  follow(canvas);
  redraw();
  return [h("div", { class: "canvas-box" }, picture, canvas), tools];
}

function toolRow() {
  const tools = { ...LAYERS, erase: { title: "Erase" } };
  const choices = Object.entries(tools).map(([key, { title: name }]) => h(
    "label", { class: `tool ${key}` },
    h("input", { type: "radio", name: "tool", value: key, checked: brush.tool === key, onchange: () => choose(key) }), h("i", { "aria-hidden": "true" }), name));
  const size = h("input", { type: "range", min: 0.02, max: 0.4, step: 0.01, value: brush.size, oninput: () => (brush.size = Number(size.value)) });
  const box = inline(field("Size", size));
  return h("div", { class: "row" }, h("fieldset", { class: "row" }, h("legend", { class: "unseen" }, "Brush"), ...choices), box);
}

function inline(box) {
  box.classList.add("inline");
  return box;
}

function choose(tool) {
  brush.tool = tool;
  redraw();
  document.querySelector(`.tool input[value=${tool}]`)?.focus();
}

function actionRow() {
  const { help } = LAYERS[brush.tool] ?? { help: "Takes paint away again." };
  const painted = Object.keys(LAYERS).filter((key) => coverage(key) > 0);
  const anchors = anchorSelect();
  const restore = h("button", { type: "button", disabled: !painted.includes("back") || !shownTurn().parent, onclick: once(() => putBack(anchors.value)) }, "Put it back here");
  return h(
    "div", { class: "row" },
    h("button", { type: "button", class: "quiet", disabled: !canUndoStroke(), onclick: undoStroke }, icon("undo"), "Last stroke"),
    h("button", { type: "button", class: "quiet", disabled: !painted.length, onclick: () => painted.forEach(clear) }, "Clear"),
    brush.tool === "back" && inline(field("Take it from", anchors)), brush.tool === "back" && restore,
    brush.tool !== "back" && h("p", { class: "muted fine hint" }, help),
  );
}

function anchorSelect() {
  const others = state.session.turns.filter((turn) => turn.id !== state.shown);
  return h("select", {}, ...others.map((turn) => h("option", { value: turn.id, selected: turn.id === originalTurn().id }, title(turn))));
}

async function putBack(anchor) {
  await queue("restore", { parent: state.shown, anchor, brush: png("back") });
  clear("back");
}

function rectangleRow() {
  const { width, height } = state.session;
  const numbers = { left: [0, width], top: [0, height], width: [Math.round(width / 2), width], height: [Math.round(height / 2), height] };
  const inputs = Object.entries(numbers).map(([name, [value, max]]) => h("input", { type: "number", min: 0, max, value, "aria-label": `Rectangle: ${name} in pixels`, name }));
  const add = () => rectangle(brush.tool, ...inputs.map((input) => Number(input.value)));
  return h(
    "details", { class: "numbers" },
    h("summary", { class: "fine" }, "Rectangle in numbers"),
    h("div", { class: "row" }, ...inputs.map((input) => h("span", { class: "field" }, h("span", { class: "label", "aria-hidden": "true" }, input.name), input)),
      h("button", { type: "button", onclick: add }, "Paint the rectangle")));
}

function follow(canvas) {
  let drawing = false;
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    const { width, height } = state.session;
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (drawing || event.button > 0) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    drawing = true;
    beginStroke(brush.tool, brush.size * Math.min(state.session.width, state.session.height), point(event));
    show(canvas);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    for (const one of event.getCoalescedEvents?.().concat(event) ?? [event]) extendStroke(point(one));
    show(canvas);
  });
  const end = () => {
    if (!drawing) return;
    drawing = false;
    settle();
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
}

// Layers differ in colour and in the direction of their hatching.
const LOOKS = { only: ["rgb(30 110 255 / .42)", 1], protect: ["rgb(225 40 40 / .42)", -1], back: ["rgb(20 150 80 / .45)", 0] };

function show(canvas) {
  const box = canvas.getBoundingClientRect();
  if (!box.width) return;
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(box.width * scale);
  canvas.height = Math.round(box.height * scale);
  const pen = canvas.getContext("2d");
  for (const [key, [colour, slope]] of Object.entries(LOOKS)) {
    if (!masks()[key]) continue;
    const tinted = new OffscreenCanvas(canvas.width, canvas.height);
    const own = tinted.getContext("2d");
    own.imageSmoothingEnabled = false;
    own.drawImage(masks()[key], 0, 0, canvas.width, canvas.height);
    own.globalCompositeOperation = "source-in";
    own.fillStyle = colour;
    own.fillRect(0, 0, canvas.width, canvas.height);
    own.globalCompositeOperation = "source-atop";
    hatch(own, slope, canvas.width, canvas.height);
    pen.drawImage(tinted, 0, 0);
  }
}

function hatch(pen, slope, width, height) {
  pen.strokeStyle = "rgb(255 255 255 / .55)";
  pen.lineWidth = 2;
  pen.beginPath();
  for (let at = -height; at < width + height; at += 14) {
    pen.moveTo(slope ? at : 0, slope < 0 ? height : slope ? 0 : at);
    pen.lineTo(slope ? at + height : width, slope < 0 ? 0 : slope ? height : at);
  }
  pen.stroke();
}
