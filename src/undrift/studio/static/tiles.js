// Candidates while they are made, each as far as it is: what it looks like so far, and then the turn that it has become.

import { look } from "./actions.js";
import { turnPath } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./languages.js";
import { state, turnOf } from "./state.js";

// In place, so that pictures do not flicker and a button under the pointer stays.
export function showTiles(list, job) {
  list.hidden = !job || job.tiles.length < 2;
  if (list.hidden) return fill(list);
  if (list.dataset.job !== job.id || list.children.length !== job.tiles.length) {
    list.dataset.job = job.id;
    fill(list, job.tiles.map(() => h("li", {}, h("button", { type: "button" }, h("img", { alt: "", hidden: true }), h("span", { class: "fine" })))));
  }
  return job.tiles.forEach((tile, at) => showTile(list.children[at].firstChild, tile, { job, at }));
}

function showTile(button, tile, { job, at }) {
  const turn = tile.turn && turnOf(tile.turn);
  const [image, words] = button.children;
  const source = turn ? turnPath(state.session.name, turn, "thumbnail") : !tile.turn && tile.previews > 0 ? `/api/jobs/${job.id}/preview?candidate=${at}&n=${tile.previews}` : null;
  if (source && image.getAttribute("src") !== source) image.src = source;
  image.hidden = !image.getAttribute("src");
  words.textContent = standing(tile);
  button.setAttribute("aria-label", t`Candidate ${at + 1}: ${standing(tile)}`);
  button.disabled = !turn;
  button.onclick = () => look(tile.turn);
}

function standing(tile) {
  if (tile.turn) return t("done");
  return tile.steps ? t`step ${tile.step} of ${tile.steps}` : t("waiting");
}
