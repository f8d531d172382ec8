// Asks whoever sits here for the password: the sign-in has ended, or something dangerous is about to happen.
import { $ } from "./dom.js";
import { byPasskey, canPasskeys } from "./passkeys.js";

const KINDS = {
  again: { path: "/api/sign-in", passkey: "/api/sign-in/passkey", title: "Sign in again", words: "Your sign-in has ended. What you have typed stays where it is.", go: "Sign in", leave: "Leave this page" },
  confirm: { path: "/api/confirm", passkey: "/api/confirm/passkey", title: "Is it you?", words: "Your password is asked for before what is hard to take back. Then not for ten minutes.", go: "Go on", leave: "Cancel" },
};
const own = document.body.dataset;
let asking = null;

/** True once the person has shown that it is them; false when they would rather not. */
export function askPerson(kind) {
  asking ??= ask(KINDS[kind]).finally(() => (asking = null));
  return asking;
}

let leaving = false;
addEventListener("submit", ({ target }) => (leaving ||= target.getAttribute("action") === "/sign-out"));

/** To where one signs in, and back from there; not for one who is on the way out by the form that signs out. */
export function leave() {
  if (!leaving) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
}

/** Whether somebody has typed something here that would be lost. */
export function hasTyped() {
  const fields = document.querySelectorAll("main input:not([readonly]), main textarea, dialog[open] input:not([readonly]), dialog[open] textarea");
  return [...fields].some((field) => field.value !== field.defaultValue && field.checkVisibility());
}

async function send(kind, shown) {
  const body = kind === KINDS.again ? { email: own.email, ...shown } : shown;
  try {
    const answer = await fetch(kind.path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const told = await answer.json();
    if (answer.ok) return told;
    return { trouble: answer.status === 429 ? `Too many attempts. Try again in ${Math.ceil(told.retry_after / 60)} minutes.` : "That is not your password." };
  } catch {
    return { trouble: "The gateway does not answer. Try again." };
  }
}

function ask(kind) {
  const dialog = $("person");
  $("person-title").textContent = kind.title;
  $("person-words").textContent = kind.words;
  $("person-go").textContent = kind.go;
  $("person-leave").textContent = kind.leave;
  $("person-password").value = "";
  $("person-error").textContent = "";
  dialog.showModal();
  return new Promise((resolve) => {
    let done = false;
    const finish = (told) => {
      done = true;
      if (kind === KINDS.again) signedInAgain(told);
      dialog.close();
    };
    $("person-form").onsubmit = async (event) => {
      event.preventDefault();
      const password = $("person-password").value;
      const told = password ? await send(kind, { password }) : { trouble: "Type your password." };
      $("person-error").textContent = told.trouble ?? "";
      if (told.trouble) $("person-password").select();
      else finish(told);
    };
    $("person-passkey").hidden = own.passkeys === undefined || !canPasskeys();
    $("person-passkey").onclick = async () => ($("person-error").textContent = await byPasskey(kind.passkey, finish));
    dialog.onclose = () => {
      $("person-password").value = "";
      if (!done && kind === KINDS.again) leave();
      resolve(done);
    };
  });
}

function signedInAgain(profile) {
  if (profile.account_id !== own.account) return location.reload(); // what stands here is another's
  // The form that signs out was made for the session that has ended.
  document.querySelector("form[action='/sign-out']").onsubmit = async (event) => {
    event.preventDefault();
    const { sign_ins: all } = await (await fetch("/api/sign-ins")).json();
    const current = all.find((one) => one.current);
    await fetch(`/api/sign-ins/${current.id}`, { method: "DELETE" });
    location.assign("/sign-in");
  };
}
