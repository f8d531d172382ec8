// The messages of a room or a private chat: one list, days divided, nothing shown twice.
import { $, el } from "./dom.js";
import { plain } from "./plain.js";

const TOGETHER_MS = 5 * 60 * 1000;
const TYPING_MS = 5000;
const NEAR_END_PX = 80;

const day = new Intl.DateTimeFormat([], { weekday: "long", day: "numeric", month: "long" });

export function dayName(date) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : day.format(date);
}

export class Thread {
  #list = $("messages");
  #end = $("to-end");
  #typing = $("typing");
  #spoken = $("spoken");
  #shown = new Map(); // by id
  #sent = new Map(); // what you said or did on this visit, by key: {view, undo}
  #last = null;
  #typists = new Map();

  /** Your id, once the gateway has told it. */
  you = "";

  /**
   * `Message` is the class of what it shows. `onretry(key)` is called when the person wants something sent again;
   * a private chat has `onreact(message, emoji, on)` and `deeds` (of deeds.js), too.
   */
  constructor({ Message, onretry, onreact, deeds }) {
    Object.assign(this, { Message, onretry, onreact, deeds });
    this.#list.addEventListener("scroll", () => this.#atEnd() && (this.#end.hidden = true));
    this.#end.addEventListener("click", () => this.scrollToEnd());
    // The list's height changes with the window, the keyboard and the composer: the end stays in view.
    let near = true;
    this.#list.addEventListener("scroll", () => (near = this.#atEnd()), { passive: true });
    new ResizeObserver(() => near && this.scrollToEnd()).observe(this.#list);
  }

  get empty() {
    return this.#last === null;
  }

  find(id) {
    return this.#shown.get(id);
  }

  /** The newest message you can still change, if there is one. */
  get lastOfYours() {
    const mine = [...this.#shown.values()].filter((view) => view.mine && !view.message.deleted);
    return mine.at(-1)?.message;
  }

  /** Adds a message of the gateway, or makes one that is there what it is now; whether it is new. */
  add(message) {
    if (this.#shown.has(message.id)) {
      this.revise(message);
      return false;
    }
    // Your own is on the page since you sent it; whether it is stored, the acknowledgement tells.
    const sent = message.sender_id === this.you && this.#sent.get(message.key)?.view;
    if (sent) sent.update(message);
    else this.stopTyping(message.sender_id);
    this.#shown.set(message.id, sent || this.#append(message));
    return !sent;
  }

  /** A message as it is now; returns what a listener would have to be told of it. */
  revise(message) {
    const view = this.#shown.get(message.id);
    if (!view) return "";
    const before = view.message;
    const wasAtEnd = this.#atEnd();
    view.update(message);
    for (const one of this.#shown.values()) if (one.message.reply_to === message.id) one.refreshQuote();
    if (wasAtEnd) this.scrollToEnd();
    if (message.deleted) return before.deleted ? "" : `${message.sender} deleted a message`;
    if (message.text !== before.text) return `${message.sender} edited a message: ${plain(message.text)}`;
    const had = new Set(before.reactions.map((r) => r.sender_id + r.emoji));
    const fresh = message.reactions.filter((r) => r.sender_id !== this.you && !had.has(r.sender_id + r.emoji));
    return fresh.map((r) => `${r.sender} reacted ${r.emoji}`).join(", ");
  }

  /** Goes to a message. */
  show(id) {
    const { node } = this.#shown.get(id);
    node.scrollIntoView({ block: "center" });
    node.focus({ preventScroll: true });
    node.classList.remove("found");
    requestAnimationFrame(() => node.classList.add("found"));
  }

  /** Shows your own message before the gateway has it. */
  pending(message) {
    const at = new Date().toISOString();
    const view = this.#append({ kind: "person", at, sender_id: this.you, reactions: [], ...message });
    view.node.classList.add("pending");
    this.#sent.set(message.key, { view, undo: null });
    this.scrollToEnd();
  }

  /** Shows what you did to a message before the gateway has it: what `changed` has of it. */
  changing(key, id, changed) {
    const view = this.#shown.get(id);
    const truth = view.message;
    view.update({ ...truth, ...changed });
    view.node.classList.add("pending");
    this.#sent.set(key, { view, undo: () => view.update(truth) });
  }

  settled(key) {
    const node = this.#sent.get(key)?.view.node;
    node?.classList.remove("pending", "failed");
    node?.querySelector(".unsent")?.remove();
  }

  /** Says under your message why it was not sent, or changed; `again` offers to try again. */
  failed(key, reason, again) {
    if (!this.#sent.has(key)) return;
    const { view, undo } = this.#sent.get(key);
    const { node } = view;
    this.settled(key);
    if (!again) undo?.();
    node.classList.toggle("failed", again || !undo);
    const retry = () => {
      this.settled(key);
      node.classList.add("pending");
      this.onretry(key);
    };
    const button = again ? el("button", { type: "button", class: "small", onclick: retry }, "Try again") : null;
    node.append(el("div", { class: "unsent", role: "alert" }, `${undo ? "Not changed" : "Not sent"}. ${reason}`, button));
    if (this.#atEnd(200)) this.scrollToEnd();
  }

  /** Reads a message of somebody else out to screen readers. */
  announce(message) {
    const files = message.attachments.map((file) => `file ${file.name}`).join(", ");
    this.say(`${message.sender}: ${[plain(message.text), files].filter(Boolean).join(", ")}`);
  }

  say(words) {
    if (words) this.#spoken.textContent = words;
  }

  /** A line of the page's own among the messages; read out, too. */
  note(text) {
    const wasAtEnd = this.#atEnd();
    this.#list.append(el("li", { class: "remark" }, text));
    if (this.#last) this.#last.from = ""; // whoever writes next gets a heading
    this.#spoken.textContent = text;
    if (wasAtEnd) this.scrollToEnd();
  }

  typing(id, name) {
    clearTimeout(this.#typists.get(id)?.timer);
    const timer = setTimeout(() => this.stopTyping(id), TYPING_MS);
    this.#typists.set(id, { name, timer });
    this.#showTyping();
  }

  stopTyping(id) {
    clearTimeout(this.#typists.get(id)?.timer);
    if (this.#typists.delete(id)) this.#showTyping();
  }

  scrollToEnd() {
    this.#list.scrollTop = this.#list.scrollHeight;
    this.#end.hidden = true;
  }

  #showTyping() {
    const names = [...this.#typists.values()].map((typist) => typist.name);
    const who = names.length > 2 ? `${names.length} people` : names.join(" and ");
    this.#typing.classList.toggle("on", names.length > 0);
    if (who) this.#typing.lastElementChild.textContent = `${who} ${names.length > 1 ? "are" : "is"} typing`;
  }

  #atEnd(slack = NEAR_END_PX) {
    return this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < slack;
  }

  #append(message) {
    const wasAtEnd = this.#atEnd();
    const at = new Date(message.at);
    const sameDay = this.#last && at.toDateString() === this.#last.at.toDateString();
    if (!sameDay) this.#list.append(el("li", { class: "day" }, el("span", {}, dayName(at))));
    const last = this.#last;
    const { sender_id: from, sender } = message;
    // Two people may have one name; one person who takes another name gets a new heading.
    const together = sameDay && last.from === from && last.sender === sender && at - last.at < TOGETHER_MS;
    const view = new this.Message(message, { together, thread: this });
    this.#list.append(view.node);
    this.#last = { at, from, sender };
    if (wasAtEnd) this.scrollToEnd();
    else this.#end.hidden = false;
    return view;
  }
}
