// The list of conversations: the newest at once, further ones as somebody scrolls, all of them by the search.
import { $, api, conversationRow, fill, plural, say, trouble } from "./dash.js";

const PAGE = 50;
const TYPED_MS = 250;
const newestFirst = (one, other) => (one.last_message_at < other.last_message_at ? 1 : -1);

export class Conversations {
  #known = new Map(); // by id
  #next = null; // `before` of the page behind what is known
  #search = "";
  #reading = 0; // what was asked for another search is of no use any more
  #more = $("more");
  #busy = false;
  #asked = false; // the search has not been answered yet
  #titles = new Map();

  constructor(current) {
    this.current = current;
    let timer;
    $("search").addEventListener("input", ({ target }) => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#find(target.value.trim()), TYPED_MS);
    });
    this.#more.addEventListener("click", () => this.#readMore());
    // Where somebody scrolls to the end there is more before they are there.
    new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && this.#readMore(), { rootMargin: "400px" }).observe(this.#more);
  }

  /** The newest page, into what is known: whoever was written with since is in it. */
  async look(titles) {
    this.#titles = titles;
    const reading = this.#reading;
    const { conversations, next } = await this.#page();
    if (reading !== this.#reading) return;
    const known = conversations.some((one) => this.#known.has(one.conversation_id));
    if (!known) {
      // The first time, or so much has happened that there would be a gap.
      this.#known.clear();
      this.#next = next;
    }
    this.#take(conversations);
  }

  async #find(search) {
    if (search === this.#search) return;
    this.#search = search;
    this.#reading += 1;
    this.#known.clear();
    this.#asked = true;
    try {
      await this.look(this.#titles);
    } catch (error) {
      trouble(error.message, 8000);
    }
  }

  async #readMore() {
    if (this.#busy || !this.#next) return;
    this.#busy = true;
    const reading = this.#reading;
    try {
      const { conversations, next } = await this.#page(this.#next);
      if (reading !== this.#reading) return;
      this.#next = next;
      this.#take(conversations, false);
    } catch (error) {
      trouble(error.message, 8000);
    } finally {
      this.#busy = false;
    }
  }

  #page(before = "") {
    const query = new URLSearchParams({ limit: PAGE });
    if (this.#search) query.set("search", this.#search);
    if (before) query.set("before", before);
    return api("GET", `/api/inbox?${query}`);
  }

  /** What is known of those already is older only on a further page: one may have moved up while that was read. */
  #take(conversations, newer = true) {
    for (const one of conversations) if (newer || !this.#known.has(one.conversation_id)) this.#known.set(one.conversation_id, one);
    const shown = [...this.#known.values()].sort(newestFirst);
    fill($("inbox"), shown, (one) => one.conversation_id, (one) => conversationRow(one, this.#titles, this.current));
    $("inbox-empty").hidden = shown.length > 0 || Boolean(this.#search);
    $("inbox-none").hidden = shown.length > 0 || !this.#search;
    $("search").closest("search").hidden = !shown.length && !this.#search;
    $("choose")?.toggleAttribute("hidden", !shown.length);
    this.#more.hidden = !this.#next;
    if (this.#asked) say(`${plural(shown.length, "conversation")}${this.#next ? " and more" : ""}`);
    this.#asked = false;
  }
}
