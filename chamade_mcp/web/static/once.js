// A form of a page is sent once: while the answer is on its way, a second click would undo that of the first.
const GIVE_UP_MS = 10000; // whoever stopped the page from loading can send it again

for (const form of document.forms) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
    setTimeout(() => (sent = false), GIVE_UP_MS);
  });
  addEventListener("pageshow", () => (sent = false)); // come back to
}
