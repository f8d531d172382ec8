// What a bot takes, as the API tells it: fields to type into, what was typed, and what was wrong with it.
import { el } from "./dom.js";

let count = 0;

/** `all` are `fields` of `GET /api/platforms/{platform}`; with `renewing` none of them has to be given again. */
export function credentials(all, { renewing = false } = {}) {
  const shown = new Map(all.map((field) => [field.name, input(field, renewing)]));
  const part = (wanted) => all.filter((field) => Boolean(field.required) === wanted).map(({ name }) => shown.get(name).node);
  const more = part(false);
  const rest = more.length ? el("details", { class: "more" }, el("summary", {}, "More settings"), ...more) : null;
  const controls = () => [...shown].map(([name, { control }]) => [name, control]);
  return {
    nodes: [...part(true), rest].filter(Boolean),
    typed: () => Object.fromEntries(controls().map(([name, control]) => [name, control.value.trim()]).filter(([, value]) => value)),
    clear: () => controls().forEach(([, control]) => ((control.value = ""), control.dispatchEvent(new Event("input")))),
    /** False, with the field in focus, where something that is needed is missing. */
    complete() {
      forget(shown);
      const missing = renewing ? [] : all.filter(({ name, required }) => required && !shown.get(name).control.value.trim());
      for (const { name, label } of missing) complain(shown.get(name), `${label} is missing.`);
      focusFirst(shown, rest);
      return !missing.length;
    },
    /** Puts a refusal to the fields that it names; what is left for the form itself to say, or "". */
    refused({ fields, message }) {
      forget(shown);
      const known = fields.map(({ field, message: words }) => [shown.get(field.split(".").at(-1)), words]).filter(([at]) => at);
      for (const [at, words] of known) complain(at, `${at.label} ${/[.!?]$/.test(words) ? words : `${words}.`}`);
      focusFirst(shown, rest);
      return known.length === fields.length && known.length ? "" : message;
    },
  };
}

function input(field, renewing) {
  const { name, label, help, example, kind, choices, required } = field;
  const id = `field-${++count}`;
  const about = { id, name, "aria-describedby": `${id}-help ${id}-error`, "aria-required": String(required && !renewing) };
  const typing = { spellcheck: "false", autocapitalize: "off", autocomplete: kind === "secret" ? "new-password" : "off", maxlength: "512", placeholder: example || null };
  const control = choices
    ? el("select", about, el("option", { value: "" }, "As the gateway has it"), ...Object.entries(choices).map(([value, words]) => el("option", { value }, words)))
    : el("input", { ...about, ...typing, type: kind === "secret" ? "password" : "text" });
  const error = el("p", { id: `${id}-error`, class: "error", role: "alert" });
  const node = el(
    "div",
    { class: "field" },
    el("label", { for: id }, label),
    kind === "secret" ? el("div", { class: "secret" }, control, reveal(control, label)) : control,
    el("small", { id: `${id}-help`, class: "muted" }, help),
    error,
  );
  return { node, control, error, label };
}

function reveal(control, label) {
  const button = el("button", { type: "button", class: "small", "aria-pressed": "false", "aria-label": `Show: ${label}` }, "Show");
  button.addEventListener("click", () => {
    const hidden = control.type === "password";
    control.type = hidden ? "text" : "password";
    button.textContent = hidden ? "Hide" : "Show";
    button.setAttribute("aria-pressed", String(hidden));
  });
  return button;
}

function complain({ control, error }, words) {
  error.textContent = words;
  control.setAttribute("aria-invalid", "true");
}

function forget(shown) {
  for (const { control, error } of shown.values()) {
    error.textContent = "";
    control.removeAttribute("aria-invalid");
  }
}

function focusFirst(shown, rest) {
  const wrong = [...shown.values()].find(({ error }) => error.textContent);
  if (wrong && rest?.contains(wrong.node)) rest.open = true;
  wrong?.control.focus();
}
