// Turns to choose from in a list, each told apart from all others: by its number and what it shows, and where several show
// the same, by what they differ in or when they were made.

import { h } from "./dom.js";
import { language } from "./languages.js";
import { candidatesOf, noteOf, state, title } from "./state.js";
import { difference } from "./strip.js";

export function turnOptions(turns, chosen = null) {
  const alike = Map.groupBy(state.session.turns, shows);
  const words = (turn) => [`${title(turn)}: ${shows(turn)}`, alike.get(shows(turn)).length > 1 && apart(turn)].filter(Boolean).join(" · ");
  return turns.map((turn) => h("option", { value: turn.id, selected: turn.id === chosen }, words(turn)));
}

const shows = (turn) => short(noteOf(turn).name || turn.prompt);

const short = (text) => (text.length > 44 ? `${text.slice(0, 43)}…` : text);

function apart(turn) {
  const candidates = candidatesOf(turn);
  const when = new Date(turn.created).toLocaleString(language, { dateStyle: "short", timeStyle: "short" });
  return candidates.length > 1 ? `${difference(turn, candidates)}, ${when}` : when;
}
