// Platforms in words: what can be done there, and how it is with the agent's connections.
const VOICE = { audio_in: "hears", audio_out: "speaks" };
const MESSAGES = { reply: "replies", threads: "threads", edit: "edits", delete: "deletions", react: "reactions", read_receipts: "read receipts" };

/** "Messages, files, typing, replies. Calls: hears and speaks." */
export function abilities({ capabilities, files, messages }) {
  const chat = capabilities.includes("read") || capabilities.includes("write");
  const some = [chat && "messages", files && "files", capabilities.includes("typing") && "typing", ...messages.map((one) => MESSAGES[one])].filter(Boolean);
  const voice = capabilities.map((one) => VOICE[one]).filter(Boolean);
  const words = some.join(", ");
  return `${words && `${words[0].toUpperCase()}${words.slice(1)}.`}${voice.length ? ` Calls: the agent ${voice.join(" and ")}.` : ""}`.trim();
}

/** Two by their names, more by the first and a number. */
function together(mine) {
  const names = [...new Set(mine.map(({ name }) => name))];
  return names.length > 2 ? `${names[0]} and ${names.length - 1} others` : names.join(" and ");
}

/** The dot's tone, the state in words, the platform's words where it is not well, and what to do. */
export function stateOf(mine, embedded, status) {
  if (embedded) return { tone: "ok", words: "Always on", detail: null, go: "Let people in" };
  const out = mine.find((one) => one.status === "auth_needed");
  if (out) return { tone: "warn", words: `Signed out: ${out.name}`, detail: out.detail, go: "Connect it again" };
  const away = mine.find((one) => one.status === "unavailable");
  if (away) return { tone: "warn", words: `Not reachable: ${away.name}`, detail: away.detail, go: "Look at it" };
  if (mine.length) return { tone: mine.every((one) => one.status === "ok") ? "ok" : "", words: `Connected as ${together(mine)}`, detail: null, go: "Manage" };
  const shared = status.startsWith("available");
  return { tone: "", words: shared ? "Not connected; this gateway has a bot for it" : "Not connected", detail: null, go: "Connect" };
}
