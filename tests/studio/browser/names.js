// Every control and picture that can be reached and has no name for those who cannot see it (WCAG 4.1.2, 1.1.1).
() => {
  const text = (id) => document.getElementById(id)?.textContent.trim();
  const name = (element) =>
    element.getAttribute("aria-label")?.trim() ||
    element.getAttribute("aria-labelledby")?.split(" ").map(text).join(" ").trim() ||
    [...(element.labels ?? [])].map((label) => label.textContent.trim()).join(" ") ||
    (["INPUT", "SELECT", "TEXTAREA"].includes(element.tagName) ? "" : element.textContent.trim()) ||
    element.querySelector("img[alt]:not([alt=''])")?.alt;
  const controls = [...document.querySelectorAll("input, select, textarea, button, a[href], summary, [role=treeitem], [role=tab], [role=tree], [role=tablist], [role=group], progress, canvas, dialog")];
  const pictures = [...document.images].filter((image) => !image.hasAttribute("alt"));
  return [...controls.filter((one) => one.checkVisibility() && !name(one)), ...pictures].map((one) => one.outerHTML.slice(0, 160));
}
