// The dialog that makes a key (templates/dash_macros.html).
import { $, api } from "./dash.js";

const errors = { name: "key-name-error", permissions: "key-permissions-error", agent_id: "key-agent-error" };

function clear() {
  for (const id of [...Object.values(errors), "key-error"]) if ($(id)) $(id).textContent = "";
  $("key-name").removeAttribute("aria-invalid");
}

/** Opens it, with `name` filled in. */
export function askForKey(name = "") {
  clear();
  $("key-form").reset();
  $("key-name").value = name;
  $("new-key").showModal();
  $("key-name").select();
}

function complain(field, text) {
  $(errors[field] ?? "key-error").textContent = text;
  if (field === "name") {
    $("key-name").setAttribute("aria-invalid", "true");
    $("key-name").focus();
  }
}

/** `made(key)` is called with what the API answered: the only time the key itself is told. */
export function onNewKey(made) {
  let making = false;
  $("key-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    clear();
    const name = $("key-name").value.trim();
    const permissions = [...$("key-form").querySelectorAll("[name=permission]:checked")].map((box) => box.value);
    if (!name) return complain("name", "Give it a name, to know it again.");
    if (!permissions.length) return complain("permissions", "A key that may do nothing is of no use.");
    const life = Number($("key-life").value);
    const agent = $("key-agent")?.value; // asked where there are several
    if (making) return;
    making = true;
    try {
      const key = await api("POST", "/api/api-keys", { name, permissions, ...(agent && { agent_id: agent }), ...(life && { expires_in_days: life }) });
      $("new-key").close();
      made(key);
    } catch (error) {
      if (!error.fields.length) complain("", error.message);
      for (const { field, message } of error.fields) complain(field.split(".")[0], `It ${message}.`);
    } finally {
      making = false;
    }
  });
}
