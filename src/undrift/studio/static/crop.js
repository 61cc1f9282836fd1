// Another canvas for the shown picture: a frame that is dragged or typed, inside of the picture and beyond it.

import { post, sessionPath, turnPath } from "./api.js";
import { expectFill } from "./border.js";
import { dialog, field, h, once } from "./dom.js";
import { t } from "./languages.js";
import { paintBefore } from "./masks.js";
import { shownTurn, state, title, update } from "./state.js";
import { tab } from "./tab.js";

const LEAST = 16; // pixels a side
const ROOM = 0.5; // of the picture's sides that the frame may go beyond it, on each side
const SHAPES = { "": t("Any"), "1:1": t("Square"), "4:3": "4 : 3", "3:2": "3 : 2", "16:9": "16 : 9", "3:4": "3 : 4", "2:3": "2 : 3", "9:16": "9 : 16" };
const SIDES = { left: t("Left"), top: t("Top"), width: t("Width"), height: t("Height") };
const HANDLES = [[-1, -1], [0, -1], [1, -1], [-1, 0], [1, 0], [-1, 1], [0, 1], [1, 1]];

export function showCrop() {
  const { width, height } = state.session;
  const turn = shownTurn();
  const limits = { left: -Math.floor(ROOM * width), top: -Math.floor(ROOM * height), right: width + Math.floor(ROOM * width), bottom: height + Math.floor(ROOM * height) };
  let frame = { left: 0, top: 0, width, height };

  const box = h("div", { class: "crop-frame" }, ...HANDLES.map(([x, y]) => h("i", { class: `x${x} y${y}`, "data-x": x, "data-y": y })));
  const room = h("div", { class: "crop-room" }, h("img", { src: turnPath(state.session.name, turn, "picture"), alt: t`${title(turn)}, with the frame over it`, draggable: "false" }), box);
  room.style.setProperty("--ratio", width / height);
  const inputs = Object.fromEntries(Object.keys(SIDES).map((name) => [name, h("input", { type: "number", name, onchange: () => ((shapes.value = ""), put({ ...frame, [name]: Math.round(Number(inputs[name].value)) || 0 })) })]));
  const shapes = h("select", { onchange: () => shapes.value && put(largest(shapes.value)) }, ...Object.entries(SHAPES).map(([value, label]) => h("option", { value }, label)));
  const told = h("p", { class: "fine muted", role: "status" });
  const filling = h("input", { type: "checkbox", name: "fill", checked: true, onchange: () => put(frame) });
  const caption = h("textarea", { rows: 2, maxlength: 4000, value: turn.prompt });
  const captionField = field(t("What the larger picture shows"), caption);
  const fillField = h("div", { class: "stack" }, h("label", { class: "row tight" }, filling, t("Fill what is new from the caption")), captionField);
  const start = h("button", { class: "primary", form: "crop-form" }, t("Begin a session with it"));

  const largest = (shape) => {
    const [across, down] = shape.split(":").map(Number);
    const scale = Math.min(width / across, height / down);
    const [w, x] = [Math.round(across * scale), Math.round(down * scale)];
    return { left: Math.round((width - w) / 2), top: Math.round((height - x) / 2), width: w, height: x };
  };
  const put = (wanted) => {
    frame = held(wanted, limits);
    for (const name in SIDES) inputs[name].value = frame[name];
    const share = (value, whole) => `${(100 * (value + ROOM * whole)) / ((1 + 2 * ROOM) * whole)}%`;
    Object.assign(box.style, { left: share(frame.left, width), top: share(frame.top, height), width: `${(100 * frame.width) / ((1 + 2 * ROOM) * width)}%`, height: `${(100 * frame.height) / ((1 + 2 * ROOM) * height)}%` });
    const seen = overlap(frame, width, height);
    const fresh = seen > 0 ? 1 - seen / (frame.width * frame.height) : 0;
    told.textContent = !seen ? t("The frame has nothing of the picture.") : !fresh ? t`${frame.width} × ${frame.height} pixels.` : filling.checked ? t`${frame.width} × ${frame.height} pixels, ${percent(fresh)} % of them new: drawn from the caption, in one turn. The others stay as they are, to the bit.` : t`${frame.width} × ${frame.height} pixels, ${percent(fresh)} % of them new: mirrored from the picture, and painted as 'Only here' for the next turn.`;
    fillField.hidden = !fresh;
    captionField.hidden = !filling.checked;
    caption.required = fresh > 0 && filling.checked;
    start.disabled = !seen || (!fresh && frame.width === width && frame.height === height);
  };
  followFrame(room, () => frame, (one) => ((shapes.value = ""), put(one)), { width, height });
  const all = (by) => put({ left: -Math.round(by * width), top: -Math.round(by * height), width: width + 2 * Math.round(by * width), height: height + 2 * Math.round(by * height) });

  const send = once(async () => {
    const fresh = newParts(frame, width, height);
    const fills = fresh.length > 0 && filling.checked;
    const job = await post(`${sessionPath(state.session.name)}/frame`, { turn: turn.id, ...frame, tab, ...(fills && { fill: true, prompt: caption.value.trim() }) });
    expectFill(job.session, fills ? fresh : []);
    if (!fills) paintBefore(job.session, fresh);
    if (!state.jobs.has(job.id)) update({ jobs: state.jobs.set(job.id, job) });
    opened.close();
  });
  const form = h(
    "form", { class: "stack", id: "crop-form", onsubmit: send },
    h("p", { class: "muted" }, t("A session has pictures of one size: this begins another one, and leaves this as it is.")),
    room, h("div", { class: "row" }, inline(field(t("Shape"), shapes)), h("button", { type: "button", onclick: () => all(0.25) }, t("Extend all around")), h("button", { type: "button", onclick: () => all(0) }, t("Whole picture"))),
    h("div", { class: "four" }, ...Object.entries(SIDES).map(([name, label]) => field(label, inputs[name]))), told, fillField);
  const opened = dialog(t("Crop or extend"), form, [start]);
  put(frame);
}

const percent = (share) => Math.max(1, Math.round(100 * share));

function inline(one) {
  one.classList.add("inline");
  return one;
}

// The nearest frame within the room.
function held({ left, top, width, height }, limits) {
  const between = (value, least, most) => Math.min(Math.max(value, least), most);
  const x = between(left, limits.left, limits.right - LEAST);
  const y = between(top, limits.top, limits.bottom - LEAST);
  return { left: x, top: y, width: between(width, LEAST, limits.right - x), height: between(height, LEAST, limits.bottom - y) };
}

function overlap({ left, top, width, height }, w, x) {
  const across = Math.min(left + width, w) - Math.max(left, 0);
  const down = Math.min(top + height, x) - Math.max(top, 0);
  return Math.max(0, across) * Math.max(0, down);
}

// What of the frame is beyond the picture, as rectangles [left, top, width, height] of the new one.
function newParts({ left, top, width, height }, w, x) {
  const [before, above] = [Math.max(0, -left), Math.max(0, -top)];
  const [after, below] = [Math.max(0, left + width - w), Math.max(0, top + height - x)];
  const parts = [[0, 0, before, height], [width - after, 0, after, height], [0, 0, width, above], [0, height - below, width, below]];
  return parts.filter(([, , across, down]) => across > 0 && down > 0);
}

// The pointer drags a side or a corner, or all of the frame.
function followFrame(room, frame, put, { width, height }) {
  let held = null;
  room.addEventListener("pointerdown", (event) => {
    const inside = event.target.closest(".crop-frame");
    if (!inside || event.button > 0) return;
    event.preventDefault();
    room.setPointerCapture(event.pointerId);
    const { x, y } = event.target.dataset;
    held = { from: [event.clientX, event.clientY], frame: frame(), x: Number(x ?? 0), y: Number(y ?? 0), all: x === undefined };
  });
  room.addEventListener("pointermove", (event) => {
    if (!held) return;
    const size = room.getBoundingClientRect();
    const dx = Math.round(((event.clientX - held.from[0]) / size.width) * (1 + 2 * ROOM) * width);
    const dy = Math.round(((event.clientY - held.from[1]) / size.height) * (1 + 2 * ROOM) * height);
    const { left, top, width: w, height: down } = held.frame;
    if (held.all) return put({ ...held.frame, left: left + dx, top: top + dy });
    const [l, u] = [held.x < 0 ? Math.min(dx, w - LEAST) : 0, held.y < 0 ? Math.min(dy, down - LEAST) : 0];
    return put({ left: left + l, top: top + u, width: w - l + (held.x > 0 ? dx : 0), height: down - u + (held.y > 0 ? dy : 0) });
  });
  for (const kind of ["pointerup", "pointercancel"]) room.addEventListener(kind, () => (held = null));
}
