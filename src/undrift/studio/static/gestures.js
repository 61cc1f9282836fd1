// Wheel, fingers and mouse on the picture: enlarge and move. What one finger or the left button does beside that is the
// business of the way to look that is shown.

import { carry, grab, isZoomed, panBy, zoomBy } from "./lens.js";

const STILL = 5; // pixels within which a press is no movement
const WHEEL = 0.0016; // of a zoom step per pixel of the wheel, as exponent
const LINE = 24; // pixels of a wheel that counts lines
const ARROW = 60;

const HOLD_MS = 120; // pressed for so long it is held; a finger that scrolls has moved by then

let space = false;
document.addEventListener("keyup", (event) => event.key === " " && (space = false));
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || !event.target.matches("body, main, .stage, .pane")) return;
  event.preventDefault();
  space = true;
});

// Whether the next press moves the picture whatever the left button does otherwise.
export const isMoving = (event) => event.button === 1 || space;

// `hold` is called when the picture is pressed, and what it returns when it is let go or moved; `click` when it was
// pressed for a moment. Where the wheel `scrolls`, it enlarges with Ctrl alone.
export function followGestures(pane, { moves, scrolls = false, click = null, hold = () => null }) {
  const fingers = new Map(); // by pointer id: where it is
  let release = null;
  let timer = 0;
  let last = null;
  let start = null;
  let pinched = null; // how far apart two fingers were, and what was between them
  const letGo = () => {
    clearTimeout(timer);
    release?.();
    release = null;
  };

  pane.addEventListener("wheel", (event) => {
    const pixels = event.deltaMode === 1 ? event.deltaY * LINE : event.deltaY;
    // Where the page is one long column the wheel scrolls it, as it does everywhere at a picture that fits already.
    if (!event.ctrlKey && (scrolls || document.documentElement.scrollHeight > innerHeight || (pixels > 0 && !isZoomed()))) return;
    event.preventDefault();
    zoomBy(Math.exp(-pixels * WHEEL * (event.ctrlKey ? 4 : 1)), [event.clientX, event.clientY]);
  }, { passive: false });

  pane.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (fingers.size === 2) {
      letGo();
      last = null;
      const places = [...fingers.values()];
      pinched = { apart: distance(...places), held: grab(middle(places)) };
      // The stroke that the first finger has begun is none.
      pane.dispatchEvent(new CustomEvent("pinch"));
      event.stopPropagation();
      return;
    }
    const moving = isMoving(event);
    if (!moving && (!moves || event.button > 0)) return;
    if (moving) (event.preventDefault(), event.stopPropagation());
    if (event.target.closest("input, button")) return;
    pane.setPointerCapture(event.pointerId);
    start = last = [event.clientX, event.clientY];
    if (!moving) timer = setTimeout(() => (release = hold()), HOLD_MS);
  }, { capture: true });

  pane.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const at = [event.clientX, event.clientY];
    fingers.set(event.pointerId, at);
    if (fingers.size === 2) {
      event.stopPropagation();
      const places = [...fingers.values()];
      carry(pinched.held, distance(...places) / Math.max(1, pinched.apart), middle(places));
      return;
    }
    if (!last) return;
    if (distance(start, at) > STILL && isZoomed()) letGo();
    if (!release) panBy(at[0] - last[0], at[1] - last[1]);
    last = at;
  }, { capture: true });

  const end = (event) => {
    if (event.type === "pointerup" && last && distance(start, [event.clientX, event.clientY]) <= STILL) click?.();
    fingers.delete(event.pointerId);
    last = null;
    letGo();
  };
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) pane.addEventListener(kind, end, { capture: true });
  pane.addEventListener("keydown", (event) => keys(event));
}

const middle = ([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];

const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

function keys(event) {
  if (event.target.closest("input, button")) return;
  const [dx, dy] = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [];
  if (dx === undefined || !isZoomed()) return;
  event.preventDefault();
  panBy(dx * ARROW, dy * ARROW);
}
