// The page's side of the wire contract (connectors/web/README.md): one line that comes back by itself.

const BACKOFF_MS = [500, 1000, 2000, 4000, 8000];
const PING_MS = 4000;
const SILENT_MS = 12000; // three pings unanswered: the way is dead, whatever the socket says
const FINAL_CODES = { 4404: "gone", 4409: "replaced", 4429: "full", 1008: "foreign", 1009: "broken" };
const FINAL_REASONS = new Set(["revoked", "expired", "replaced", "full"]);

export const newKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");

/**
 * Events: `state` {state: "connecting"|"open"|"reconnecting"|"closed", reason}, and one per message of the
 * contract, named by its type, with the message.
 */
export class Wire {
  #listeners = new Map();
  #line;
  #timer = 0;
  #pinger = 0;
  #heard = 0;
  #attempt = 0;
  #welcomed = false;
  #unacked = new Map();

  state = "idle";
  rttMs = null;

  /** `line` is of line.js; `identity` is {name, guest, muted}, `guest` kept up to date here from `welcome`. */
  constructor(path, identity, line) {
    this.#line = line;
    // A worker's words may still be on their way when the line is closed: what they say no longer counts,
    // or a bare 4404 would take the place of the reason told before it.
    const live = (listener) => (value) => this.state !== "closed" && listener(value);
    line.onopen = live(() => this.#hello());
    line.ontext = live((text) => this.#receive(text));
    line.onclose = live((code) => this.#lost(code));
    this.url = new URL(path, location.href.replace(/^http/, "ws")).href;
    this.identity = identity;
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
  }

  on(type, listener) {
    const all = this.#listeners.get(type) ?? [];
    this.#listeners.set(type, [...all, listener]);
    return this;
  }

  open() {
    this.#attempt = 0;
    this.#connect("connecting");
  }

  /** Ends it for good; the same object can be opened again. */
  close(reason = "left") {
    this.#settle("closed", reason);
    this.#drop();
  }

  /** Sends a message if the room is open; returns whether it was sent. What bears a key goes through `keep`. */
  send(message) {
    if (!this.#welcomed) return false;
    this.#line.send(JSON.stringify(message));
    return true;
  }

  /** Keeps a message that has a `key` until it is acknowledged, over reconnects, always under the same key. */
  keep(message) {
    this.#unacked.set(message.key, message);
    this.send(message);
  }

  forget(key) {
    this.#unacked.delete(key);
  }

  #emit(type, detail) {
    for (const listener of this.#listeners.get(type) ?? []) listener(detail);
  }

  #settle(state, reason = "") {
    this.state = state;
    this.#emit("state", { state, reason });
  }

  #hurry() {
    if (this.state === "reconnecting" && this.#timer) this.#connect("reconnecting");
  }

  #drop() {
    clearTimeout(this.#timer);
    clearInterval(this.#pinger);
    this.#timer = 0;
    this.#welcomed = false;
    this.#line.close();
  }

  #connect(state) {
    this.#drop();
    if (this.state !== state) this.#settle(state);
    this.#line.open(this.url);
    this.#heard = performance.now();
    this.#pinger = setInterval(() => this.#ping(), PING_MS);
  }

  #hello() {
    const { name, guest, muted } = this.identity;
    this.#line.send(JSON.stringify({ type: "hello", name, guest: guest || null, muted }));
  }

  #ping() {
    if (performance.now() - this.#heard > SILENT_MS) this.#lost(0);
    else this.send({ type: "ping", t: performance.now() });
  }

  #lost(code) {
    this.#drop();
    if (code in FINAL_CODES) {
      this.#settle("closed", FINAL_CODES[code]);
      return;
    }
    if (this.state !== "reconnecting") this.#settle("reconnecting");
    const wait = BACKOFF_MS[Math.min(this.#attempt, BACKOFF_MS.length - 1)];
    this.#attempt += 1;
    // Spread out, so that a restarted gateway does not meet everybody in the same instant.
    this.#timer = setTimeout(() => this.#connect("reconnecting"), wait * (0.75 + Math.random() / 4));
  }

  #receive(text) {
    this.#heard = performance.now();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message.type === "welcome") this.#enter(message);
    else if (message.type === "pong") this.rttMs = performance.now() - message.t;
    else if (message.type === "ack") this.#unacked.delete(message.key);
    else if (message.type === "closed" && FINAL_REASONS.has(message.reason)) {
      this.close(message.reason);
      return;
    }
    this.#emit(message.type, message);
  }

  #enter(welcome) {
    this.identity.guest = welcome.guest;
    this.#welcomed = true;
    this.#attempt = 0;
    this.#line.ready();
    // Also what stands in `messages`: shown is not stored, and the same key is harmless.
    for (const message of this.#unacked.values()) this.send(message);
    this.send({ type: "ping", t: performance.now() });
    this.#settle("open");
  }
}
