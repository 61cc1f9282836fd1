// Prompts beside each other: removed words struck through, added words marked, and which words steer.

import { h } from "./dom.js";
import { t } from "./languages.js";

// `words` are pairs of kept, removed or added, and the word.
export function marked(words) {
  return words.flatMap(([change, word]) => [element(change, word), " "]);
}

// Only what changed, with one kept word before each change so that it can be understood.
export function changedWords(words) {
  const shown = words.filter(([change], at) => change !== "kept" || words[at + 1]?.[0] === "added");
  return words.every(([change]) => change === "kept") ? [] : marked(shown);
}

// The same in words alone: "red becomes pink, with at night, without snow".
export function changesInWords(words) {
  const runs = [];
  for (const [change, word] of words) {
    if (change === "kept" || !runs.length) runs.push({ removed: [], added: [] });
    if (change !== "kept") runs.at(-1)[change].push(word);
  }
  const told = ({ removed, added }) => {
    const [from, to] = [removed.join(" "), added.join(" ")];
    if (from && to) return t`${from} becomes ${to}`;
    return to ? t`with ${to}` : from && t`without ${from}`;
  };
  return runs.map(told).filter(Boolean).join(", ");
}

function element(change, word) {
  if (change === "removed") return h("del", {}, word);
  if (change === "added") return h("ins", {}, word);
  return h("span", {}, word);
}

const SMALL = new Set("a an the and or of with in on at to is".split(" "));

// The words of the target that can steer, each once, as a row of switches.
export function chips(words, chosen, toggle) {
  const seen = new Set();
  const own = words.filter(([change, word]) => {
    const key = word.toLowerCase();
    const take = change !== "removed" && !seen.has(key) && (!SMALL.has(key) || chosen.has(key));
    if (take) seen.add(key);
    return take;
  });
  return own.map(([, word]) => {
    const on = chosen.has(word.toLowerCase());
    return h("button", { type: "button", class: "chip", "aria-pressed": String(on), onclick: () => toggle(word) }, word);
  });
}
