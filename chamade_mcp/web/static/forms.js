// A form that is sent by the API: once at a time, with what is wrong told at its field and what was typed kept.
import { $, say } from "./dash.js";

const placeOf = (form, field) => form.querySelector(`[data-error="${CSS.escape(field)}"]`) ?? form.querySelector("[data-error='']");

function clear(form) {
  for (const place of form.querySelectorAll("[data-error]")) place.textContent = "";
  for (const input of form.elements) input.removeAttribute("aria-invalid");
  const done = form.querySelector("[data-done]");
  if (done) done.textContent = "";
}

function complain(form, error) {
  const wrong = error.code === "WRONG_PASSWORD" ? [{ field: "current_password", message: "is not your password" }] : error.fields;
  if (!wrong.length) placeOf(form, "").textContent = error.message;
  for (const { field, message } of wrong) {
    placeOf(form, field).textContent = `This ${message}.`;
    form.elements[field]?.setAttribute?.("aria-invalid", "true");
  }
  form.elements[wrong[0]?.field]?.focus?.();
}

/** `send(values)` gets the fields by name, and may give a sentence that says what was done. */
export function onForm(id, send) {
  const form = $(id);
  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    clear(form);
    try {
      const words = await send(Object.fromEntries(new FormData(form)));
      const done = form.querySelector("[data-done]");
      if (words && done) done.textContent = words;
      if (words) say(words);
    } catch (error) {
      if (error.status === undefined) throw error;
      complain(form, error);
    } finally {
      busy = false;
    }
  });
}
