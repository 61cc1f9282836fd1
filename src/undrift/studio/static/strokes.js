// What one stroke does to a layer: a canvas of the picture's size, white where it was painted, on nothing.
//
// A stroke is a plain value: { tool, away } with one of `points` and `size`, `lasso`, `box`, `runs`, `area` (strokes that
// make one by themselves), or an operation on the whole layer: `clear`, `invert`, `grow` (pixels, shrinks where negative), `soften` (pixels). Sizes are the picture's.

const DIRECTIONS = 12; // in which a layer is moved to grow it
const SIDE = 1024; // longer side in pixels at which the layer of a larger picture is grown: its edge is that fine then

export const blank = (width, height) => Object.assign(document.createElement("canvas"), { width, height });

// The pixels of a canvas that is not drawn any more: of a photo they are 50 MB, for which no collection is waited.
export const release = (...canvases) => canvases.forEach((canvas) => Object.assign(canvas, { width: 0, height: 0 }));

export const penOf = (layer) => layer.getContext("2d", { willReadFrequently: true });

export function applyTo(layer, stroke) {
  const pen = penOf(layer);
  pen.globalCompositeOperation = stroke.away ? "destination-out" : "source-over";
  pen.strokeStyle = pen.fillStyle = "white";
  if (stroke.points) line(pen, stroke);
  else if (stroke.lasso) around(pen, stroke.lasso);
  else if (stroke.box) pen.fillRect(...stroke.box);
  else if (stroke.runs) for (const [y, start, stop] of stroke.runs) pen.fillRect(start, y, stop - start, 1);
  else if (stroke.area) merge(layer, areaOf(layer, stroke.area), pen.globalCompositeOperation);
  else if (stroke.invert) invert(layer);
  else if (stroke.grow > 0) grow(layer, stroke.grow);
  else if (stroke.grow < 0) shrink(layer, -stroke.grow);
  else if (stroke.soften) soften(layer, stroke.soften);
}

// What strokes make on a layer of their own: one that takes away takes nothing of what was there before.
function areaOf({ width, height }, strokes) {
  const area = blank(width, height);
  for (const one of strokes) applyTo(area, one);
  return area;
}

function line(pen, { size, points }) {
  pen.lineCap = pen.lineJoin = "round";
  pen.lineWidth = size;
  pen.beginPath();
  pen.moveTo(...points[0]);
  for (const point of points.slice(points.length > 1 ? 1 : 0)) pen.lineTo(...point);
  pen.stroke();
}

export function around(pen, points) {
  pen.beginPath();
  for (const point of points) pen.lineTo(...point);
  pen.closePath();
  pen.fill();
}

function scaled(layer, width, height) {
  const copy = blank(width, height);
  copy.getContext("2d", { willReadFrequently: true }).drawImage(layer, 0, 0, width, height);
  return copy;
}

const copyOf = (layer) => scaled(layer, layer.width, layer.height);

// Draws `other` on the layer and is done with it.
function merge(layer, other, operation) {
  const pen = penOf(layer);
  pen.globalCompositeOperation = operation;
  pen.drawImage(other, 0, 0, layer.width, layer.height);
  release(other);
}

function complement(layer) {
  const rest = blank(layer.width, layer.height);
  const pen = penOf(rest);
  pen.fillStyle = "white";
  pen.fillRect(0, 0, rest.width, rest.height);
  pen.globalCompositeOperation = "destination-out";
  pen.drawImage(layer, 0, 0);
  return rest;
}

const invert = (layer) => merge(layer, complement(layer), "copy");

function grow(layer, radius) {
  const { width, height } = layer;
  const scale = Math.min(1, SIDE / Math.max(width, height));
  const small = scaled(layer, Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  growAsItIs(small, radius * scale);
  merge(layer, small, "source-over");
}

// The layer and its copies moved all around, by `radius` together: each time at most by about as much as it has grown to,
// and half as far, so that no hole opens between them.
function growAsItIs(layer, radius) {
  const pen = penOf(layer);
  for (let done = 0, step = 2; done < radius; done += step, step *= 2) {
    step = Math.min(step, radius - done);
    const before = copyOf(layer);
    for (const far of [step, step / 2]) ring(far).forEach(([x, y]) => pen.drawImage(before, x, y));
    release(before);
  }
}

function ring(radius) {
  return Array.from({ length: DIRECTIONS }, (_, at) => (2 * Math.PI * at) / DIRECTIONS).map((angle) => [radius * Math.cos(angle), radius * Math.sin(angle)]);
}

// What is not painted grows; beyond the border of the picture there is nothing that could.
function shrink(layer, radius) {
  const rest = complement(layer);
  grow(rest, radius);
  merge(layer, rest, "destination-out");
}

function soften(layer, radius) {
  const pen = penOf(layer);
  const before = copyOf(layer);
  pen.filter = `blur(${radius}px)`;
  merge(layer, before, "copy");
  pen.filter = "none";
}
