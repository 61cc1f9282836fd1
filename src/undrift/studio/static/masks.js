// What was painted: three layers of the picture's size, white where the brush went, on nothing.

import { recall, remember, state, update } from "./state.js";

export const LAYERS = {
  only: { title: "Only here", help: "The next turn may change nothing else." },
  protect: { title: "Protect", help: "The next turn leaves this as it is, to the bit." },
  back: { title: "Put back", help: "Shows again what an earlier picture had here." },
};

const UNDO_STEPS = 10;
let owner = null;
let layers = {};
let past = [];

// The layers of the open session; what an earlier visit of this tab painted is still there.
export function masks() {
  const { name, width, height } = state.session;
  if (owner !== name) {
    owner = name;
    past = [];
    layers = Object.fromEntries(Object.keys(LAYERS).map((key) => [key, canvas(width, height)]));
    for (const key of Object.keys(LAYERS)) load(key, recall(`paint:${name}:${key}`));
  }
  return layers;
}

function canvas(width, height) {
  const made = document.createElement("canvas");
  made.width = width;
  made.height = height;
  return made;
}

const context = (layer) => layer.getContext("2d", { willReadFrequently: true });

// Remembers how the layers are, before something is painted.
export function begin() {
  const size = [0, 0, state.session.width, state.session.height];
  past.push(Object.fromEntries(Object.entries(masks()).map(([key, layer]) => [key, context(layer).getImageData(...size)])));
  if (past.length > UNDO_STEPS) past.shift();
}

export function undoStroke() {
  const last = past.pop();
  if (last) for (const [key, data] of Object.entries(last)) context(masks()[key]).putImageData(data, 0, 0);
  settle();
}

export const canUndoStroke = () => past.length > 0;

export function clear(key) {
  begin();
  wipe(key);
  settle();
}

function wipe(key) {
  context(masks()[key]).clearRect(0, 0, state.session.width, state.session.height);
}

// A stroke from one point to the next, in pixels of the picture; the eraser goes over every layer.
export function stroke(tool, from, to, size) {
  for (const key of tool === "erase" ? Object.keys(LAYERS) : [tool]) {
    const pen = context(masks()[key]);
    pen.globalCompositeOperation = tool === "erase" ? "destination-out" : "source-over";
    pen.strokeStyle = "white";
    pen.lineCap = pen.lineJoin = "round";
    pen.lineWidth = size;
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
  }
}

export function rectangle(tool, x, y, width, height) {
  begin();
  for (const key of tool === "erase" ? Object.keys(LAYERS) : [tool]) {
    const pen = context(masks()[key]);
    pen.globalCompositeOperation = tool === "erase" ? "destination-out" : "source-over";
    pen.fillStyle = "white";
    pen.fillRect(x, y, width, height);
  }
  settle();
}

// Part of the picture that a layer covers, 0 to 1.
export function coverage(key) {
  const { width, height } = state.session;
  const { data } = context(masks()[key]).getImageData(0, 0, width, height);
  let covered = 0;
  for (let at = 3; at < data.length; at += 4) covered += data[at];
  return covered / 255 / (width * height);
}

// After a stroke: tell who shows the masks, and keep them for a reload.
export function settle() {
  const { name } = state.session;
  update({ painted: Object.fromEntries(Object.keys(LAYERS).map((key) => [key, coverage(key)])) });
  for (const key of Object.keys(LAYERS)) remember(`paint:${name}:${key}`, png(key));
}

// The layer as a PNG in base64, white on black; null if nothing is painted.
export function png(key) {
  if (!coverage(key)) return null;
  const { width, height } = state.session;
  const flat = canvas(width, height);
  const pen = flat.getContext("2d");
  pen.fillStyle = "black";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(masks()[key], 0, 0);
  return flat.toDataURL("image/png").split(",")[1];
}

async function load(key, base64) {
  if (!base64) return;
  const layer = layers[key];
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const pen = context(layer);
  pen.drawImage(image, 0, 0);
  // White on black becomes white on nothing.
  const pixels = pen.getImageData(0, 0, layer.width, layer.height);
  for (let at = 0; at < pixels.data.length; at += 4) pixels.data[at + 3] = pixels.data[at];
  pen.putImageData(pixels, 0, 0);
  if (layers[key] === layer) settle();
}
