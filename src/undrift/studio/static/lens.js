// How the picture is looked at: how large, and which part. One lens for all the ways to look and for all turns of a
// session, so that the same place stays in sight when they change.
//
// The pane is the room there is, the window the part of it that the picture fills. Everything of class `sheet` in the
// window is laid out as the whole picture; the window cuts it off.

import { state, update } from "./state.js";

const MOST = 32; // pixels of the screen that one of the picture may be enlarged to
const SHARP = 6; // from here on a pixel of the picture is shown as a square
const GRID = 12; // and from here on with lines between them
const STEP = 1.25;

const lens = { scale: 1, x: 0.5, y: 0.5 }; // 1 fits the pane; x and y are the point in the pane's middle, 0 to 1
let pane = null; // the first of those that are looked through; they are all of one size
let panes = [];
let owner = null;
const room = new ResizeObserver(() => place());

// Looks through `elements`, panes of one size with one window in each, from now on.
export function lookThrough(...elements) {
  if (pane) room.unobserve(pane);
  panes = elements;
  pane = panes[0];
  if (owner !== state.session.name) Object.assign(lens, { scale: 1, x: 0.5, y: 0.5 });
  owner = state.session.name;
  room.observe(pane);
  place();
}

// Sizes in pixels of the screen: the pane, and the whole picture as it is enlarged now.
function sizes() {
  const { width, height } = pane.getBoundingClientRect();
  const ratio = state.session.width / state.session.height;
  const fits = Math.min(width, height * ratio);
  return { width, height, fits, w: fits * lens.scale, h: (fits * lens.scale) / ratio };
}

function place() {
  if (!pane?.isConnected || !pane.clientWidth || !state.session) return;
  const { width, height, w, h } = sizes();
  const [ww, wh] = [Math.min(w, width), Math.min(h, height)];
  const left = clamp(lens.x * w - ww / 2, 0, w - ww);
  const top = clamp(lens.y * h - wh / 2, 0, h - wh);
  Object.assign(lens, { x: (left + ww / 2) / w, y: (top + wh / 2) / h });
  const pixel = w / state.session.width;
  for (const one of panes) frame(one, { ww, wh, pixel, x: -left, y: -top, w, h });
  update({ lens: { ...lens } });
}

function frame(one, { ww, wh, pixel, ...places }) {
  const { style, classList } = one.querySelector(".window");
  Object.assign(style, { width: `${ww}px`, height: `${wh}px` });
  for (const [name, value] of Object.entries({ pixel, ...places })) style.setProperty(`--${name}`, `${value}px`);
  classList.toggle("sharp", pixel >= SHARP && lens.scale > 1);
  classList.toggle("gridded", pixel >= GRID && lens.scale > 1);
  one.classList.toggle("zoomed", lens.scale > 1);
}

const clamp = (value, least, most) => Math.min(Math.max(value, least), Math.max(least, most));

export const isZoomed = () => lens.scale > 1;

// Pixels of the screen for one of the picture, in per cent.
export const percent = () => (pane?.clientWidth ? Math.round((100 * sizes().w) / state.session.width) : 100);

// Holds on to what of the picture is at `at`, a point of the screen; the pane's middle without one.
export function grab(at = null) {
  const { w, h } = sizes();
  const [dx, dy] = fromMiddle(at);
  return { scale: lens.scale, x: lens.x + dx / w, y: lens.y + dy / h };
}

function fromMiddle(at) {
  const { left, top, width, height } = under(at).getBoundingClientRect();
  return at ? [at[0] - left - width / 2, at[1] - top - height / 2] : [0, 0];
}

// The pane that a point of the screen is in, the first one where it is in none.
function under(at) {
  const has = ({ left, top, right, bottom }) => at[0] >= left && at[0] <= right && at[1] >= top && at[1] <= bottom;
  return (at && panes.find((one) => has(one.getBoundingClientRect()))) || pane;
}

// Brings what was grabbed to `at`, enlarged by `factor`.
export function carry(grabbed, factor, at = null) {
  const most = Math.max(1, (MOST * state.session.width) / sizes().fits);
  lens.scale = clamp(grabbed.scale * factor, 1, most);
  const { w, h } = sizes();
  const [dx, dy] = fromMiddle(at);
  Object.assign(lens, { x: grabbed.x - dx / w, y: grabbed.y - dy / h });
  place();
}

// Enlarges by `factor`, and keeps in its place what is at `at`.
export function zoomBy(factor, at = null) {
  if (pane?.isConnected) carry(grab(at), factor, at);
}

export const zoomIn = () => zoomBy(STEP);
export const zoomOut = () => zoomBy(1 / STEP);
export const fit = () => zoomBy(0);

// One pixel of the picture on one of the screen; a picture that is smaller than its pane is shown fitting it.
export function actualSize() {
  if (pane?.isConnected) zoomBy(state.session.width / sizes().fits / lens.scale);
}

export function panBy(dx, dy) {
  if (!pane?.isConnected) return;
  const { w, h } = sizes();
  Object.assign(lens, { x: lens.x - dx / w, y: lens.y - dy / h });
  place();
}

// The part of the picture that is in the window, in the picture's pixels.
export function inSight() {
  const { width, height, w, h } = sizes();
  const scale = state.session.width / w;
  const [ww, wh] = [Math.min(w, width), Math.min(h, height)];
  return { left: (lens.x * w - ww / 2) * scale, top: (lens.y * h - wh / 2) * scale, width: ww * scale, height: wh * scale };
}

// Where an event of the pointer is, in the picture's pixels.
export function pointOf(event) {
  const box = pane.querySelector(".window").getBoundingClientRect();
  const seen = inSight();
  return [seen.left + ((event.clientX - box.left) / box.width) * seen.width, seen.top + ((event.clientY - box.top) / box.height) * seen.height];
}
