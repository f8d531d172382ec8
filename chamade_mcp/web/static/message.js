// One message of a thread: who said what, and its files.
import { agentSuffix, el, fileSize, icon, webAddress } from "./dom.js";
import { plain } from "./plain.js";
import { renderText } from "./text.js";

const GIST = 120;
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);

export const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });

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

/** What a message says in one short line. */
export function gist({ text, attachments, deleted }) {
  if (deleted) return "a deleted message";
  const line = plain(text) || attachments.map((file) => file.name).join(", ");
  const characters = [...line];
  return characters.length > GIST ? `${characters.slice(0, GIST - 1).join("")}…` : line;
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export class Message {
  said = el("div", { class: "said" });

  /** `together`: it stands below another one of the same person. */
  constructor(message, { together, thread }) {
    this.thread = thread;
    this.message = message;
    const { sender, kind, at } = message;
    const suffix = kind === "agent" ? agentSuffix(sender) : kind === "host" ? "Person" : "";
    const about = el("small", {}, el("time", { datetime: at }, clock.format(new Date(at))), suffix && ` · ${suffix}`);
    const disc = kind === "agent" ? el("span", { class: "agent-disc", "aria-hidden": "true" }, icon("wave")) : null;
    const by = el("div", { class: "by" }, disc, el("bdi", {}, sender), about);
    this.node = el("li", { class: `message ${kind}${together ? " together" : ""}`, tabindex: "-1" }, by, this.said);
    this.#say();
  }

  get mine() {
    return this.message.sender_id === this.thread.you;
  }

  /** The message as it is now; what has not changed keeps its nodes, and with them the focus. Returns what has. */
  update(message) {
    const before = this.message;
    this.message = message;
    const changed = Object.keys(message).filter((part) => !same(before[part], message[part]));
    if (["text", "attachments", "edited_at", "deleted"].some((part) => changed.includes(part))) this.#say();
    return changed;
  }

  #say() {
    const { text, attachments, edited_at: edited, deleted } = this.message;
    if (deleted) return this.said.replaceChildren(el("p", { class: "gone" }, "This message was deleted"));
    this.said.replaceChildren(renderText(text), ...attachments.map(attachment));
    if (edited) this.said.append(el("small", { class: "edited", title: clock.format(new Date(edited)) }, "edited"));
  }
}
