// On the way in: what is typed into a password field can be looked at, and a passkey spares typing it.
import "./once.js";
import { byPasskey, canPasskeys } from "./passkeys.js";

for (const button of document.querySelectorAll("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.setAttribute("aria-label", "Show what is typed");
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.textContent = shown ? "Hide" : "Show";
    button.setAttribute("aria-pressed", String(shown));
  });
  // Not left readable behind: a browser may offer to keep it as plain text.
  input.form.addEventListener("submit", () => (input.type = "password"));
}

const passkey = document.getElementById("passkey");
if (passkey && canPasskeys()) {
  passkey.hidden = false;
  passkey.addEventListener("click", async () => {
    passkey.disabled = true;
    const { next } = passkey.form.elements;
    const trouble = await byPasskey("/api/sign-in/passkey", () => location.assign(next.value));
    document.getElementById("passkey-error").textContent = trouble;
    passkey.disabled = false;
  });
}
