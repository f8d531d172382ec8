// What can be done to a message, below the message itself: react, reply, edit, delete.
import { el, icon } from "./dom.js";

const QUICK = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

export class Deeds {
  #open = null; // {message, button, node}

  /** `you()` is your id; `onreact(message, emoji, on)`, `onreply`, `onedit`, `ondelete` (message) do it. */
  constructor({ you, onreact, onreply, onedit, ondelete }) {
    Object.assign(this, { you, onreact, onreply, onedit, ondelete });
    document.addEventListener("pointerdown", ({ target }) => {
      if (this.#open && !this.#open.node.contains(target) && !this.#open.button.contains(target)) this.close();
    });
  }

  /** Opens below `message` (a Message), or closes there. */
  toggle(message, button) {
    const was = this.#open?.message;
    this.close();
    if (was === message) return;
    const node = el("div", { class: "deeds", role: "group", "aria-label": "Actions" });
    node.addEventListener("keydown", (event) => this.#key(event));
    this.#open = { message, button, node };
    button.setAttribute("aria-expanded", "true");
    this.#offer();
    button.after(node);
    node.scrollIntoView({ block: "nearest" });
    node.querySelector("button").focus();
  }

  close() {
    if (!this.#open) return;
    this.#open.button.setAttribute("aria-expanded", "false");
    this.#open.node.remove();
    this.#open = null;
  }

  #key(event) {
    const buttons = [...this.#open.node.querySelectorAll("button")];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") {
      event.stopPropagation();
      this.#back();
    } else if (step) {
      event.preventDefault();
      buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length].focus();
    }
  }

  #back() {
    const { message } = this.#open;
    this.close();
    message.focus();
  }

  #offer() {
    const { message: view, node } = this.#open;
    const { message } = view;
    const then = (act) => () => (this.close(), act(view.message));
    const deed = (name, words, act) => el("button", { type: "button", class: "quiet small", onclick: act }, icon(name), words);
    const emoji = QUICK.map((one) => {
      const mine = message.reactions.some((r) => r.emoji === one && r.sender_id === this.you());
      const act = () => (this.#back(), this.onreact(view.message, one, !mine));
      const about = { "aria-pressed": String(mine), "aria-label": `React with ${one}` };
      return el("button", { type: "button", class: "emoji", ...about, onclick: act }, one);
    });
    node.replaceChildren(
      el("div", { class: "row" }, ...emoji),
      el(
        "div",
        { class: "row" },
        deed("reply", "Reply", then(this.onreply)),
        view.mine ? deed("edit", "Edit", then(this.onedit)) : null,
        view.mine ? deed("delete", "Delete", () => this.#ask()) : null,
      ),
    );
  }

  #ask() {
    const { message: view, node } = this.#open;
    const gone = () => (this.#back(), this.ondelete(view.message));
    const keep = el("button", { type: "button", class: "small", onclick: () => this.#back() }, "Keep it");
    node.replaceChildren(
      el(
        "div",
        { class: "row ask" },
        el("span", { id: "ask-delete" }, "Delete this message for everybody?"),
        el("button", { type: "button", class: "small", "aria-describedby": "ask-delete", onclick: gone }, "Delete"),
        keep,
      ),
    );
    keep.focus();
  }
}
