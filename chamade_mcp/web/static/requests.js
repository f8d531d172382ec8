// Strangers who ask to be let in: their codes, and the owner's word on them.
import { $, ago, api, el, fill, plural, say, trouble } from "./dash.js";
import { sure } from "./sure.js";

const SHOWN = 5;

let requests = [];

const nameOf = (request) => request.name || request.sender_id;

function row(request) {
  const { bot, code, name, platform, sender_id: sender, asked } = request;
  const whom = nameOf(request);
  const about = [[platform, bot && `to ${bot}`].filter(Boolean).join(", "), asked];
  return el(
    "li",
    { class: "request" },
    el(
      "div",
      {},
      el("div", { class: "name" }, el("b", {}, el("bdi", {}, whom)), name ? el("code", { class: "sender" }, el("bdi", {}, sender)) : null),
      el("p", {}, el("bdi", {}, about.join(" · "))),
    ),
    el("p", { class: "code" }, el("span", { class: "sr-only" }, "Code "), el("code", {}, code)),
    el(
      "div",
      { class: "row-acts" },
      el("button", { type: "button", class: "quiet small", "data-act": "deny", "aria-label": `Keep out ${whom}`, onclick: () => askDeny(request) }, "Keep out"),
      el("button", { type: "button", class: "small", "data-act": "approve", "aria-label": `Let in ${whom}`, onclick: () => approve(request) }, "Let in"),
    ),
  );
}

/** The request is settled, here or elsewhere; the keyboard's focus goes to what is left. */
function gone(request, words) {
  requests = requests.filter((one) => one.id !== request.id);
  showRequests();
  $(requests.length ? "requests-title" : "main").focus();
  say(words);
}

async function approve(request) {
  try {
    await api("POST", `/api/pairings/${request.id}/approve`);
    gone(request, `${nameOf(request)} is let in`);
  } catch (error) {
    if (error.status === 404) gone(request, "The request has expired");
    else trouble(error.message, 8000);
  }
}

function askDeny(request) {
  const whom = nameOf(request);
  const what = "What they write reaches nobody, and they cannot ask again. They are not told.";
  sure(["Keep ", el("bdi", {}, whom), " out"], what, "Keep them out", async () => {
    try {
      await api("POST", `/api/pairings/${request.id}/deny`);
    } catch (error) {
      if (error.status !== 404) throw error;
    }
    return () => gone(request, `${whom} is kept out`);
  });
}

export async function readRequests() {
  ({ pairings: requests } = await api("GET", "/api/pairings?status=pending"));
}

let titles = new Map();

export function showRequests(known = titles) {
  titles = known;
  const shown = requests.slice(0, SHOWN).map((request) => ({ ...request, platform: titles.get(request.platform) ?? request.platform, asked: ago(request.created_at) }));
  fill($("requests"), shown, (request) => request.id, row);
  const more = requests.length - shown.length;
  $("requests-more").textContent = more ? `And ${plural(more, "other")}.` : "";
  $("requests-more").hidden = !more;
  $("requests-card").hidden = !requests.length;
}
