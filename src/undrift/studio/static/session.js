// One session: its history, the picture, the next turn.

import { composer } from "./composer.js";
import { driftPanel } from "./drift.js";
import { h } from "./dom.js";
import { acceptPictures } from "./drops.js";
import { film } from "./film.js";
import { historyPanel } from "./history.js";
import { jobsPanel } from "./jobs.js";
import { t } from "./languages.js";
import { showRecipe } from "./recipe.js";
import { stage } from "./stage.js";
import { strip } from "./strip.js";

export function sessionView() {
  const { box, form } = composer();
  const view = h(
    "div", { class: "session" },
    historyPanel(),
    h("section", { class: "centre", "aria-label": t("Picture"), tabindex: "-1" }, stage(), strip(), box, film()),
    h("section", { class: "panel side", "aria-label": t("Next turn and what changed"), tabindex: "-1" }, form, jobsPanel(), driftPanel()),
  );
  acceptPictures(view, showRecipe);
  return view;
}
