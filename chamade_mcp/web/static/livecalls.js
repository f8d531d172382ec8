// The calls of this moment: who is in them, and how loud each is, as the gateway measures it.
import { $, api, el, fill, icon, plural, trouble } from "./dash.js";
import { agentSuffix, initial, visible, webAddress } from "./dom.js";

const FACES = 6;
const SPEAKING = 0.12;
const LINGER_MS = 700; // a breath does not end a sentence

let stream = null;
let told = { calls: [], pairings: null };
let looked = () => {};
let settling = 0;
const spoke = new Map(); // when each was heard last, by call and person

function title({ state, caller, participants }) {
  const names = participants.filter(Boolean);
  if (state === "ringing") return `${caller || "Somebody"} is calling`;
  if (names.length > 2) return `${names.slice(0, 2).join(", ")} and ${plural(names.length - 2, "other")}`;
  if (names.length) return names.join(" and ");
  return state === "connecting" ? "Joining" : "Nobody else is there yet";
}

/** One who is heard: their disc wears the ring. */
const face = (id, inner, agent) => el("i", { class: agent ? "disc agent" : "disc", "data-id": id }, inner);

function faces({ state, participants }, people) {
  if (state === "ringing") return el("span", { class: "dot live", "aria-hidden": "true" });
  const known = people ?? participants.map((name, at) => ({ id: `${at}`, name }));
  const shown = known.slice(0, FACES).map(({ id, name }) => face(id, initial(name), false));
  return el("span", { class: "faces", "aria-hidden": "true" }, ...shown, face("agent", icon("wave"), true));
}

function row(call) {
  const { call_id: id, state, platform, agent_name: agent, minutes, meeting_url: url, people } = call;
  const ringing = state === "ringing";
  const suffix = agentSuffix(agent);
  const about = [platform, suffix ? `${agent}, ${suffix}` : "AI agent", ringing ? null : minutes < 1 ? "less than a minute" : `${minutes} min`];
  const open = ringing ? null : webAddress(url);
  return el(
    "li",
    { "data-call": id },
    faces(call, people),
    el(
      "div",
      { class: "call" },
      el("div", { class: "name" }, el("b", {}, el("bdi", {}, title(call))), ringing ? el("span", { class: "tag warn" }, "Ringing") : el("span", { class: "speaks" })),
      el("p", { class: "muted" }, about.filter(Boolean).join(" · ")),
    ),
    el(
      "div",
      { class: "row-acts" },
      el("button", { type: "button", class: "quiet", "data-act": "end", onclick: () => end(id, ringing) }, ringing ? "Decline" : "Hang up"),
      open && el("a", { class: "button", href: open.href, target: "_blank", rel: "noopener", "data-act": "open" }, "Open"),
    ),
  );
}

function noCallRow() {
  return el(
    "li",
    { class: "none" },
    el("span", { class: "dot", "aria-hidden": "true" }),
    el(
      "div",
      { class: "call" },
      el("div", { class: "name" }, el("b", {}, "No call at the moment")),
      el("p", { class: "muted" }, "Start a room, and give its link to your agent and to the people it should meet."),
    ),
  );
}

async function end(id, ringing) {
  try {
    await (ringing ? api("POST", `/api/call/${id}/refuse`) : api("DELETE", `/api/call/${id}`));
  } catch (error) {
    // Over already is what was wanted.
    if (error.status !== 404 && error.status !== 409) trouble(error.message, 8000);
  }
  looked();
}

export function showCalls(calls, titles) {
  const seen = new Map(told.calls.map((one) => [one.call_id, one.people.map(({ id, name }) => ({ id, name }))]));
  const shown = calls.map(({ call_id, state, platform, agent_name, caller, participants, meeting_url, created_at: since }) => {
    const about = { call_id, state, agent_name, caller, participants, meeting_url, people: seen.get(call_id) };
    return { ...about, platform: titles.get(platform) ?? platform, minutes: Math.floor((Date.now() - new Date(since)) / 60000) };
  });
  if (shown.length) fill($("calls"), shown, (call) => call.call_id, row);
  else fill($("calls"), [{}], () => "none", noCallRow);
  showLevels();
}

// --- who speaks -------------------------------------------------------------------------------------------

function showLevels() {
  for (const { call_id: call, agent, room, people } of told.calls) {
    const node = $("calls").querySelector(`[data-call="${CSS.escape(call)}"]`);
    if (!node) continue;
    const heard = new Map([["agent", visible(agent)], ...people.map(({ id, level }) => [id, visible(level)])]);
    for (const disc of node.querySelectorAll(".disc")) disc.style.setProperty("--level", (heard.get(disc.dataset.id) ?? 0).toFixed(2));
    const speaking = (id, level) => {
      const key = `${call} ${id}`;
      if (level > SPEAKING) spoke.set(key, performance.now());
      return performance.now() - (spoke.get(key) ?? -Infinity) < LINGER_MS;
    };
    const names = people.filter(({ id }) => speaking(id, heard.get(id))).map(({ name }) => name || "Somebody");
    if (speaking("agent", heard.get("agent"))) names.push(names.length ? "the agent" : "The agent");
    if (speaking("room", visible(room)) && !names.length) names.push("Somebody");
    const words = names.length > 2 ? `${names.length} speak` : names.length ? `${names.join(" and ")} ${names.length > 1 ? "speak" : "speaks"}` : "";
    const speaks = node.querySelector(".speaks");
    if (speaks) speaks.textContent = words;
  }
}

const shapeOf = ({ calls, pairings }) => JSON.stringify([calls.map(({ call_id: id, state, people }) => [id, state, people.map((one) => [one.id, one.name])]), pairings]);

function take(now) {
  const changed = shapeOf(now) !== shapeOf(told);
  told = now;
  if (changed) spoke.clear();
  showLevels();
  // Nothing comes while nobody speaks: after the last word nobody says that it was that.
  clearTimeout(settling);
  settling = setTimeout(showLevels, LINGER_MS + 50);
  if (changed) looked(); // who came, went or rang, and strangers who ask
}

/** Follows while the page is seen; `look()` reads the page anew. */
export function followCalls(look) {
  looked = look;
  const open = () => {
    stream?.close();
    stream = document.hidden ? null : new EventSource("/api/live");
    if (stream) stream.onmessage = ({ data }) => take(JSON.parse(data));
  };
  document.addEventListener("visibilitychange", open);
  addEventListener("pagehide", () => stream?.close());
  addEventListener("pageshow", ({ persisted }) => persisted && open());
  open();
}
