// Connected apps: the programs that were let in by OAuth, and the end of that.
import { $, ago, api, drop, el, fill, keepLooking, say, shortDay } from "./dash.js";
import { pingAgents, verdictLine, verdictOf } from "./ping.js";
import { sure } from "./sure.js";

const MAY = {
  read: "Read the inbox, calls and transcripts",
  message: "Write messages and send files",
  call: "Join, answer and leave calls, hear and speak in them",
  manage: "Manage keys, links, apps and the profile",
};

const fact = (name, ...told) => el("div", {}, el("dt", {}, name), el("dd", {}, ...told));

function askRevoke({ id, client_name: name }) {
  sure(
    ["Take access back from ", el("bdi", {}, name)],
    "It is refused at once, and what it has open ends. It can ask you again.",
    "Take it back",
    async () => {
      await drop(`/api/grants/${id}`);
      return () => {
        $("apps-title").focus(); // the button that opened the dialog is about to go
        say(`${name} is not connected any more.`);
        lookNow();
      };
    },
  );
}

function card(app) {
  const { id, client_name: name, permissions } = app;
  const head = `app-${id}`;
  return el(
    "li",
    { class: "card app-card" },
    el("div", { class: "h" }, el("h2", { id: head }, el("bdi", {}, name)), el("button", { type: "button", class: "small", "data-act": "revoke", "aria-label": `Take access back from ${name}`, onclick: () => askRevoke(app) }, "Take access back")),
    el(
      "dl",
      { class: "facts", "aria-labelledby": head },
      fact("Known by", app.client_host ? el("bdi", {}, app.client_host) : "its own word: nobody has checked this name"),
      fact("May", el("ul", {}, ...permissions.map((one) => el("li", { class: one === "manage" ? "manage" : null }, MAY[one] ?? one)))),
      fact("Acts as", el("bdi", {}, app.agent_name)),
      fact("Let in", shortDay(app.created_at), `; at the latest on ${shortDay(app.expires_at)} it has to ask again`),
      fact("Last used", app.used ?? "never"),
    ),
    app.verdict && verdictLine(app.verdict),
  );
}

async function look() {
  const { grants } = await api("GET", "/api/grants");
  const shown = grants.map(({ last_used_at: at, ...app }) => ({ ...app, used: at && ago(at), verdict: verdictOf(app.id) }));
  fill($("apps"), shown, (app) => app.id, card);
  $("apps-empty").hidden = grants.length > 0;
  $("ping").hidden = grants.length === 0;
}

const lookNow = keepLooking(10000, look);
pingAgents(lookNow);
