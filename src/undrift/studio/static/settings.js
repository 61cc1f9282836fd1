// What this browser is to remember: colours, and whether it tells when a turn is done.

import { field, h } from "./dom.js";
import { chosenLanguage, chooseLanguage, LANGUAGES, t } from "./languages.js";
import { askToTell, tellsWhenDone } from "./progress.js";

const THEMES = { system: t("As the system"), light: t("Light"), dark: t("Dark") };

const chosen = () => document.documentElement.dataset.theme ?? "system";

function choose(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // It holds until the page is reloaded.
  }
}

export function settingsFields() {
  const themes = h("fieldset", { class: "row wide" }, h("legend", { class: "label" }, t("Colours")), ...Object.entries(THEMES).map(([key, label]) => h(
    "label", { class: "row tight" }, h("input", { type: "radio", name: "theme", value: key, checked: chosen() === key, onchange: () => choose(key) }), label)));
  const languages = h("select", { onchange: () => chooseLanguage(languages.value) }, h("option", { value: "" }, t("As the system")),
    ...Object.entries(LANGUAGES).map(([tag, label]) => h("option", { value: tag, lang: tag, selected: chosenLanguage() === tag }, label)));
  const box = field(t("Language"), languages);
  box.classList.add("inline");
  const tell = h("input", { type: "checkbox", checked: tellsWhenDone(), onchange: async () => (tell.checked = await askToTell(tell.checked)) });
  const able = "Notification" in window;
  tell.disabled = !able;
  return [themes, box, h("label", { class: "row" }, tell, able ? t("Tell me when a turn is done while I look at something else") : t("This browser cannot tell when a turn is done"))];
}
