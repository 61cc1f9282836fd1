// Pictures that come in: dropped, pasted or chosen.

import { archive, upload } from "./api.js";
import { sessionAddress } from "./actions.js";
import { attempt } from "./say.js";
import { state } from "./state.js";

// Opens a session that comes as a zip file. Calls `taken` with what the server says about a picture that was dropped on `area` or pasted while it is shown.
export function acceptPictures(area, taken) {
  const over = (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    area.classList.add("dropping");
  };
  area.addEventListener("dragenter", over);
  area.addEventListener("dragover", over);
  area.addEventListener("dragleave", (event) => area.contains(event.relatedTarget) || area.classList.remove("dropping"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("dropping");
    take(event.dataTransfer.files, taken);
  });
  areas.set(area.className, { area, taken });
}

const areas = new Map(); // by class: a newer area of the same kind takes the older one's place

document.addEventListener("paste", (event) => {
  const shown = [...areas.values()].find(({ area }) => area.isConnected);
  if (!shown || !event.clipboardData.files.length) return;
  event.preventDefault();
  take(event.clipboardData.files, shown.taken);
});

export const take = (files, taken) => files[0] && takeOne(files[0], taken);

// Several, one after another: the server takes few at a time.
export async function takeAll(files, taken) {
  for (const file of [...files]) await takeOne(file, taken);
}

function takeOne(file, taken) {
  const named = (error) => Promise.reject(new Error(`${file.name}: ${error.message}`, { cause: error }));
  return attempt(() => bring().catch(named));

  async function bring() {
    if (!/zip/.test(file.type) && !/\.zip$/i.test(file.name)) return taken(await upload(file, state.about.limits), file.name);
    const { name } = await archive(file);
    return location.assign(sessionAddress(name));
  }
}
