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
  var enough = window.CSS && CSS.supports && CSS.supports("color", "light-dark(red, red)") && typeof Map.groupBy === "function";
  if (enough) return;
  document.documentElement.setAttribute("data-old", "");
  document.addEventListener("DOMContentLoaded", function () {
    document.getElementById("main").textContent =
      "This browser is too old for the studio: Chrome and Edge 123, Firefox 120 and Safari 17.5 or newer show it. The command line does the same without one.";
  });
})();
