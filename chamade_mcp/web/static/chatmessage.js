// A message of a private chat: what it answers, the reactions to it, and the way to what can be done to it.
import { el, icon } from "./dom.js";
import { gist, Message } from "./message.js";

/** Emoji in the order in which they came, each with those who put it there. */
function grouped(reactions) {
  const groups = new Map();
  for (const reaction of reactions) groups.set(reaction.emoji, [...(groups.get(reaction.emoji) ?? []), reaction]);
  return [...groups];
}

/** `thread` has `find(id)` (a message here, or undefined), `show(id)`, `onreact(message, emoji, on)` and `deeds`. */
export class ChatMessage extends Message {
  #quote = null;
  #reactions = null;
  #more = null;

  constructor(message, around) {
    super(message, around);
    this.refreshQuote();
    this.#react();
    this.#offer();
  }

  update(message) {
    const changed = super.update(message);
    if (changed.includes("reply_to")) this.refreshQuote();
    if (changed.includes("reactions")) this.#react();
    this.#offer();
    return changed;
  }

  /** The quoted message may have become another one, or only now be here. */
  refreshQuote() {
    const { reply_to: id } = this.message;
    const quoted = id && this.thread.find(id)?.message;
    const words = quoted ? [el("bdi", {}, quoted.sender), ` ${gist(quoted)}`] : ["An earlier message"];
    const kind = quoted ? "button" : "p";
    const act = quoted ? { type: "button", title: "Show the message", onclick: () => this.thread.show(id) } : {};
    const quote = id ? el(kind, { class: "quote", dir: "auto", ...act }, el("span", {}, ...words)) : null;
    this.#quote?.remove();
    if (quote) this.said.before(quote);
    this.#quote = quote;
  }

  /** Where the focus goes back to. */
  focus() {
    (this.#more ?? this.node).focus();
  }

  #react() {
    const focused = this.#reactions?.contains(document.activeElement) ? document.activeElement.dataset.emoji : null;
    const groups = grouped(this.message.reactions ?? []);
    const list = groups.length ? el("ul", { class: "reactions", "aria-label": "Reactions" }) : null;
    for (const [emoji, by] of groups) list.append(el("li", {}, this.#reaction(emoji, by)));
    if (this.#reactions) this.#reactions.remove();
    if (list) this.said.after(list);
    this.#reactions = list;
    if (focused === null) return;
    const again = [...(list?.querySelectorAll("button") ?? [])].find((button) => button.dataset.emoji === focused);
    if (again) again.focus();
    else this.focus();
  }

  #reaction(emoji, by) {
    const mine = by.some((reaction) => reaction.sender_id === this.thread.you);
    const names = by.map((reaction) => (reaction.sender_id === this.thread.you ? "you" : reaction.sender)).join(", ");
    const toggle = () => this.thread.onreact(this.message, emoji, !mine);
    const about = { "aria-pressed": String(mine), "aria-label": `${emoji} by ${names}`, title: names, "data-emoji": emoji };
    return el("button", { type: "button", ...about, onclick: toggle }, emoji, by.length > 1 ? el("small", {}, by.length) : null);
  }

  #offer() {
    const offered = this.message.id && !this.message.deleted;
    if (offered && !this.#more) {
      const label = `Actions for this message of ${this.message.sender}`;
      const about = { type: "button", class: "more", "aria-label": label, title: "Actions", "aria-expanded": "false" };
      this.#more = el("button", { ...about, onclick: () => this.thread.deeds.toggle(this, this.#more) }, icon("dots"));
      this.node.append(this.#more);
    } else if (!offered && this.#more) {
      if (this.node.contains(document.activeElement)) this.node.focus();
      this.thread.deeds.close();
      this.#more.remove();
      this.#more = null;
    }
  }
}
