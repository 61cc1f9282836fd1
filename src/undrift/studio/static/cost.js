// What the next turn takes, before it is made: evaluations of the network as the server counts them, and seconds from
// what turns of this session took on this machine.

import { post } from "./api.js";
import { h } from "./dom.js";
import { chosenMethod } from "./method.js";
import { duration } from "./progress.js";
import { attempt } from "./say.js";
import { state, watch } from "./state.js";

const known = new Map(); // by method as it is sent: its evaluations

export function costLine(count) {
  const line = h("p", { class: "fine muted cost", role: "status" });
  let asked = "";
  const draw = async () => {
    if (!state.session) return;
    const form = chosenMethod();
    const key = (asked = JSON.stringify(form));
    if (!known.has(key)) {
      const found = await attempt(() => post("/api/cost", form));
      if (found) known.set(key, found.evaluations);
    }
    if (key === asked) line.textContent = known.has(key) ? words(known.get(key) * count(), form.name) : "";
  };
  watch(["method", "session", "count"], draw);
  draw();
  return line;
}

function words(evaluations, method) {
  const each = secondsEach(method);
  const told = `${evaluations} ${evaluations === 1 ? "evaluation" : "evaluations"} of the model`;
  return each ? `${told}, about ${duration(evaluations * each)}` : told;
}

// Seconds for one evaluation: the middle of the last turns with this method, else with any, made with this model.
function secondsEach(method) {
  const all = state.session.turns.filter((turn) => turn.spec && turn.evaluations > 0 && turn.seconds > 0 && turn.spec.model === state.about.model.name);
  const own = all.filter((turn) => turn.spec.method === method);
  const each = (own.length ? own : all).slice(-5).map((turn) => turn.seconds / turn.evaluations).sort((a, b) => a - b);
  return each[each.length >> 1];
}
