// Where the owner answers by hand. What was typed stays until it is on its way, through reloads and signing in again.
import { $, api, say, trouble } from "./dash.js";
import { recall, remember } from "./dom.js";

const MOST = 10000;
const TYPING_EVERY_MS = 4000;

/** Names one attempt, so that it is not sent twice when its answer was lost. */
const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export class Answer {
  #form = $("answer");
  #field = $("answer-text");
  #error = $("answer-error");
  #key = "";
  #typed = -Infinity;
  #sending = false;
  #to = null;

  /** `shown()` gives the messages that are on the page, `look()` shows the conversation as it is now. */
  constructor(conversation, { shown, look }) {
    this.draft = `answer.${conversation}`;
    this.path = `/api/inbox/${conversation}?limit=20`;
    Object.assign(this, { shown, look });
    this.#field.value = recall("localStorage", this.draft);
    this.#field.addEventListener("input", () => this.#input());
    this.#field.addEventListener("keydown", (event) => {
      // On a touch keyboard Enter makes a line, as people there expect; the button sends.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
      event.preventDefault();
      this.#send();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#grow();
  }

  /** The conversation as the API tells it. */
  about({ conversation_id: id, platform, status, [`${platform}_window`]: window }, title) {
    this.#to = { platform, conversation_id: id };
    const closed = status !== "active" ? "They may not write to your agent any more, so nobody can write to them." : "";
    const waits = window && !window.open ? `On ${title} one may write within a day of their last message: what you send waits until they write again.` : "";
    $("answer-note").textContent = closed || waits || $("answer-note").dataset.words;
    this.#form.hidden = Boolean(closed);
  }

  #input() {
    this.#grow();
    this.#key = "";
    remember("localStorage", this.draft, this.#field.value);
    const over = [...this.#field.value].length - MOST;
    this.#error.textContent = over > 0 ? `Too long by ${over.toLocaleString()} characters.` : "";
    this.#field.setAttribute("aria-invalid", String(over > 0));
    const now = performance.now();
    if (!this.#to || !this.#field.value || now - this.#typed < TYPING_EVERY_MS) return;
    this.#typed = now;
    api("POST", "/api/dm/typing", this.#to).catch(() => {}); // no more than a courtesy
  }

  #grow() {
    this.#field.style.setProperty("height", "auto");
    this.#field.style.setProperty("height", `${this.#field.scrollHeight + 2}px`);
  }

  async #send() {
    const text = this.#field.value.trim();
    if (!text || this.#sending || !this.#to || [...text].length > MOST) return;
    this.#sending = true;
    this.#form.setAttribute("aria-busy", "true");
    this.#error.textContent = "";
    this.#key ||= newKey();
    const before = new Set(this.shown().map((one) => one.id));
    try {
      await api("POST", "/api/dm/chat", { ...this.#to, text }, { "idempotency-key": this.#key });
      this.#done(text);
      say("Sent");
    } catch (error) {
      // Kept, it stands in the conversation with the platform's words, and with a button to send it again.
      if (await this.#kept(text, before)) this.#done(text);
      else this.#error.textContent = `Not sent. ${error.message}`;
    }
    this.#sending = false;
    this.#form.removeAttribute("aria-busy");
    this.look();
  }

  async #kept(text, before) {
    try {
      const { messages } = await api("GET", this.path);
      return messages.some((one) => !before.has(one.id) && one.from_owner && one.text === text);
    } catch {
      return false;
    }
  }

  #done(text) {
    this.#key = "";
    if (this.#field.value.trim() !== text) return; // they have gone on writing
    this.#field.value = "";
    remember("localStorage", this.draft, "");
    this.#grow();
  }
}

/** Sends a message again that failed; the conversation tells what has become of it. */
export async function sendAgain(message, look) {
  try {
    await api("POST", `/api/messages/${message}/retry`);
    say("Sent");
  } catch (error) {
    trouble(error.message, 8000);
  }
  await look();
}
