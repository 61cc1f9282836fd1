// From what is written and chosen to the work that the server is asked for.

import { bringPictureIntoSight, queue } from "./actions.js";
import { basis } from "./basis.js";
import { asWritten, nextTurn, spent, wasSent } from "./draft.js";
import { t } from "./languages.js";
import { coverage, png } from "./masks.js";
import { chosenMethod } from "./method.js";
import { chosenReferences } from "./references.js";
import { saidOf, stepBack, stepsBack } from "./saying.js";
import { shownTurn, state } from "./state.js";

// What every way of making a turn shares.
function settings() {
  const { count, seed, together } = nextTurn();
  const references = chosenReferences();
  return {
    method: chosenMethod(),
    count,
    ...(together && count > 1 && { together }),
    ...(seed !== "" && { seed: wholeNumber(seed) }),
    ...(coverage("only") && { only: png("only") }),
    ...(coverage("protect") && { protect: png("protect") }),
    ...(references.length > 0 && { references }),
  };
}

function wholeNumber(text) {
  if (!/^\d{1,10}$/.test(text)) throw new Error(t`Seed '${text}': expected a whole number, or nothing to have one drawn.`);
  return Number(text);
}

export async function makeTurn() {
  const draft = nextTurn();
  const { again, dial } = draft.say?.heard ?? {};
  const { job: before } = basis();
  if (stepsBack(draft)) return stepBack(draft).then(spent);
  const asked = asWritten();
  const job = again
    ? await queue("edit", { ...settings(), ...again, method: { ...chosenMethod(), dial }, like: state.shown, ...saidOf(draft) })
    : await queue("edit", { parent: state.shown, ...(before && { after: before.id }), prompt: draft.prompt.trim(), source_prompt: draft.source, words: draft.words, ...saidOf(draft), ...settings() });
  wasSent(job, asked);
  return bringPictureIntoSight();
}

// The shown turn once more, beside it: another method, dial or seed on the same picture and the same words.
export async function redoTurn() {
  const { parent, spec, prompt } = shownTurn();
  await queue("edit", { parent, prompt, source_prompt: spec.source_prompt, instruction: spec.instruction, words: spec.words, like: state.shown, ...settings() });
  bringPictureIntoSight();
}
