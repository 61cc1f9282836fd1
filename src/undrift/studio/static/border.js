// The border of an extended picture whose fill was stopped, or failed: it is mirrored still. What is new is painted as
// 'Only here', and one press fills it.

import { queue } from "./actions.js";
import { fill, h, once } from "./dom.js";
import { isOpen } from "./events.js";
import { t } from "./languages.js";
import { add, clear, coverage, png } from "./masks.js";
import { recall, remember, state, turnOf, watch } from "./state.js";

const keyOf = (session) => `border:${session}`;

// A session is to begin with new parts, rectangles of its picture, that are filled in the same action; none, with none.
export const expectFill = (session, boxes) => remember(keyOf(session), boxes.length ? { boxes, painted: false } : null);

// The border that the open session was to have filled and has not; null if it has, or is about to.
function unfilled() {
  const { name, turns } = state.session;
  const border = turns.length === 1 && recall(keyOf(name));
  return border && ![...state.jobs.values()].some((job) => job.session === name && isComing(job)) ? border : null;
}

// What a job has made may be there before the page has heard of it.
const isComing = (job) => isOpen(job) || job.turns.some((id) => !turnOf(id));

function paint(boxes) {
  for (const box of boxes) add({ tool: "only", box });
}

async function fillNow({ boxes }) {
  const [{ id, prompt }] = state.session.turns;
  if (!coverage("only")) paint(boxes);
  await queue("edit", { parent: id, prompt, source_prompt: prompt, method: { name: state.about.fill_method }, only: png("only") });
  remember(keyOf(state.session.name), { boxes, painted: false });
  clear("only");
}

export function borderNote() {
  const place = h("div");
  let owner = null; // the session that the note is about
  const draw = () => {
    const border = state.session && unfilled();
    const about = border ? state.session.name : null;
    if (about === owner) return null;
    owner = about;
    if (!border) return fill(place);
    if (!border.painted) {
      remember(keyOf(state.session.name), { ...border, painted: true });
      paint(border.boxes);
    }
    return fill(place, h("div", { class: "note row spread" }, h("span", {}, t("What is new was not filled: it is mirrored from the picture.")),
      h("button", { type: "button", onclick: once(() => fillNow(border)) }, t("Fill it"))));
  };
  watch(["session", "jobs"], draw);
  draw();
  return place;
}
