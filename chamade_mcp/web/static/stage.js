// Who is here: a face each, with a ring as strong as the real level.
import { agentSuffix, el, icon, initial, visible } from "./dom.js";

const SPEAKING = 0.12;
const LINGER_MS = 700; // a breath does not end a sentence

export class Stage {
  #root;
  #faces = new Map();
  #you = "";

  constructor(root) {
    this.#root = root;
    setInterval(() => this.#settle(), 250);
  }

  get count() {
    return this.#faces.size;
  }

  name(id) {
    return this.#faces.get(id)?.person.name ?? "";
  }

  /** Shows exactly these people, `you` first; keeps the faces that stay. */
  reset(people, you) {
    this.#you = you;
    const staying = new Set(people.map((person) => person.id));
    for (const id of [...this.#faces.keys()]) if (!staying.has(id)) this.remove(id);
    for (const person of people) this.put(person);
    const mine = this.#faces.get(you);
    if (mine) this.#root.prepend(mine.root);
  }

  put(person) {
    const face = this.#faces.get(person.id) ?? this.#add(person);
    face.person = person;
    const suffix = person.kind === "agent" ? agentSuffix(person.name) : person.id === this.#you ? "you" : "";
    face.name.textContent = person.name;
    face.root.title = suffix ? `${person.name}, ${suffix}` : person.name;
    face.suffix.textContent = suffix && `, ${suffix}`;
    if (person.kind !== "agent") face.disc.textContent = initial(person.name);
    this.#label(face);
  }

  remove(id) {
    this.#faces.get(id)?.root.remove();
    this.#faces.delete(id);
    this.#count();
  }

  /** `level` 0-1 as the eye wants it. */
  level(id, level) {
    const face = this.#faces.get(id);
    if (!face) return;
    const shown = Math.round(level * 50) / 50;
    if (shown !== face.level) face.root.style.setProperty("--level", shown);
    face.level = shown;
    if (level > SPEAKING) {
      face.spoke = performance.now();
      if (!face.speaking) this.#label(face);
    }
  }

  /** What the gateway last said (RMS) of everybody but you: a missing id is silent. */
  levels(levels) {
    for (const id of this.#faces.keys()) if (id !== this.#you) this.level(id, visible(levels[id] ?? 0));
  }

  #add(person) {
    const agent = person.kind === "agent";
    const disc = el("div", { class: "face", "aria-hidden": "true" }, agent ? icon("wave") : null);
    const name = el("bdi", { class: "name" });
    const suffix = el("span", { class: "suffix" });
    const status = el("small", { class: "status" });
    const label = el("div", { class: "label" }, name, suffix);
    const root = el("li", { class: agent ? "who agent" : "who", "data-id": person.id }, disc, label, status);
    const face = { root, disc, name, suffix, status, person, level: 0, spoke: -Infinity, speaking: false };
    this.#faces.set(person.id, face);
    this.#root.append(root);
    this.#count();
    return face;
  }

  #count() {
    const count = this.#faces.size;
    this.#root.dataset.size = count <= 2 ? "xl" : count <= 3 ? "l" : count <= 8 ? "m" : "s";
  }

  #settle() {
    for (const face of this.#faces.values()) {
      const speaking = performance.now() - face.spoke < LINGER_MS;
      if (speaking !== face.speaking) this.#label(face);
      // Levels come only while somebody speaks: after the last one nobody says that it is over.
      if (!speaking && face.level) this.level(face.person.id, 0);
    }
  }

  #label(face) {
    face.speaking = !face.person.muted && performance.now() - face.spoke < LINGER_MS;
    const status = face.person.muted ? "muted" : face.speaking ? "speaking" : "listening";
    if (face.status.textContent !== status) face.status.textContent = status;
    face.root.dataset.status = status;
  }
}
