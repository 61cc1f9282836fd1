// The ways to look at a picture.

import { t } from "./languages.js";
import { shownTurn, state, update } from "./state.js";

export const MODES = [
  { name: "view", title: t("View"), can: () => true },
  { name: "compare", title: t("Compare"), can: () => state.session.turns.length > 1 },
  { name: "changes", title: t("Changes"), can: () => state.session.turns.length > 1 },
  { name: "mask", title: t("Mask"), can: () => shownTurn()?.has_mask || shownTurn()?.has_region },
  { name: "paint", title: t("Paint"), can: () => true },
  { name: "several", title: t("Side by side"), can: () => state.session.turns.length > 1 },
];

export function setMode(name) {
  const mode = MODES.find((one) => one.name === name);
  if (mode?.can()) update({ mode: name });
}

// The mode that is shown: the plain view where the wanted one is not possible.
export const currentMode = () => (MODES.find((mode) => mode.name === state.mode)?.can() ? state.mode : "view");
