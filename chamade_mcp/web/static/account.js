// The account: who one is, how one signs in and where, whom one invites, and the way out.
import { $, ago, api, drop, el, fill, keepLooking, shortDay, trouble } from "./dash.js";
import { onForm } from "./forms.js";
import { canPasskeys, makePasskey } from "./passkeys.js";

let profile;

// --- who one is -------------------------------------------------------------------------------------------

function showProfile(fresh) {
  profile = fresh;
  if (document.activeElement !== $("name") && $("name").value === $("name").defaultValue) $("name").value = profile.name;
  $("name").defaultValue = profile.name;
  $("email").textContent = profile.email;
  $("unproved").hidden = profile.email_verified;
  $("invite-card").hidden = !profile.owner;
}

/** Says where a link went, or shows it where nothing is sent. */
function sent(place, words, link) {
  $(place).replaceChildren(link ? "This gateway sends no mail. " : words, link ? el("a", { href: link }, "Open the link that would be sent") : "");
  $(place).hidden = false;
}

onForm("name-form", async ({ name }) => {
  showProfile(await api("PATCH", "/api/profile", { name: name.trim() }));
  $("name").value = profile.name;
  document.body.dataset.name = profile.name;
  return "Saved";
});

$("prove").addEventListener("click", async () => {
  try {
    const { link } = await api("POST", "/api/verify-email");
    sent("email-note", `A link is on its way to ${profile.email}.`, link);
  } catch (error) {
    trouble(error.message, 8000);
  }
});

function opens(button, dialog) {
  $(button).addEventListener("click", () => {
    $(dialog).querySelector("form").reset();
    for (const error of $(dialog).querySelectorAll(".error")) error.textContent = "";
    $(dialog).showModal();
  });
}

opens("change-email", "email-dialog");
onForm("email-form", async ({ new_email: address }) => {
  const { link } = await api("POST", "/api/change-email", { new_email: address.trim() });
  $("email-dialog").close();
  sent("email-note", `A link is on its way to ${address.trim()}. Your address changes once you follow it.`, link);
});

opens("change-password", "password-dialog");
onForm("password-form", async (typed) => {
  await api("POST", "/api/change-password", typed);
  $("password-dialog").close();
  lookNow();
  return "Your password is changed, and every other browser is signed out.";
});

/** Ends what `path` names; the keyboard's focus goes to the `title` above it. */
async function end(path, title) {
  try {
    await drop(path);
  } catch (error) {
    return trouble(error.message, 8000);
  }
  $(title).focus();
  lookNow();
}

// --- passkeys ---------------------------------------------------------------------------------------------

let renaming = null;

function passkeyRow(one) {
  const about = [one.used ? `Used ${one.used}` : "Never used", `added ${one.since}`, one.synced && "kept by a password store"];
  const act = (act, label, onclick) => el("button", { type: "button", class: "small", "data-act": act, "aria-label": `${label} ${one.name}`, onclick }, label);
  return el(
    "li",
    { class: "link-row" },
    el("div", {}, el("b", {}, el("bdi", {}, one.name)), el("p", { class: "muted" }, about.filter(Boolean).join(" · "))),
    act("rename", "Rename", () => askName(one)),
    act("remove", "Remove", () => end(`/api/passkeys/${one.id}`, "passkeys-title")),
  );
}

function askName(passkey) {
  renaming = passkey;
  $("passkey-title").textContent = passkey ? "Rename a passkey" : "Add a passkey";
  $("passkey-go").textContent = passkey ? "Rename" : "Go on";
  $("passkey-form").reset();
  for (const error of $("passkey-form").querySelectorAll(".error")) error.textContent = "";
  $("passkey-form-name").value = passkey?.name ?? "";
  $("passkey-dialog").showModal();
  $("passkey-form-name").select();
}

$("add-passkey").addEventListener("click", () => askName(null));
onForm("passkey-form", async ({ name }) => {
  if (renaming) await api("PATCH", `/api/passkeys/${renaming.id}`, { name: name.trim() });
  else if (!(await add(name.trim()))) return;
  $("passkey-dialog").close();
  $("passkeys-title").focus();
  lookNow();
});

/** Whether there is a new one now. */
async function add(name) {
  if (!name) {
    $("passkey-form-name-error").textContent = "Give it a name, to know it again.";
    $("passkey-form-name").focus();
    return false;
  }
  const { options } = await api("POST", "/api/passkeys/options");
  try {
    await api("POST", "/api/passkeys", { name, ...(await makePasskey(options)) });
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    const known = error.name === "InvalidStateError";
    $("passkey-form").querySelector("[data-error='']").textContent = known ? "That device has a passkey for this account already." : "No passkey was made.";
    return false;
  }
  return true;
}

function showPasskeys({ available, passkeys }) {
  $("passkeys-row").hidden = false;
  $("add-passkey").hidden = !available || !canPasskeys();
  if (!available) $("passkeys-words").textContent = "Browsers give them to addresses with a host name: over https, or at http://localhost.";
  const shown = passkeys.map(({ last_used_at: at, created_at: since, id, name, synced }) => ({ id, name, synced, used: at && ago(at), since: ago(since) }));
  fill($("passkeys"), shown, (one) => one.id, passkeyRow);
}

// --- where one is signed in -------------------------------------------------------------------------------

function signInRow(one) {
  const about = [one.current ? "This browser" : `Used ${one.used}`, one.address && `from ${one.address}`, `signed in ${one.since}`];
  return el(
    "li",
    { class: "link-row" },
    el("div", {}, el("b", {}, el("bdi", {}, one.device || "A browser")), el("p", { class: "muted" }, about.filter(Boolean).join(" · "))),
    one.current ? el("span", { class: "tag" }, "here") : el("button", { type: "button", class: "small", "data-act": "end", "aria-label": `Sign out ${one.device}`, onclick: () => end(`/api/sign-ins/${one.id}`, "sign-ins-title") }, "Sign out"),
  );
}

$("end-others").addEventListener("click", async () => {
  try {
    await api("DELETE", "/api/sign-ins");
    $("sign-ins-title").focus();
    lookNow();
  } catch (error) {
    trouble(error.message, 8000);
  }
});

// --- whom one invites -------------------------------------------------------------------------------------

function invitationRow(one) {
  return el(
    "li",
    { class: "link-row" },
    el("div", {}, el("b", {}, el("bdi", {}, one.email)), el("p", { class: "muted" }, `Works until ${shortDay(one.expires_at)}`)),
    el("button", { type: "button", class: "small", "data-act": "withdraw", "aria-label": `Withdraw the invitation of ${one.email}`, onclick: () => end(`/api/account-invitations/${one.id}`, "invite-title") }, "Withdraw"),
  );
}

onForm("invite-form", async ({ email }) => {
  const made = await api("POST", "/api/account-invitations", { email: email.trim() });
  $("invite-form").reset();
  $("invited").hidden = !made.link;
  $("invited-link").value = made.link ?? "";
  lookNow();
  return made.link ? `Send this link to ${made.email} yourself: it is shown this once.` : `An invitation is on its way to ${made.email}.`;
});
addEventListener("pagehide", () => ($("invited-link").value = ""));

// --- the way out ------------------------------------------------------------------------------------------

opens("delete", "delete-dialog");
const named = () => $("delete-name").value.trim().toLowerCase() === profile.email.toLowerCase();
$("delete").addEventListener("click", () => {
  $("delete-who").textContent = profile.email;
  $("delete-go").disabled = true;
});
$("delete-name").addEventListener("input", () => ($("delete-go").disabled = !named()));
onForm("delete-form", async () => {
  if (!named()) return;
  await api("DELETE", "/api/account", {});
  location.assign("/sign-in");
});

// --- all of it --------------------------------------------------------------------------------------------

async function look() {
  const asked = ["/api/profile", "/api/sign-ins", "/api/passkeys"].map((path) => api("GET", path));
  const [fresh, { sign_ins: signIns }, passkeys] = await Promise.all(asked);
  showProfile(fresh);
  showPasskeys(passkeys);
  const shown = signIns.map(({ last_used_at: at, created_at: since, id, device, address, current }) => ({ id, device, address, current, used: current ? "" : ago(at), since: ago(since) }));
  fill($("sign-ins"), shown, (one) => one.id, signInRow);
  $("end-others").hidden = signIns.length < 2;
  if (!profile.owner) return;
  const { invitations } = await api("GET", "/api/account-invitations");
  fill($("invitations"), invitations, (one) => one.id, invitationRow);
}

const lookNow = keepLooking(15000, look);
