// Who may write to the agent over a connection: a field that changes it at once.
import { api, el, say, trouble } from "./dash.js";

const RULES = {
  pairing: "People you let in; strangers may ask",
  allowlist: "People you let in; strangers are ignored",
  open: "Anybody who finds it",
};

export const ruleOptions = () => Object.entries(RULES).map(([value, words]) => el("option", { value }, words));

/** `ask(title, text, go, act)` asks before the connection is opened to anybody. */
export function accessField(connection, ask) {
  if (connection.kind === "shared") return { node: el("p", { class: "muted" }, "On the gateway’s shared bot a link of yours lets people in."), show: () => {} };
  const id = `rule-${connection.id}`;
  const select = el("select", { id }, ...ruleOptions());
  let held = connection.access;
  select.value = held;
  const back = () => (select.value = held);
  const set = async (access) => {
    await api("PATCH", `/api/connections/${connection.id}`, { access });
    select.value = held = access;
    say(`${RULES[access]}: that holds from now on`);
  };
  select.addEventListener("change", () => {
    const access = select.value;
    if (access !== "open") return set(access).catch((error) => (back(), trouble(error.message, 8000)));
    back(); // until it is agreed
    const text = "Whatever anybody writes reaches your agent, and may try to steer it. Those you keep out stay out.";
    ask(["Open ", el("bdi", {}, connection.name), " to anybody"], text, "Open it", () => set(access));
  });
  const show = (access) => {
    held = access;
    if (document.activeElement !== select && !document.querySelector("dialog[open]")) select.value = access;
  };
  return { node: el("div", { class: "field" }, el("label", { for: id }, "Heard are"), select), show };
}
