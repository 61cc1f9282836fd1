// Pictures that come in: dropped, pasted or chosen.

import { archive, upload } from "./api.js";
import { sessionAddress } from "./actions.js";
import { t } from "./languages.js";
import { attempt, toast } from "./say.js";
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

const MOST_TOLD = 6; // files that were refused, each in its line

// One picture, or session; where several come, it says which.
export function take(files, taken) {
  if (files.length > 1) toast(t`One at a time: of ${files.length} files only ${files[0].name} is taken`);
  return files[0] && attempt(() => bring(files[0], taken));
}

// Several, one after another: the server takes few at a time. Those that it refuses are told together.
export async function takeAll(files, taken) {
  const refused = [];
  for (const file of [...files]) await bring(file, taken).catch((error) => refused.push(error.message));
  const rest = refused.length - MOST_TOLD;
  if (refused.length) toast([...refused.slice(0, MOST_TOLD), ...(rest > 0 ? [t`and ${rest} more`] : [])].join("\n"), "problem");
}

// What is wrong with a file is told with its name.
async function bring(file, taken) {
  try {
    if (!/zip/.test(file.type) && !/\.zip$/i.test(file.name)) return taken(await upload(file, state.about.limits), file.name);
    const { name } = await archive(file);
    return location.assign(sessionAddress(name));
  } catch (error) {
    throw error.message.includes(file.name) ? error : new Error(`${file.name}: ${error.message}`, { cause: error });
  }
}
