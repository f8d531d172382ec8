// The dialog that adds or changes a webhook (templates/dash_macros.html), its secret, and its state in words.
import { $, api, when } from "./dash.js";

const boxes = () => [...$("webhook-form").querySelectorAll("[name=event]")];

function complain(field, text) {
  const known = field === "url";
  $(known ? "webhook-url-error" : "webhook-error").textContent = text;
  if (!known) return;
  $("webhook-url").setAttribute("aria-invalid", "true");
  $("webhook-url").focus();
}

function clear() {
  for (const id of ["webhook-url-error", "webhook-error"]) $(id).textContent = "";
  $("webhook-url").removeAttribute("aria-invalid");
}

/** Opens it with what `webhook` has. */
export function askForWebhook({ url = "", description = "", events = [] } = {}) {
  clear();
  $("webhook-url").value = url;
  $("webhook-description").value = description;
  for (const box of boxes()) box.checked = events.includes(box.value);
  $("webhook-some").open = events.length > 0;
  $("webhook-dialog").showModal();
  $("webhook-url").focus();
}

/** `done(webhook)` is called with what the API answered to `method` at `path`. */
export function onWebhook(method, path, done) {
  let asking = false;
  $("webhook-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    clear();
    const url = $("webhook-url").value.trim();
    if (!url) return complain("url", "Type the address that events are posted to.");
    if (asking) return;
    asking = true;
    const events = boxes().filter((box) => box.checked).map((box) => box.value);
    try {
      const webhook = await api(method, path, { url, description: $("webhook-description").value.trim(), events });
      $("webhook-dialog").close();
      done(webhook);
    } catch (error) {
      // What is refused with one sentence is the address: nothing else can be wrong but by its field.
      if (!error.fields.length) complain(error.status === 400 ? "url" : "", error.message.replace(/^url: /, ""));
      for (const { field, message } of error.fields) complain(field.split(".")[0], `It ${message}.`);
    } finally {
      asking = false;
    }
  });
}

/** Shows a secret, which is told once. */
export function showSecret(title, secret) {
  $("fresh-title").textContent = title;
  $("fresh-secret").value = secret;
  $("fresh").hidden = false;
  $("fresh-title").focus();
}

function forget() {
  $("fresh-secret").value = "";
  $("fresh").hidden = true;
}

$("fresh-done").addEventListener("click", forget);
addEventListener("pagehide", forget);

/** The tone of its dot, and its state in words. */
export function stateOf({ status, reason, failing_since: since }) {
  if (status === "paused") return ["", "Paused: events wait as long as they are kept"];
  if (status === "disabled") return ["warn", `Switched off. ${reason ?? ""}`.trim()];
  return since ? ["warn", `Nothing has arrived there since ${when(since)}; it is tried again`] : ["ok", "Works"];
}
