// The focus never gets lost: where what had it goes away, is hidden or cannot be used any more, it goes to what is
// around it, so that the keyboard goes on from there and a screen reader says where it is.

let last = null;
let around = [];

export function keepFocus() {
  document.addEventListener("focusin", ({ target }) => {
    last = target;
    around = [];
    for (let at = target.parentElement; at; at = at.parentElement) around.push(at);
  });
  const look = () => requestAnimationFrame(recover);
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["hidden", "disabled"] });
}

function recover() {
  if (!last || usable(last) || (document.activeElement && document.activeElement !== document.body && document.activeElement !== last)) return;
  const home = around.find((one) => one.isConnected && one.hasAttribute("tabindex") && one.checkVisibility());
  last = null;
  (home ?? document.getElementById("main")).focus({ preventScroll: true });
}

const usable = (element) => element.isConnected && !element.disabled && element.checkVisibility();
