// Every platform that this gateway can reach, how it is with each, and all of the agent's bots.
import { botCards } from "./bots.js";
import { $, api, el, fill, follow, keepLooking, plural, tile } from "./dash.js";
import { abilities, stateOf } from "./platformwords.js";

const fieldsOf = async (platform) => (await api("GET", `/api/platforms/${platform}`)).ways.find(({ kind }) => kind === "bot").fields;
const showBots = botCards($("bots"), { fieldsOf, look: () => lookNow() });

function card({ platform, title, about, can, tone, words, detail, go }) {
  return el(
    "li",
    {},
    el(
      "section",
      { class: "card platform", "aria-labelledby": `on-${platform}` },
      el("div", { class: "h" }, el("span", { class: "pf", "aria-hidden": "true" }, tile(title)), el("h2", { id: `on-${platform}` }, title)),
      el("p", { class: "state-line" }, el("span", { class: `dot ${tone}`, "aria-hidden": "true" }), el("span", {}, words)),
      detail && el("p", { class: "error" }, el("bdi", {}, detail)),
      el("p", { class: "muted" }, about),
      el("p", { class: "small-print muted" }, can),
      el("div", { class: "actions" }, el("a", { class: "button", href: `/dashboard/platforms/${platform}`, "data-act": "open", "aria-label": `${go}: ${title}` }, go)),
    ),
  );
}

async function look() {
  const [{ platforms, connections: ties }, { connections }] = await Promise.all([api("GET", "/api/platforms"), api("GET", "/api/connections")]);
  const embedded = new Set(ties.filter((one) => one.embedded).map(({ platform }) => platform));
  const cards = platforms
    .filter(({ available }) => available)
    .map(({ platform, title, about, ...rest }) => {
      const mine = connections.filter((one) => one.platform === platform);
      return { platform, title, about, can: abilities(rest), ...stateOf(mine, embedded.has(platform), rest.status) };
    });
  fill($("platforms"), cards, ({ platform }) => platform, card);
  showBots(connections, new Map(platforms.map((one) => [one.platform, one])));
  $("bots-empty").hidden = connections.length > 0;
  $("bots-count").textContent = connections.length ? plural(connections.length, "connection") : "";
}

// What the address says of connecting a platform is on the page by now: reloading is not to say it again.
if ($("returned")) history.replaceState(null, "", "/dashboard/platforms");

const lookNow = keepLooking(10000, look);
follow(lookNow);
