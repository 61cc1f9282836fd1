// The page in the reader's language. The code says everything in English; a catalogue for each other language has the
// same texts, by those. Numbers in braces stand for what is put in. What the server says stays as it says it.

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
