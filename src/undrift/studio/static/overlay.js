// The painted layers as they are seen: tinted, hatched in a direction of their own, and with an outline of dark on
// light, so that they are found on a picture of any colour.

import { inSight } from "./lens.js";
import { masks } from "./masks.js";

const LOOKS = { only: ["rgb(30 110 255 / .42)", 1], protect: ["rgb(225 40 40 / .42)", -1], back: ["rgb(20 150 80 / .45)", 0] };
const HATCH = 14; // pixels between two lines
const AROUND = [[-1, -1], [0, -1], [1, -1], [-1, 0], [1, 0], [-1, 1], [0, 1], [1, 1]];

// Draws what of the layers is in the window on `canvas`, which covers it; `more` draws on top, in pixels of the picture.
export function showMasks(canvas, more = () => {}) {
  const box = canvas.getBoundingClientRect();
  if (!box.width) return;
  const dots = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(box.width * dots), Math.round(box.height * dots)];
  Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d");
  const seen = inSight();
  for (const [key, [colour, slope]] of Object.entries(LOOKS)) {
    if (masks()[key]) pen.drawImage(tinted(masks()[key], seen, { width, height, dots, colour, slope }), 0, 0);
  }
  pen.setTransform(width / seen.width, 0, 0, height / seen.height, (-seen.left * width) / seen.width, (-seen.top * height) / seen.height);
  more(pen, seen.width / width);
}

function tinted(layer, seen, { width, height, dots, colour, slope }) {
  const part = [seen.left, seen.top, seen.width, seen.height];
  const plain = sheet(width, height, (pen) => pen.drawImage(layer, ...part, 0, 0, width, height));
  return sheet(width, height, (pen) => {
    for (const [size, ink] of [[2, "rgb(0 0 0 / .75)"], [1, "white"]]) {
      const edge = sheet(width, height, (own) => {
        for (const [x, y] of AROUND) own.drawImage(plain, x * size * dots, y * size * dots);
        fillIn(own, ink, width, height);
        own.globalCompositeOperation = "destination-out";
        own.drawImage(plain, 0, 0);
      });
      pen.drawImage(edge, 0, 0);
    }
    const area = sheet(width, height, (own) => {
      own.drawImage(plain, 0, 0);
      fillIn(own, colour, width, height);
      own.globalCompositeOperation = "source-atop";
      hatch(own, slope, width, height, dots);
    });
    pen.drawImage(area, 0, 0);
  });
}

function sheet(width, height, draw) {
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = false;
  draw(pen);
  return canvas;
}

function fillIn(pen, colour, width, height) {
  pen.globalCompositeOperation = "source-in";
  pen.fillStyle = colour;
  pen.fillRect(0, 0, width, height);
  pen.globalCompositeOperation = "source-over";
}

function hatch(pen, slope, width, height, dots) {
  pen.strokeStyle = "rgb(255 255 255 / .55)";
  pen.lineWidth = 2 * dots;
  pen.beginPath();
  for (let at = -height; at < width + height; at += HATCH * dots) {
    pen.moveTo(slope ? at : 0, slope < 0 ? height : slope ? 0 : at);
    pen.lineTo(slope ? at + height : width, slope < 0 ? 0 : slope ? height : at);
  }
  pen.stroke();
}
