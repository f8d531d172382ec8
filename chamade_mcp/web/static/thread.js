// The messages of a room or a private chat: one list, days divided, nothing shown twice.
import { $, agentSuffix, el, fileSize, icon, webAddress } from "./dom.js";
import { renderText } from "./text.js";

const TOGETHER_MS = 5 * 60 * 1000;
const TYPING_MS = 5000;
const NEAR_END_PX = 80;
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);

export const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat([], { weekday: "long", day: "numeric", month: "long" });

export function dayName(date) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : day.format(date);
}

export function attachment({ name, mime, size, url }) {
  const address = webAddress(url);
  const opens = { href: address?.href, rel: "noopener noreferrer nofollow", target: "_blank" };
  if (address?.origin === location.origin && PICTURES.has(mime)) {
    const picture = el("img", { src: address.href, alt: name, loading: "lazy", decoding: "async" });
    return el("a", { class: "picture", ...opens }, picture);
  }
  const words = el("span", { class: "words" }, el("bdi", {}, name), el("small", {}, fileSize(size)));
  return el(address ? "a" : "div", { class: "file", ...opens }, icon("file"), words);
}

export class Thread {
  #list = $("messages");
  #end = $("to-end");
  #typing = $("typing");
  #spoken = $("spoken");
  #shown = new Map(); // by id
  #sent = new Map(); // your own of this visit, by key
  #last = null;
  #typists = new Map();

  /** `onretry(key)` is called when the person wants an unsent message sent again. */
  constructor({ onretry }) {
    this.onretry = onretry;
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

  /** Adds a message of the gateway, `mine` if you wrote it; returns false when it was shown already. */
  add(message, mine) {
    if (this.#shown.has(message.id)) return false;
    // Your own is on the page since you sent it; whether it is stored, the acknowledgement tells.
    const sent = mine && this.#sent.get(message.key);
    if (!sent) this.stopTyping(message.sender_id);
    this.#shown.set(message.id, sent || this.#append(message));
    return !sent;
  }

  /** Shows your own message before the gateway has it; `you` is your participant id. */
  pending(key, you, sender, text, attachments) {
    const at = new Date().toISOString();
    const node = this.#append({ sender_id: you, sender, kind: "person", text, attachments, at });
    node.classList.add("pending");
    this.#sent.set(key, node);
    this.scrollToEnd();
  }

  settled(key) {
    const node = this.#sent.get(key);
    node?.classList.remove("pending", "failed");
    node?.querySelector(".unsent")?.remove();
  }

  /** Says under your message why it was not sent; `again` offers to send it again. */
  failed(key, reason, again) {
    const node = this.#sent.get(key);
    if (!node) return;
    this.settled(key);
    node.classList.add("failed");
    const retry = () => {
      this.settled(key);
      node.classList.add("pending");
      this.onretry(key);
    };
    const button = again ? el("button", { type: "button", class: "small", onclick: retry }, "Try again") : null;
    node.append(el("div", { class: "unsent", role: "alert" }, `Not sent. ${reason}`, button));
    if (this.#atEnd(200)) this.scrollToEnd();
  }

  /** Reads a message of somebody else out to screen readers. */
  announce(message) {
    const files = message.attachments.map((file) => `file ${file.name}`).join(", ");
    this.#spoken.textContent = `${message.sender}: ${[message.text, files].filter(Boolean).join(", ")}`;
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
    const node = this.#body(message, at, sameDay);
    this.#list.append(node);
    this.#last = { at, from: message.sender_id, sender: message.sender };
    if (wasAtEnd) this.scrollToEnd();
    else this.#end.hidden = false;
    return node;
  }

  #body({ sender_id: from, sender, kind, text, attachments, at: iso }, at, sameDay) {
    const last = this.#last;
    // Two people may have one name; one person who takes another name gets a new heading.
    const together = sameDay && last.from === from && last.sender === sender && at - last.at < TOGETHER_MS;
    const node = el("li", { class: `message ${kind}${together ? " together" : ""}` });
    const suffix = kind === "agent" ? agentSuffix(sender) : "";
    const when = el("time", { datetime: iso }, clock.format(at));
    const about = el("small", {}, when, suffix && ` · ${suffix}`);
    const disc = kind === "agent" ? el("span", { class: "agent-disc", "aria-hidden": "true" }, icon("wave")) : null;
    node.append(el("div", { class: "by" }, disc, el("bdi", {}, sender), about), renderText(text));
    for (const file of attachments) node.append(attachment(file));
    return node;
  }
}
