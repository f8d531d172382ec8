// Asks whether somebody is sure, before what cannot be undone (the macro `sure` of templates/dash_macros.html).
import { $ } from "./dom.js";

let act = null; // does it, and returns what comes after the dialog is gone
let wanted = ""; // what has to be typed first

/** `title` is text, or a list of text and elements; `name`, where there is one, has to be typed. */
export function sure(title, text, go, then, name = "") {
  $("sure-title").replaceChildren(...[title].flat());
  $("sure-text").textContent = text;
  $("sure-go").textContent = go;
  $("sure-error").textContent = "";
  if ($("sure-name")) {
    $("sure-named").hidden = !name;
    $("sure-what").textContent = name;
    $("sure-name").value = "";
  }
  $("sure-go").disabled = Boolean(name);
  [act, wanted] = [then, name.trim()];
  $("sure").showModal();
}

let busy = false;
const isNamed = () => !wanted || $("sure-name").value.trim() === wanted;

$("sure-name")?.addEventListener("input", () => ($("sure-go").disabled = !isNamed()));
$("sure-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (busy || !isNamed()) return;
  busy = true;
  try {
    const after = await act();
    $("sure").close();
    after?.();
  } catch (error) {
    $("sure-error").textContent = error.message;
  } finally {
    busy = false;
  }
});
