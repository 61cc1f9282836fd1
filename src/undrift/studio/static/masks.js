// What was painted: three layers of the picture's size, white where the brush went, on nothing.
// What is kept is the strokes, not the pixels: a stroke of a photo is then a few hundred numbers instead of a hundred
// megabytes, it can be taken back, and a reload finds it again.

import { t } from "./languages.js";
import { recall, remember, state, update } from "./state.js";
import { applyTo, blank, penOf, release } from "./strokes.js";

export const LAYERS = {
  only: { title: t("Only here"), help: t("The next turn may change nothing else.") },
  protect: { title: t("Protect"), help: t("The next turn leaves this as it is, to the bit.") },
  back: { title: t("Put back"), help: t("Shows again what an earlier picture had here.") },
};

const KEYS = Object.keys(LAYERS);
const ROWS_READ = 256; // a layer is counted in bands, so that no copy of a whole photo is made

let owner = null;
let layers = {}; // by key, made when it is first painted on
let covered = {}; // by key: what part of the picture, where it has been counted
let strokes = []; // of every layer, in the order they came, see strokes.js; `tool` is the layer's key
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
  release(...Object.values(layers));
  layers = {};
  covered = {};
  for (const one of strokes) apply(one);
}

function layerOf(key) {
  const { width, height } = state.session;
  return (layers[key] ??= blank(width, height));
}

function forget(key) {
  if (layers[key]) release(layers[key]);
  delete layers[key];
}

function apply(one) {
  delete covered[one.tool];
  if (one.clear) forget(one.tool);
  else applyTo(layerOf(one.tool), one);
}

// Begins a stroke of `size` pixels at `point`, in pixels of the picture; `away` takes paint from the layer.
export function beginStroke(tool, size, point, away) {
  masks();
  taken = [];
  strokes.push({ tool, size, away, points: [rounded(point)] });
  apply(strokes.at(-1));
}

export function extendStroke(point) {
  const last = strokes.at(-1);
  last.points.push(rounded(point));
  apply({ ...last, points: last.points.slice(-2) });
}

export const rounded = ([x, y]) => [Math.round(x * 10) / 10, Math.round(y * 10) / 10];

// A stroke that is whole already.
export function add(stroke) {
  masks();
  taken = [];
  strokes.push(stroke);
  apply(stroke);
  settle();
}

export function clear(key) {
  if (coverage(key) > 0) add({ tool: key, clear: true });
}

export const canUndoStroke = () => strokes.length > 0;
export const canRedoStroke = () => taken.length > 0;

export function undoStroke() {
  if (!strokes.length) return;
  taken.push(strokes.pop());
  redo();
  settle();
}

// A stroke that turned out to be none: it cannot be done again either.
export function dropStroke() {
  undoStroke();
  taken.pop();
}

export function redoStroke() {
  if (!taken.length) return;
  strokes.push(taken.pop());
  apply(strokes.at(-1));
  settle();
}

// Areas with a name, of this session in this browser: the strokes that make them.
const kept = () => recall(`areas:${state.session.name}`, true) ?? {};
export const areaNames = () => Object.keys(kept()).sort();

export function keepArea(name, key) {
  const own = strokes.filter((stroke) => stroke.tool === key);
  remember(`areas:${state.session.name}`, { ...kept(), [name]: own.slice(own.findLastIndex((stroke) => stroke.clear) + 1) }, true);
  update({ painted: state.painted });
}

export function forgetArea(name) {
  const { [name]: gone, ...rest } = kept();
  remember(`areas:${state.session.name}`, rest, true);
  update({ painted: state.painted });
}

// Paints a named area on the layer `key`, beside what is there, or takes it away; as one stroke, which can be taken back.
export const bringArea = (name, key, away) => add({ tool: key, away, area: kept()[name] ?? [] });

// Part of the picture that a layer of the open session covers, 0 to 1.
export function coverage(key) {
  const layer = masks()[key];
  return layer ? (covered[key] ??= counted(layer)) : 0;
}

function counted(layer) {
  let sum = 0;
  for (let top = 0; top < layer.height; top += ROWS_READ) {
    const { data } = penOf(layer).getImageData(0, top, layer.width, Math.min(ROWS_READ, layer.height - top));
    for (let at = 3; at < data.length; at += 4) sum += data[at];
  }
  return sum / 255 / (layer.width * layer.height);
}

// After a stroke: tell who shows the masks, and keep them for a reload.
export function settle() {
  remember(`paint:${owner}`, strokes);
  update({ painted: Object.fromEntries(KEYS.map((key) => [key, coverage(key)])) });
}

// Rectangles of a session that is not there yet, painted as 'Only here' once it is.
export const paintBefore = (name, boxes) => boxes.length && remember(`paint:${name}`, boxes.map((box) => ({ tool: "only", box })));

// The layer as a PNG in base64, white on black; null if nothing is painted.
export const png = (key) => (coverage(key) ? encoded(layers[key]) : null);

// A named area as such a PNG; null if there is none of that name.
export function areaPng(name) {
  const { width, height } = state.session;
  const own = kept()[name];
  if (!own) return null;
  const layer = blank(width, height);
  for (const stroke of own) applyTo(layer, stroke);
  const made = encoded(layer);
  release(layer);
  return made;
}

function encoded(layer) {
  const flat = blank(layer.width, layer.height);
  const pen = flat.getContext("2d");
  pen.fillStyle = "black";
  pen.fillRect(0, 0, flat.width, flat.height);
  pen.drawImage(layer, 0, 0);
  const made = flat.toDataURL("image/png").split(",")[1];
  release(flat);
  return made;
}
