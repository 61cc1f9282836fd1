// The pointer on the picture while somebody paints: a stroke, a loop, a rectangle, or one click on a thing.

import { post, sessionPath } from "./api.js";
import { brush, brushPixels } from "./brush.js";
import { isMoving } from "./gestures.js";
import { t } from "./languages.js";
import { pointOf } from "./lens.js";
import { add, beginStroke, dropStroke, extendStroke, rounded, settle } from "./masks.js";
import { announce, attempt, toast } from "./say.js";
import { state } from "./state.js";
import { around } from "./strokes.js";
import { alike } from "./wand.js";

const LEAST = 2; // pixels of the picture below which a rectangle or a loop was a click

// Follows the pointer on `canvas` over `picture`; `show` draws, with what is not painted yet on top.
export function followPointer(canvas, picture, show) {
  let shape = null; // what is being drawn: { points } of a brush or a lasso, { from, to } of a rectangle
  let hover = null;
  const redraw = () => show((pen, dot) => outline(pen, dot, shape, hover));
  const finish = () => {
    const done = shape;
    shape = null;
    if (done) commit(done);
    redraw();
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (shape || event.button > 0 || isMoving(event)) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    const point = pointOf(event);
    if (brush.shape === "colour") return touch(picture, point, redraw);
    if (brush.shape === "thing") return attempt(() => pick(canvas, picture, point, redraw));
    shape = { kind: brush.shape, points: [rounded(point)], from: point, to: point };
    if (brush.shape === "brush") beginStroke(brush.tool, brushPixels(), point, brush.away);
    redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    hover = event.pointerType === "touch" ? null : pointOf(event);
    for (const one of shape ? (event.getCoalescedEvents?.().concat(event) ?? [event]) : []) extend(shape, pointOf(one));
    redraw();
  });
  canvas.addEventListener("pointerleave", () => ((hover = null), redraw()));
  canvas.addEventListener("pointerup", finish);
  canvas.addEventListener("pointercancel", finish);
  canvas.closest(".pane")?.addEventListener("pinch", () => {
    if (shape?.kind === "brush") dropStroke();
    shape = null;
    redraw();
  });
}

function extend(shape, point) {
  shape.to = point;
  if (shape.kind === "brush") extendStroke(point);
  else if (shape.kind === "lasso") shape.points.push(rounded(point));
}

function commit({ kind, points, from, to }) {
  const { tool, away } = brush;
  if (kind === "brush") return settle();
  if (Math.max(...span(kind === "lasso" ? points : [from, to])) < LEAST) return null;
  return add(kind === "lasso" ? { tool, away, lasso: points } : { tool, away, box: boxOf(from, to) });
}

function span(points) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  return [Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys)];
}

function boxOf(from, to) {
  const [left, top] = [Math.round(Math.min(from[0], to[0])), Math.round(Math.min(from[1], to[1]))];
  return [left, top, Math.round(Math.max(from[0], to[0])) - left, Math.round(Math.max(from[1], to[1])) - top];
}

function touch(picture, point, redraw) {
  add({ tool: brush.tool, away: brush.away, runs: alike(picture, point, brush.reach) });
  redraw();
}

// The model says what belongs to the thing; where it is at work the colours have to do.
async function pick(canvas, picture, point, redraw) {
  if (canvas.ariaBusy === "true") return;
  const [{ name: session, width, height }, { tool, away }] = [state.session, brush];
  const [x, y] = [within(point[0], width), within(point[1], height)];
  canvas.ariaBusy = "true";
  try {
    announce(t("Looking for the thing"));
    const { busy, runs } = await post(`${sessionPath(session)}/select`, { turn: state.shown, x, y, reach: brush.spread });
    if (state.session?.name !== session) return;
    if (busy) toast(t("The model is at work: this was selected by its colours alone."));
    add({ tool, away, runs: busy ? alike(picture, point, brush.reach) : runs });
  } finally {
    canvas.ariaBusy = "false";
    redraw();
  }
}

const within = (value, size) => Math.min(size - 1, Math.max(0, value));

// What the pointer is about to do, black on white: how large the brush is, where the loop or the rectangle goes.
function outline(pen, dot, shape, hover) {
  const path = () => {
    pen.beginPath();
    if (shape?.kind === "lasso") shape.points.forEach((point) => pen.lineTo(...point));
    else if (shape?.kind === "rectangle") pen.rect(...boxOf(shape.from, shape.to));
    else if (hover && brush.shape === "brush") pen.arc(...hover, brushPixels() / 2, 0, 2 * Math.PI);
  };
  if (shape?.kind === "lasso") (pen.fillStyle = "rgb(255 255 255 / .25)", around(pen, shape.points));
  for (const [width, ink] of [[3.5, "white"], [1.5, "black"]]) {
    pen.lineWidth = width * dot * (window.devicePixelRatio || 1);
    pen.strokeStyle = ink;
    path();
    pen.stroke();
  }
}
