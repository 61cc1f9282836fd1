// The name of this tab, by which it knows the work that it asked for. It outlives a reload, and a tab that is opened
// again takes over the name of one that was closed; two tabs never have one name, though one is a copy of the other.

import { recall, remember } from "./state.js";

export let tab = "";

const KEPT = 8; // names of tabs that may be opened again
const RELOAD_MS = 500; // within which the page before a reload has let its name go

export async function claimTab() {
  const known = recall("tabs", true) ?? [];
  const own = recall("tab");
  for (const name of own ? [own] : known) if (!tab && (await held(name, name === own))) tab = name;
  if (!tab) await held((tab = Math.random().toString(36).slice(2, 14)), true);
  remember("tab", tab);
  remember("tabs", [tab, ...known.filter((name) => name !== tab)].slice(0, KEPT), true);
}

// Whether no other tab has the name; it is this one's then, until it is gone. A page that comes over plain http from
// another machine has no locks: it keeps its own name over a reload, and takes no other one over.
function held(name, own) {
  if (!navigator.locks) return Promise.resolve(own);
  return new Promise((resolve) => {
    const keep = (lock) => {
      resolve(lock !== null);
      return lock && new Promise(() => {});
    };
    const how = own ? { signal: AbortSignal.timeout(RELOAD_MS) } : { ifAvailable: true };
    navigator.locks.request(`undrift-tab-${name}`, how, keep).catch(() => resolve(false));
  });
}
