// The agent's connections as cards: how each is, who is heard, trying it, new credentials, an end of it.
import { accessField } from "./access.js";
import { credentials } from "./credentials.js";
import { api, drop, el, plural, say, shortDay } from "./dash.js";
import { sure } from "./sure.js";

const STATES = { ok: ["ok", "Connected"], auth_needed: ["warn", "Signed out"], unavailable: ["warn", "Not reachable; it is tried again by itself"] };
const stop = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
const asking = (title, text, go, act) => sure(title, text, go, async () => (await act(), null));

/** Tries a connection: what came of it in words, and whether it works. */
export async function tryOut(id) {
  try {
    const { sent } = await api("POST", `/api/connections/${id}/test`);
    const words = sent ? "A message is on its way to you." : "Nobody was written to: you do not use this bot, or your agent does not know you as its operator.";
    return { words: `It works. ${words}`, well: true };
  } catch (error) {
    return { words: error.message, well: false };
  }
}

/** Keeps `list` showing cards. `fieldsOf(platform)` gives the settings of its bots; `look` reads everything anew. */
export function botCards(list, { fieldsOf, look }) {
  const cards = new Map(); // by the connection's id: what is typed into one stays while others change

  async function test(bot) {
    result(bot, "Asking …", true);
    const { words, well } = await tryOut(bot.id);
    result(bot, words, well);
    say(`${bot.name}: ${words}`);
    look();
  }

  function result({ id }, words, well) {
    const at = cards.get(id)?.result;
    if (!at) return; // it was disconnected meanwhile
    at.className = well ? "note" : "note warn";
    at.textContent = words;
    at.hidden = !words;
  }

  function end(bot) {
    const where = bot.kind === "shared" ? "The people who use the gateway’s bot for your agent are no longer heard." : "Nobody can be written to by this bot any more, and what waits is not sent.";
    const leave = async () => {
      await drop(`/api/connections/${bot.id}`);
      return () => (say(`${bot.name} is disconnected`), list.focus(), look());
    };
    sure(["Disconnect ", el("bdi", {}, bot.name)], `${where} The conversations stay to be read.`, "Disconnect", leave, bot.name);
  }

  async function again(bot) {
    try {
      location.assign((await api("POST", `/api/oauth/start/${bot.provider}`)).auth_url);
    } catch (error) {
      result(bot, error.message, false);
    }
  }

  async function openRenewal(bot) {
    const { renewal } = cards.get(bot.id);
    if (!renewal.firstChild) renewal.append(renewalForm(bot, credentials(await fieldsOf(bot.platform), { renewing: true })));
    renewal.hidden = false;
    renewal.querySelector("input").focus();
  }

  function renewalForm(bot, fields) {
    const error = el("p", { class: "error", role: "alert" });
    const close = () => ((cards.get(bot.id).renewal.hidden = true), cards.get(bot.id).renew.focus());
    const form = el(
      "form",
      { novalidate: true, autocomplete: "off" },
      el("p", { class: "muted" }, "New credentials of the same bot. What you leave empty stays as it is."),
      ...fields.nodes,
      error,
      el("div", { class: "actions" }, el("button", { class: "button strong" }, "Save"), el("button", { type: "button", class: "quiet", onclick: close }, "Not now")),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      error.textContent = "";
      const { bot_token: token, ...settings } = fields.typed();
      if (!token && !Object.keys(settings).length) return (error.textContent = "Nothing was typed.");
      try {
        await api("PATCH", `/api/connections/${bot.id}`, { ...(token && { bot_token: token }), settings });
        fields.clear();
        close();
        result(bot, "The platform takes the new credentials.", true);
        look();
      } catch (refusal) {
        error.textContent = fields.refused(refusal);
      }
    });
    return form;
  }

  function card(bot, title) {
    const heading = `bot-${bot.id}`;
    const line = el("p", { class: "state-line" }, el("span", { class: "dot", "aria-hidden": "true" }), el("span", {}));
    const [detail, about] = [el("p", { class: "error" }), el("p", { class: "muted small-print" })];
    const [note, renewal] = [el("p", { hidden: true }), el("div", { class: "renewal", hidden: true })];
    const access = accessField(bot, asking);
    const named = (words, act) => el("button", { type: "button", "aria-label": `${words}: ${bot.name}`, onclick: act }, words);
    const renew = bot.kind === "shared" ? null : bot.provider ? named("Sign in again", () => again(bot)) : named("New credentials", () => openRenewal(bot));
    const node = el(
      "li",
      {},
      el(
        "section",
        { class: "card bot-card", "aria-labelledby": heading },
        el("div", { class: "h" }, el("h3", { id: heading }, el("bdi", {}, bot.name)), el("span", { class: "tag" }, title)),
        line,
        detail,
        about,
        access.node,
        note,
        renewal,
        el("div", { class: "actions" }, named("Test", () => test(bot)), renew, named("Disconnect", () => end(bot))),
      ),
    );
    list.append(node);
    return { node, line, detail, about, access, result: note, renewal, renew };
  }

  function showOne(bot, title) {
    if (!cards.has(bot.id)) cards.set(bot.id, card(bot, title));
    const shown = cards.get(bot.id);
    const [tone, words] = STATES[bot.status] ?? ["", "Connecting"];
    shown.line.firstChild.className = `dot ${tone}`;
    shown.line.lastChild.textContent = words;
    shown.detail.replaceChildren(...(bot.detail && bot.status !== "ok" ? [el("bdi", {}, stop(bot.detail))] : []));
    const waits = bot.waiting ? `${plural(bot.waiting, "message")} ${bot.waiting === 1 ? "waits" : "wait"} to go out` : "nothing waits to go out";
    shown.about.textContent = `${bot.kind === "shared" ? "People on the gateway’s bot" : "A bot of your own"}, since ${shortDay(bot.created_at)}; ${waits}.`;
    shown.access.show(bot.access);
  }

  /** `bots` as `GET /api/connections` tells them; `platforms` by name, with `title` and `oauth_provider`. */
  return (bots, platforms) => {
    const there = new Set(bots.map(({ id }) => id));
    for (const [id, { node }] of cards) if (!there.has(id)) node.remove(), cards.delete(id);
    for (const bot of bots) {
      const { title = bot.platform, oauth_provider: provider } = platforms.get(bot.platform) ?? {};
      showOne({ ...bot, provider: bot.by_oauth ? provider : null }, title);
    }
  };
}
