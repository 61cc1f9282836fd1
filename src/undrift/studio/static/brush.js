// With what is painted: which layer, which shape, how large; and whether paint is laid on or taken away.

import { t } from "./languages.js";
import { recall, remember, state, update } from "./state.js";

export const SHAPES = {
  brush: { title: t("Brush"), help: t("Paint over it. [ and ] change the size.") },
  lasso: { title: t("Lasso"), help: t("Draw around it.") },
  rectangle: { title: t("Rectangle"), help: t("Drag from corner to corner.") },
  thing: { title: t("Thing"), help: t("Click it: the model finds what belongs to it.") },
  colour: { title: t("Colour"), help: t("Click it: what has this colour and hangs together is selected.") },
};

const LEAST = 0.01;
const MOST = 0.4;

// `size` is a part of the picture's shorter side, `reach` a distance of colours, `spread` from 0 to 1 how much of what is
// like it belongs to a thing.
export const brush = { tool: "only", shape: "brush", size: 0.12, reach: 0.12, spread: 0.5, away: false, ...recall("brush") };

export const brushPixels = () => brush.size * Math.min(state.session.width, state.session.height);

export function setBrush(values) {
  Object.assign(brush, values);
  remember("brush", brush);
  update({ brush: { ...brush } });
}

export function resizeBrush(way) {
  setBrush({ size: Math.min(MOST, Math.max(LEAST, Math.round(brush.size * 1.25 ** way * 1000) / 1000)) });
}
