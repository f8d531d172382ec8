// All webhooks of the agent, and a new one.
import { $, api, el, fill, keepLooking, plural } from "./dash.js";
import { askForWebhook, onWebhook, showSecret, stateOf } from "./webhookform.js";
import { nameOf } from "./webhookname.js";

function row({ id, name, url, tone, state, events }) {
  return el(
    "li",
    {},
    el(
      "a",
      { class: "hook-row", href: `/dashboard/webhooks/${id}`, "data-act": "open" },
      el("span", { class: `dot ${tone}`, "aria-hidden": "true" }),
      el(
        "div",
        {},
        el("div", { class: "name" }, el("b", {}, el("bdi", {}, name))),
        el("p", {}, el("bdi", {}, url)),
        el("p", {}, state),
      ),
      el("span", { class: "tag" }, events.length ? plural(events.length, "event") : "all events"),
    ),
  );
}

async function look() {
  const { webhooks } = await api("GET", "/api/webhooks");
  const shown = webhooks.map((webhook) => {
    const [tone, state] = stateOf(webhook);
    return { id: webhook.id, name: nameOf(webhook), url: webhook.url, tone, state, events: webhook.events };
  });
  fill($("webhooks"), shown, (webhook) => webhook.id, row);
  $("webhooks-empty").hidden = webhooks.length > 0;
}

const lookNow = keepLooking(10000, look);

$("create").addEventListener("click", () => askForWebhook());
onWebhook("POST", "/api/webhooks", (webhook) => {
  showSecret(`${nameOf(webhook)} is added`, webhook.secret);
  lookNow();
});
