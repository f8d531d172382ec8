// Words for calls that were, which the list and the page of one share.
import { plural } from "./dash.js";
import { agentSuffix } from "./dom.js";

const ALIVE = new Set(["connecting", "ringing", "active"]);
const STATES = { connecting: "Joining", ringing: "Ringing", active: "Live", missed: "Missed", refused: "Refused", disconnected: "Connection lost" };

export const isAlive = ({ state }) => ALIVE.has(state);

/** "" for a call that ended as calls do. */
export const stateOf = ({ state }) => STATES[state] ?? "";

export const toneOf = (call) => (isAlive(call) ? "live" : stateOf(call) ? "warn" : "ok");

export function whoOf({ people, caller, state }) {
  const names = people.filter(Boolean);
  if (names.length > 3) return `${names.slice(0, 2).join(", ")} and ${plural(names.length - 2, "other")}`;
  if (names.length) return names.join(names.length === 2 ? " and " : ", ");
  return caller || (ALIVE.has(state) ? "A call that is live" : "Nobody else was there");
}

export function agentOf({ agent_name: agent }) {
  const suffix = agentSuffix(agent);
  return suffix ? `${agent}, ${suffix}` : "AI agent";
}

/** "0:42", "1:02:03". */
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (!parts[0]) parts.shift();
  return parts.map((part, n) => (n ? String(part).padStart(2, "0") : part)).join(":");
}

/** "less than a minute", "12 min", "1 h 20 min"; null for a call that is not over. */
export function lengthOf({ created_at: from, ended_at: to }) {
  if (!to) return null;
  const minutes = Math.round((new Date(to) - new Date(from)) / 60000);
  if (minutes < 1) return "less than a minute";
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
