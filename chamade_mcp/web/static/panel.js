// Settings of the room, and what helps somebody who reports a problem.
import { $, copyText } from "./dom.js";
import { listMicrophones } from "./lobby.js";

const milliseconds = (value) => (value == null ? "not known yet" : `${value.toFixed(value < 10 ? 1 : 0)} ms`);

export class Panel {
  #root = $("panel");
  #button = $("more");
  #timer = 0;

  constructor({ stats, sound, onname, onmicrophone }) {
    this.stats = stats;
    this.sound = sound;
    this.#button.addEventListener("click", () => (this.#root.hidden ? this.#open() : this.close()));
    $("panel-name").addEventListener("change", ({ target }) => {
      const name = target.value.trim();
      if (name) onname(name);
    });
    $("panel-devices").addEventListener("change", ({ target }) => onmicrophone(target.value));
    $("details-copy").addEventListener("click", ({ target }) => this.#copy(target));
    document.addEventListener("pointerdown", ({ target }) => {
      if (!this.#root.contains(target) && !this.#button.contains(target)) this.close(false);
    });
  }

  name(name) {
    $("panel-name").value = name;
  }

  /** Returns whether it was open. */
  close(focus = true) {
    if (this.#root.hidden) return false;
    this.#root.hidden = true;
    this.#button.setAttribute("aria-expanded", "false");
    clearInterval(this.#timer);
    if (focus) this.#button.focus();
    return true;
  }

  #open() {
    this.#root.hidden = false;
    this.#button.setAttribute("aria-expanded", "true");
    $("panel-mic").hidden = !this.sound.listening;
    if (this.sound.listening) listMicrophones($("panel-devices"), this.sound);
    this.#refresh();
    this.#timer = setInterval(() => this.#refresh(), 1000);
    $("panel-name").focus();
  }

  #rows() {
    const now = this.stats();
    return {
      "Round trip": milliseconds(now.rtt_ms),
      "Playback delay": milliseconds(now.buffered_ms),
      "Frames sent": now.frames_sent,
      "Frames received": now.frames_received,
      "Frames dropped": now.dropped,
      Gaps: now.underruns,
      "Voice processing": this.sound.raw ? "off" : "on",
    };
  }

  #refresh() {
    for (const [name, value] of Object.entries(this.#rows())) {
      const cell = this.#root.querySelector(`[data-row="${name}"]`);
      if (cell) cell.textContent = value;
    }
  }

  async #copy(button) {
    const rows = { ...this.#rows(), Microphone: this.sound.deviceName || "none", Browser: navigator.userAgent };
    const text = Object.entries(rows).map(([name, value]) => `${name}: ${value}`);
    const done = await copyText(text.join("\n"));
    button.textContent = done ? "Copied" : "Copying is not allowed here";
    setTimeout(() => (button.textContent = "Copy details"), 2000);
  }
}
