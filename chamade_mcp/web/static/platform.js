// One platform: its connections, and every way to connect it, in steps with their forms.
import { ruleOptions } from "./access.js";
import { botCards, tryOut } from "./bots.js";
import { credentials } from "./credentials.js";
import { $, api, day, el, follow, icon, keepLooking, say } from "./dash.js";
import { stateOf } from "./platformwords.js";

const name = $("platform").dataset.platform;
const guides = [...document.querySelectorAll("[data-way]")];
let platform = null;

const fieldsOf = () => platform.ways.filter(({ kind }) => kind === "bot").flatMap(({ fields }) => fields).filter((field, at, all) => all.findIndex((one) => one.name === field.name) === at);
const showBots = botCards($("bots"), { fieldsOf, look: () => lookNow() });

// --- the forms --------------------------------------------------------------------------------------------

/** What stands in a form's place once its bot is connected. */
function connected(bot) {
  const words = el("p", { role: "status" });
  const test = async () => {
    words.textContent = "Asking …";
    const { words: became, well } = await tryOut(bot.id);
    words.textContent = became;
    words.className = well ? "" : "error";
  };
  const line = el("p", {}, el("b", {}, el("bdi", {}, bot.name)), " is connected. Go on with the next step.");
  return el("div", { class: "note column", tabindex: "-1" }, line, el("div", { class: "actions" }, el("button", { type: "button", class: "small", onclick: test }, "Test it")), words);
}

/** A form whose submission waits for `act(error)`; a second one meanwhile does nothing. */
function formOf(nodes, go, act) {
  const error = el("p", { class: "error", role: "alert" });
  const form = el("form", { novalidate: true, autocomplete: "off" }, ...nodes, error, el("div", { class: "actions" }, el("button", { class: "button strong" }, go)));
  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return; // not by `disabled`, which would take the keyboard's focus away
    busy = true;
    error.textContent = "";
    form.setAttribute("aria-busy", "true");
    try {
      await act(form);
    } catch (refusal) {
      error.textContent = refusal.told ?? refusal.message;
    } finally {
      busy = false;
      form.removeAttribute("aria-busy");
    }
  });
  return form;
}

function botForm(way, guide) {
  const fields = credentials(way.fields);
  const access = el("select", { id: `access-${guide.dataset.way}` }, ...ruleOptions());
  const heard = el("div", { class: "field" }, el("label", { for: access.id }, "Heard are"), access);
  const form = formOf([...fields.nodes, heard], "Connect", async () => {
    if (!fields.complete()) return;
    const { bot_token: token, ...settings } = fields.typed();
    try {
      const bot = await api("POST", "/api/bot-tokens", { platform: name, bot_token: token, settings, access: access.value });
      fields.clear();
      const instead = connected(bot);
      form.replaceWith(instead);
      instead.focus();
      known.set("connection", bot.id);
      fillIn(guide);
      lookNow();
    } catch (refusal) {
      refusal.told = fields.refused(refusal);
      throw refusal;
    }
  });
  form.addEventListener("input", ({ target }) => {
    const field = way.fields.find((one) => one.name === target.name);
    if (field?.kind !== "text") return;
    known.set(field.name, target.value.trim());
    fillIn(guide);
  });
  return form;
}

const leaveFor = async (method, path, key, body) => location.assign((await api(method, path, body))[key]);

function connectForm(way) {
  const fields = credentials(way.fields);
  return formOf(fields.nodes, `Go to ${platform.title}`, async () => {
    if (!fields.complete()) return;
    try {
      await leaveFor("POST", `/api/platforms/${name}/connect`, "url", fields.typed());
    } catch (refusal) {
      refusal.told = fields.refused(refusal);
      throw refusal;
    }
  });
}

const oauthForm = () => formOf([], `Go to ${platform.title}`, () => leaveFor("POST", `/api/oauth/start/${platform.oauth_provider}`, "auth_url"));

function linkForm(way, guide) {
  const url = el("input", { id: `link-${guide.dataset.way}`, readonly: true, spellcheck: "false" });
  const open = el("a", { class: "button", target: "_blank", rel: "noopener" }, "Open it");
  const until = el("p", { class: "muted small-print" });
  const picture = el("div", { class: "qr", role: "img", "aria-label": "The link as a QR code" });
  const made = el("div", { class: "copied", hidden: true }, el("label", { for: url.id }, "Link"), el("div", { class: "copy-row" }, url, copyButton(url.id), open), until, picture);
  const form = formOf([], "Make a link", async () => {
    const { url: link, expires_at: at, qr } = await api("POST", "/api/invite-link", { platform: name, kind: "chat", qr: true });
    picture.replaceChildren(new DOMParser().parseFromString(qr, "image/svg+xml").documentElement);
    url.value = link;
    open.href = link;
    until.textContent = `It is shown this once${at ? `, and works until ${day(at)}, ${new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}` : ""}.`;
    made.hidden = false;
    url.select();
    say("The link is made");
    lookNow();
  });
  const add = platform.invite_url && el("p", {}, el("a", { href: platform.invite_url, target: "_blank", rel: "noopener" }, "Add the gateway’s bot to a server"));
  return el("div", { class: "column" }, form, made, add);
}

const FORMS = { bot: botForm, connect: connectForm, oauth: oauthForm, link: linkForm };

// --- the steps --------------------------------------------------------------------------------------------

const known = new Map(); // what the steps' addresses are filled in with
const blank = new WeakMap(); // the words of each block before that

function fillIn(guide) {
  for (const code of guide.querySelectorAll("pre code")) {
    if (!blank.has(code)) blank.set(code, code.textContent);
    const words = blank.get(code);
    if (/\{[a-z_]+\}/.test(words)) code.textContent = words.replace(/(?<!\{)\{([a-z_]+)\}/g, (all, what) => known.get(what) || all);
  }
}

function copyButton(id) {
  return el("button", { type: "button", "data-copy": id }, icon("copy"), el("span", {}, "Copy"));
}

/** Blocks can be copied; links leave what was typed here alone. */
function furnish(guide) {
  guide.querySelectorAll(".code pre").forEach((pre, at) => {
    pre.id = `code-${guide.dataset.way}-${at}`;
    pre.parentElement.append(copyButton(pre.id));
  });
  for (const link of guide.querySelectorAll("a")) [link.target, link.rel] = ["_blank", "noopener"];
}

function begin(mine) {
  if (guides[0]) guides[0].open = !mine.length;
  for (const guide of guides) {
    const way = platform.ways[guide.dataset.way];
    furnish(guide);
    guide.querySelector(".here").append(FORMS[way.kind](way, guide));
  }
}

async function look() {
  const [told, { connections }] = await Promise.all([api("GET", `/api/platforms/${name}`), api("GET", "/api/connections")]);
  const first = platform === null;
  platform = told;
  const mine = connections.filter((one) => one.platform === name);
  if (first) begin(mine);
  const { tone, words } = stateOf(mine, told.status === "ok" && !mine.length, told.status);
  const [dot, line] = $("platform-state").children;
  dot.className = `dot ${tone}`;
  if (line.textContent !== words) line.textContent = words;
  showBots(mine, new Map([[name, told]]));
}

const lookNow = keepLooking(5000, look);
follow(lookNow);
