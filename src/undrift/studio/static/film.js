// The turns of the shown branch as a strip of pictures, from the original to its end; it can be played as a film.

import { turnPath } from "./api.js";
import { go, look } from "./actions.js";
import { fill, h, icon } from "./dom.js";
import { t } from "./languages.js";
import { childrenOf, noteOf, numbered, originalTurn, pathTo, shownTurn, state, title, turnOf, watch } from "./state.js";
import { changesInWords } from "./words.js";

const FRAME_MS = 900;

// From the original over the shown turn to where one gets by going on: as redo would, else to the first turn made.
export function branch() {
  const line = pathTo(shownTurn());
  for (let next; (next = turnOf(state.session.trail[line.at(-1).id]) ?? childrenOf(line.at(-1))[0]); ) line.push(next);
  return line;
}

export function film() {
  const list = h("ol", { class: "frames", role: "listbox", "aria-label": t("Turns of this branch"), "aria-orientation": "horizontal" });
  const play = h("button", { type: "button", class: "quiet", onclick: () => (playing ? stop() : start()) });
  const box = h("div", { class: "film" }, play, list);
  let playing = 0;

  const draw = () => {
    if (!state.session) return;
    box.hidden = state.session.turns.length < 2;
    const focused = list.contains(document.activeElement);
    fill(list, branch().map(frame));
    if (focused) list.querySelector("[aria-selected=true]")?.focus({ preventScroll: true });
    reveal();
  };
  const reveal = () => {
    const shown = list.querySelector("[aria-selected=true]");
    if (shown) list.scrollLeft = shown.offsetLeft - (list.clientWidth - shown.offsetWidth) / 2;
  };
  const label = () => {
    fill(play, icon(playing ? "stop" : "play"));
    play.setAttribute("aria-label", playing ? t("Stop the film") : t("Play the turns as a film"));
    play.title = play.getAttribute("aria-label");
  };
  const stop = () => {
    clearInterval(playing);
    playing = 0;
    label();
  };
  const start = () => {
    const turns = branch();
    let at = turns.at(-1).id === state.shown ? 0 : turns.findIndex((turn) => turn.id === state.shown) + 1;
    const step = () => (at < turns.length && turnOf(turns[at].id) ? look(turns[at++].id) : stop());
    playing = setInterval(step, FRAME_MS);
    step();
    label();
  };
  list.addEventListener("keydown", (event) => move(event));
  list.addEventListener("wheel", (event) => {
    if (event.deltaX || list.scrollWidth <= list.clientWidth) return;
    event.preventDefault();
    list.scrollLeft += event.deltaY;
  }, { passive: false });
  list.addEventListener("pointerdown", stop);
  new ResizeObserver(reveal).observe(list);
  watch(["session", "shown"], draw);
  label();
  draw();
  return box;
}

function frame(turn) {
  const here = turn.id === state.shown;
  const name = noteOf(turn).name;
  const said = name || turn.spec?.instruction || (turn.changes && changesInWords(turn.changes.words)) || turn.prompt;
  return h(
    "li", { role: "option", "aria-selected": String(here), tabindex: here ? 0 : -1, "data-turn": turn.id, "aria-label": `${title(turn)}: ${said}${turn.warning ? `, ${t("drift")}` : ""}`, title: said, onclick: () => go(turn.id) },
    h("img", { src: turnPath(state.session.name, turn, "thumbnail"), alt: "", width: 72, height: 72, loading: "lazy", draggable: "false" }),
    h("span", { class: "fine" }, turn.id === originalTurn().id ? t("Original") : `${numbered(turn)}${noteOf(turn).starred ? " ★" : ""}${turn.warning ? " ⚠" : ""}`));
}

// The arrow keys look at turns, Enter goes on from one.
function move(event) {
  const turns = branch();
  const at = turns.findIndex((turn) => turn.id === state.shown);
  const next = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: turns.length - 1 }[event.key];
  if (event.key === "Enter" || event.key === " ") go(state.shown);
  else if (next === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  if (turns[next]) look(turns[next].id);
}
