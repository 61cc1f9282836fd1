// What one stroke does to a layer: a canvas of the picture's size, white where it was painted, on nothing.
//
// A stroke is a plain value: { tool, away } with one of `points` and `size`, `lasso`, `box`, `runs`, `area` (strokes that
// make one by themselves), or an operation on the whole layer: `clear`, `invert`, `grow` (pixels, shrinks where negative), `soften` (pixels). Sizes are the picture's.

const DIRECTIONS = 12; // in which a layer is moved to grow it

export const blank = (width, height) => Object.assign(document.createElement("canvas"), { width, height });

export const penOf = (layer) => layer.getContext("2d", { willReadFrequently: true });

export function applyTo(layer, stroke) {
  const pen = penOf(layer);
  pen.globalCompositeOperation = stroke.away ? "destination-out" : "source-over";
  pen.strokeStyle = pen.fillStyle = "white";
  if (stroke.points) line(pen, stroke);
  else if (stroke.lasso) around(pen, stroke.lasso);
  else if (stroke.box) pen.fillRect(...stroke.box);
  else if (stroke.runs) for (const [y, start, stop] of stroke.runs) pen.fillRect(start, y, stop - start, 1);
  else if (stroke.area) pen.drawImage(areaOf(layer, stroke.area), 0, 0);
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

function copyOf(layer) {
  const copy = blank(layer.width, layer.height);
  copy.getContext("2d").drawImage(layer, 0, 0);
  return copy;
}

function complement(layer) {
  const rest = blank(layer.width, layer.height);
  const pen = rest.getContext("2d");
  pen.fillStyle = "white";
  pen.fillRect(0, 0, rest.width, rest.height);
  pen.globalCompositeOperation = "destination-out";
  pen.drawImage(layer, 0, 0);
  return rest;
}

function invert(layer) {
  const pen = penOf(layer);
  pen.globalCompositeOperation = "copy";
  pen.drawImage(complement(layer), 0, 0);
}

// The layer and its copies moved all around, by `radius` together: each time at most by about as much as it has grown to,
// and half as far, so that no hole opens between them.
function grow(layer, radius) {
  const pen = penOf(layer);
  pen.globalCompositeOperation = "source-over";
  for (let done = 0, step = 2; done < radius; done += step, step *= 2) {
    step = Math.min(step, radius - done);
    const before = copyOf(layer);
    for (const far of [step, step / 2]) ring(far).forEach(([x, y]) => pen.drawImage(before, x, y));
  }
}

function ring(radius) {
  return Array.from({ length: DIRECTIONS }, (_, at) => (2 * Math.PI * at) / DIRECTIONS).map((angle) => [radius * Math.cos(angle), radius * Math.sin(angle)]);
}

// What is not painted grows; beyond the border of the picture there is nothing that could.
function shrink(layer, radius) {
  const rest = complement(layer);
  grow(rest, radius);
  const pen = penOf(layer);
  pen.globalCompositeOperation = "destination-out";
  pen.drawImage(rest, 0, 0);
}

function soften(layer, radius) {
  const before = copyOf(layer);
  const pen = penOf(layer);
  pen.globalCompositeOperation = "copy";
  pen.filter = `blur(${radius}px)`;
  pen.drawImage(before, 0, 0);
  pen.filter = "none";
}
