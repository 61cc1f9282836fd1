// One session: its history, the picture, the next turn.

import { composer } from "./composer.js";
import { driftPanel } from "./drift.js";
import { nameBranch } from "./branches.js";
import { h, icon } from "./dom.js";
import { acceptPictures } from "./drops.js";
import { jobsPanel } from "./jobs.js";
import { showRecipe } from "./recipe.js";
import { stage } from "./stage.js";
import { strip } from "./strip.js";
import { historyTree } from "./tree.js";

export function sessionView() {
  const view = h(
    "div", { class: "session" },
    h("section", { class: "panel history", "aria-labelledby": "history-title" },
      h("div", { class: "row spread" }, h("h2", { id: "history-title" }, "History"),
        h("button", { type: "button", class: "quiet fine", onclick: nameBranch }, icon("branch"), "Name a branch")),
      historyTree()),
    h("section", { class: "centre", "aria-label": "Picture", tabindex: "-1" }, stage(), strip()),
    h("section", { class: "panel side", "aria-label": "Next turn and drift", tabindex: "-1" }, composer(), jobsPanel(), driftPanel()),
  );
  acceptPictures(view, showRecipe);
  return view;
}
