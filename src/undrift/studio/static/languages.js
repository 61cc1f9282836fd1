// The page in the reader's language. The code says everything in English; a catalogue for each other language has the
// same texts, by those. Numbers in braces stand for what is put in. What the server says is looked up as it says it.

export const LANGUAGES = { en: "English", de: "Deutsch", fr: "Français" };

const CHOICE = "language";
const chosen = read();
const own = navigator.languages.map((tag) => tag.split("-")[0]).find((tag) => tag in LANGUAGES);

export const language = chosen in LANGUAGES ? chosen : (own ?? "en");

// Modules say their words when they are loaded: the catalogue comes before them.
const catalogue = language === "en" ? {} : await fetch(`/static/languages/${language}.json`).then((found) => (found.ok ? found.json() : {}), () => ({}));
document.documentElement.lang = language;

// t("text"), or t`text with ${values}`, in the page's language.
export function t(text, ...values) {
  const key = typeof text === "string" ? text : text.reduce((whole, part, at) => `${whole}{${at - 1}}${part}`);
  return (catalogue[key] ?? key).replace(/\{(\d)\}/g, (hole, at) => values[at] ?? hole);
}

// What the server said, in the page's language: by the text that fits it with the fewest letters put in; as it is where
// none does. What was put in may be such a text itself.
export function heard(said) {
  if (!said || catalogue[said]) return catalogue[said] ?? said;
  const fitting = patterns().find(([, pattern]) => pattern.test(said));
  if (!fitting) return said;
  const values = said.match(fitting[1]).slice(1).map(heard);
  return catalogue[fitting[0]].replace(/\{(\d)\}/g, (hole, at) => values[at] ?? hole);
}

// Why an instruction was not understood: by its reason where the catalogue has that, else as the server says it, less
// what of it is for the command line. Several things are listed as the language does it.
export function refused({ key, values } = {}, said = "") {
  const text = catalogue[`why.${key}`];
  if (!text) return said.replace(" (--caption, read_as)", "");
  return text.replace(/\{(\w+)(?::(\w+))?\}/g, (hole, name, joiner) => (Array.isArray(values[name]) ? several(values[name], joiner) : values[name]));
}

const TYPES = { or: "disjunction", and: "conjunction" };

function several(names, joiner) {
  if (!joiner) return names.join(", ");
  return new Intl.ListFormat(language, { type: TYPES[joiner] }).format(names.map((name) => t`“${name}”`));
}

// What whoever asked should know of how it was read: several things, one after another.
export const noted = (note) => note.split(/; (?!--caption|read without)/).map(heard).join("; ");

let made = null;

// The texts with something put in, those that say the most first: the others would fit almost anything.
function patterns() {
  const plain = (key) => key.replace(/\{\d\}/g, "").length;
  const pattern = (key) => new RegExp(`^${key.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\d\}/g, "(.+?)")}$`, "s");
  return (made ??= Object.keys(catalogue).filter((key) => key.includes("{") && plain(key) > 5)
    .sort((one, other) => plain(other) - plain(one)).map((key) => [key, pattern(key)]));
}

export const chosenLanguage = () => (chosen in LANGUAGES ? chosen : "");

// Another language, or that of the browser; everything is said anew.
export function chooseLanguage(tag) {
  try {
    localStorage.setItem(CHOICE, tag);
  } catch {
    return; // A browser that keeps nothing goes on as it is.
  }
  location.reload();
}

function read() {
  try {
    return localStorage.getItem(CHOICE);
  } catch {
    return null;
  }
}
