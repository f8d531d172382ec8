import "./once.js";

// "Allow" works a moment after the page is seen: a click that was meant for the window before must not say yes.
const WAIT_MS = 600;
const buttons = document.querySelectorAll("[data-wait]");
let timer;

function wait() {
  clearTimeout(timer);
  for (const button of buttons) button.disabled = true;
  if (document.visibilityState === "visible" && document.hasFocus()) {
    timer = setTimeout(() => buttons.forEach((button) => (button.disabled = false)), WAIT_MS);
  }
}

addEventListener("focus", wait);
addEventListener("blur", wait);
addEventListener("pageshow", wait);
document.addEventListener("visibilitychange", wait);
wait();
