// What the next turn takes, before it is made: evaluations of the network as the server counts them, and seconds from
// what turns of this session took on this machine.

import { post } from "./api.js";
import { h } from "./dom.js";
import { duration, isOne, number, size } from "./format.js";
import { t } from "./languages.js";
import { chosenMethod } from "./method.js";
import { attempt } from "./say.js";
import { state, watch } from "./state.js";

const known = new Map(); // by what was asked: what the server said

export function costLine(count) {
  const told = h("p", { class: "fine muted cost", role: "status" });
  const note = h("p", { class: "note", role: "status", hidden: true });
  let asked = "";
  const draw = async () => {
    if (!state.session) return;
    const form = chosenMethod();
    const place = `/api/cost?session=${encodeURIComponent(state.session.name)}`;
    const key = (asked = `${place} ${JSON.stringify(form)} ${state.about.model.name}`);
    if (!known.has(key)) {
      const found = await attempt(() => post(place, form));
      if (found) known.set(key, found);
    }
    if (key !== asked) return;
    const cost = known.get(key);
    told.textContent = cost ? words(cost, count(), form.name) : "";
    note.hidden = !cost || !(cost.memory > cost.free);
    note.textContent = note.hidden ? "" : t`This may need more memory than there is: ${size(cost.free)} are free. A smaller picture needs less.`;
  };
  watch(["method", "session", "count"], draw);
  draw();
  return h("div", { class: "stack" }, told, note);
}

function words({ evaluations: each, memory }, count, method) {
  const evaluations = each * count;
  const seconds = secondsEach(method);
  const told = [
    isOne(evaluations) ? t`${number(evaluations)} evaluation of the model` : t`${number(evaluations)} evaluations of the model`,
    seconds && t`about ${duration(evaluations * seconds)}`, memory && t`${size(memory)} of memory`];
  return told.filter(Boolean).join(", ");
}

// Seconds for one evaluation: the middle of the last turns with this method, else with any, made with this model.
function secondsEach(method) {
  const all = state.session.turns.filter((turn) => turn.spec && turn.evaluations > 0 && turn.seconds > 0 && turn.spec.model === state.about.model.name);
  const own = all.filter((turn) => turn.spec.method === method);
  const each = (own.length ? own : all).slice(-5).map((turn) => turn.seconds / Math.max(1, turn.evaluations - (turn.remembered ?? 0))).sort((a, b) => a - b);
  return each[each.length >> 1];
}
