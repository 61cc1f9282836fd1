// What is said on the page and was not looked up in the catalogue, whose texts all stand in the brackets ⟦ ⟧ here. What
// was written by somebody is no such text: `known` are its words and the names of things. Parameters are called as the
// command line calls them.
(known) => {
  const ATTRIBUTES = ["aria-label", "aria-valuetext", "title", "placeholder", "alt"];
  const NAMES = ".parameters label, .parameters option, .pair option, .paper, noscript, script, title, pre, code";
  const outside = (text) => {
    let depth = 0;
    return [...text].filter((letter) => {
      if (letter === "⟦") depth += 1;
      else if (letter === "⟧") depth -= 1;
      else return depth === 0;
      return false;
    }).join("");
  };
  const words = (text) => outside(text).toLowerCase().match(/\p{L}[\p{L}\p{N}'’-]*/gu) ?? [];
  const unknown = (text) => words(text).filter((word) => word.length > 1 && !known.includes(word));
  const found = new Set();
  const note = (text, where) => unknown(text).length && found.add(`${where}: ${text.trim().slice(0, 100)}`);
  const nodes = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (nodes.nextNode()) if (!nodes.currentNode.parentElement.closest(NAMES)) note(nodes.currentNode.data, nodes.currentNode.parentElement.tagName);
  for (const element of document.querySelectorAll("*")) for (const name of ATTRIBUTES) note(element.getAttribute(name) ?? "", name);
  return [...found];
}
