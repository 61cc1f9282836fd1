// Before anything is drawn: the colours that were chosen, and a sentence where the browser is too old for the page.
// A plain script, in words that old browsers understand.
(function () {
  var choice = null;
  try {
    choice = localStorage.getItem("theme");
  } catch (error) {
    choice = null;
  }
  if (choice === "light" || choice === "dark") document.documentElement.setAttribute("data-theme", choice);
  var enough = window.CSS && CSS.supports && CSS.supports("color", "light-dark(red, red)") && CSS.supports("selector(:has(a))") && typeof Map.groupBy === "function";
  if (enough) return;
  document.documentElement.setAttribute("data-old", "");
  document.addEventListener("DOMContentLoaded", function () {
    say(t("This browser is too old for the studio: Chrome and Edge 123, Firefox 121 and Safari 17.5 or newer show it. The command line does the same without one."));
  });

  // Only marks a text for the catalogues, which are not there yet.
  function t(text) {
    return text;
  }

  // Says it in English, and as soon as that is there in the browser's language.
  function say(text) {
    var main = document.getElementById("main");
    var tag = (navigator.language || "en").slice(0, 2);
    var asked = new XMLHttpRequest();
    main.textContent = text;
    if (tag !== "de" && tag !== "fr") return;
    asked.onload = function () {
      if (asked.status !== 200) return;
      main.textContent = JSON.parse(asked.responseText)[text] || text;
      document.documentElement.setAttribute("lang", tag);
    };
    asked.open("GET", "/static/languages/" + tag + ".json");
    asked.send();
  }
})();
