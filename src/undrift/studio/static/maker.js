// Which model made a picture, where the studio would go on from it with another one, or with other files of the same.

import { t } from "./languages.js";
import { shownTurn, state, turnOf } from "./state.js";

const DIGEST = 16; // letters of a hash, as records have them

// What it says is empty where the next turn is made as the last one was.
export function otherModel(note) {
  const own = state.about.model;
  const made = recordOf(shownTurn());
  const name = made?.model ?? state.session.model;
  note.textContent = name && name !== own.name
    ? t`This session was made with ${name}, the studio runs ${own.name}: pictures are encoded again, which costs a little detail.`
    : !made || sameWeights(made, own) ? ""
    : t`This picture was made by ${described(name, made)}, the studio runs ${described(name, own)}: start it with the same --transformer and --lora to go on alike.`;
  note.hidden = !note.textContent;
}

// A restored picture was made by no model: the turns before it say which one the session has.
function recordOf(turn) {
  while (turn && !turn.spec && !turn.encoded_by) turn = turnOf(turn.parent);
  return turn && (turn.spec ?? turn.encoded_by);
}

// Earlier versions recorded the hub's commit in the place of the weights.
const sameWeights = (made, own) => [own.weights_hash, own.revision.slice(0, DIGEST)].includes(made.weights_hash);

function described(name, { weights_hash: hash, loras, options }) {
  const files = [...options.filter((one) => one.startsWith("transformer=")).map((one) => one.replace("transformer=", "")), ...loras];
  return `${name} (${files.map((file) => file.replace(/@[^@]*$/, "")).join(", ") || hash})`;
}
