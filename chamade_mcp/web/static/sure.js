// Asks whether somebody is sure, before what cannot be undone (the macro `sure` of templates/dash_macros.html).
import { $ } from "./dom.js";

let act = null; // does it, and returns what comes after the dialog is gone

export function sure(title, text, go, then) {
  $("sure-title").textContent = title;
  $("sure-text").textContent = text;
  $("sure-go").textContent = go;
  $("sure-error").textContent = "";
  act = then;
  $("sure").showModal();
}

$("sure-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const after = await act();
    $("sure").close();
    after();
  } catch (error) {
    $("sure-error").textContent = error.message;
  }
});
