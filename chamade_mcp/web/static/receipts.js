// Tells the gateway which of the agent's messages are on the page, and which the person has had before their eyes.
import { $ } from "./dom.js";

const EVERY_MS = 500;
const MOST = 200; // what one receipt may name

export class Receipts {
  #list = $("messages");
  #open = new Map(); // by id: {node, state}
  #timer = 0;

  /** `send(message)` returns whether it was sent. */
  constructor({ send }) {
    this.send = send;
    this.#list.addEventListener("scroll", () => this.#soon(), { passive: true });
    document.addEventListener("visibilitychange", () => this.#soon());
    new ResizeObserver(() => this.#soon()).observe(this.#list);
  }

  /** A message of the gateway is shown as `node`; how far it has got, the gateway says. */
  shown({ id, receipt }, node) {
    if (!receipt || receipt === "read") return this.#open.delete(id);
    this.#open.set(id, { node, state: receipt });
    this.#soon();
  }

  #soon() {
    if (this.#open.size) this.#timer ||= setTimeout(() => this.#tell(), EVERY_MS);
  }

  #tell() {
    this.#timer = 0;
    const read = [...this.#open].filter(([, { node }]) => this.#seen(node)).map(([id]) => id);
    if (this.#say("read", read)) for (const id of read.slice(0, MOST)) this.#open.delete(id);
    const sent = [...this.#open].filter(([, { state }]) => state === "sent").map(([id]) => id);
    if (this.#say("delivered", sent)) for (const id of sent.slice(0, MOST)) this.#open.get(id).state = "delivered";
    if (read.length > MOST || sent.length > MOST) this.#soon();
  }

  #say(state, ids) {
    return ids.length > 0 && this.send({ type: "receipt", state, ids: ids.slice(0, MOST) });
  }

  /** A message counts as read once its end has been in view. */
  #seen(node) {
    if (document.hidden || !this.#list.clientHeight) return false;
    const { bottom } = node.getBoundingClientRect();
    const view = this.#list.getBoundingClientRect();
    return bottom > view.top && bottom <= view.bottom + 1;
  }
}
