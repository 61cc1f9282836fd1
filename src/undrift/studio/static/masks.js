// What was painted: three layers of the picture's size, white where the brush went, on nothing.
// What is kept is the strokes, not the pixels: a stroke of a photo is then a few hundred numbers instead of a hundred
// megabytes, it can be taken back, and a reload finds it again.

import { recall, remember, state, update } from "./state.js";

export const LAYERS = {
  only: { title: "Only here", help: "The next turn may change nothing else." },
  protect: { title: "Protect", help: "The next turn leaves this as it is, to the bit." },
  back: { title: "Put back", help: "Shows again what an earlier picture had here." },
};

const KEYS = Object.keys(LAYERS);
const ROWS_READ = 256; // a layer is counted in bands, so that no copy of a whole photo is made

let owner = null;
let layers = {}; // by key, made when it is first painted on
let covered = {}; // by key: what part of the picture, where it has been counted
let strokes = []; // { tool, size, points } | { tool, box } | { clear: tool }
let taken = []; // strokes that were taken back, the last one at the end

// Turns to the open session; what an earlier visit of this tab painted is still there.
export function masks() {
  const { name } = state.session;
  if (owner === name) return layers;
  owner = name;
  strokes = recall(`paint:${name}`) ?? [];
  taken = [];
  redo();
  return layers;
}

// Paints everything anew.
function redo() {
  layers = {};
  covered = {};
  for (const one of strokes) apply(one);
}

function layerOf(key) {
  const { width, height } = state.session;
  return (layers[key] ??= Object.assign(document.createElement("canvas"), { width, height }));
}

const context = (layer) => layer.getContext("2d", { willReadFrequently: true });

const touches = (tool) => (tool === "erase" ? Object.keys(layers) : [tool]);

function apply(one) {
  if (one.clear) {
    delete layers[one.clear];
    delete covered[one.clear];
    return;
  }
  for (const key of touches(one.tool)) draw(context(layerOf(key)), one);
  for (const key of touches(one.tool)) delete covered[key];
}

function draw(pen, { tool, size, points, box }) {
  pen.globalCompositeOperation = tool === "erase" ? "destination-out" : "source-over";
  pen.strokeStyle = pen.fillStyle = "white";
  if (box) return pen.fillRect(...box);
  pen.lineCap = pen.lineJoin = "round";
  pen.lineWidth = size;
  pen.beginPath();
  pen.moveTo(...points[0]);
  for (const point of points.slice(points.length > 1 ? 1 : 0)) pen.lineTo(...point);
  return pen.stroke();
}

// Begins a stroke of `size` pixels at `point`, in pixels of the picture; the eraser goes over every layer.
export function beginStroke(tool, size, point) {
  masks();
  taken = [];
  strokes.push({ tool, size, points: [rounded(point)] });
  apply(strokes.at(-1));
}

export function extendStroke(point) {
  const last = strokes.at(-1);
  last.points.push(rounded(point));
  apply({ ...last, points: last.points.slice(-2) });
}

const rounded = ([x, y]) => [Math.round(x * 10) / 10, Math.round(y * 10) / 10];

export function rectangle(tool, ...box) {
  add({ tool, box });
}

export function clear(key) {
  if (coverage(key) > 0) add({ clear: key });
}

function add(one) {
  masks();
  taken = [];
  strokes.push(one);
  apply(one);
  settle();
}

export const canUndoStroke = () => strokes.length > 0;
export const canRedoStroke = () => taken.length > 0;

export function undoStroke() {
  if (!strokes.length) return;
  taken.push(strokes.pop());
  redo();
  settle();
}

export function redoStroke() {
  if (!taken.length) return;
  strokes.push(taken.pop());
  apply(strokes.at(-1));
  settle();
}

// Part of the picture that a layer covers, 0 to 1.
export function coverage(key) {
  return layers[key] ? (covered[key] ??= counted(layers[key])) : 0;
}

function counted(layer) {
  let sum = 0;
  for (let top = 0; top < layer.height; top += ROWS_READ) {
    const { data } = context(layer).getImageData(0, top, layer.width, Math.min(ROWS_READ, layer.height - top));
    for (let at = 3; at < data.length; at += 4) sum += data[at];
  }
  return sum / 255 / (layer.width * layer.height);
}

// After a stroke: tell who shows the masks, and keep them for a reload.
export function settle() {
  remember(`paint:${owner}`, strokes);
  update({ painted: Object.fromEntries(KEYS.map((key) => [key, coverage(key)])) });
}

// The layer as a PNG in base64, white on black; null if nothing is painted.
export function png(key) {
  if (!coverage(key)) return null;
  const { width, height } = state.session;
  const flat = Object.assign(document.createElement("canvas"), { width, height });
  const pen = flat.getContext("2d");
  pen.fillStyle = "black";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(layers[key], 0, 0);
  return flat.toDataURL("image/png").split(",")[1];
}
