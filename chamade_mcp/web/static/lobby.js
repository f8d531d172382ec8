// Before the room: your name, and whether the microphone hears you.
import { $, el, initial, recall, remember, visible } from "./dom.js";
import { explain, hasSound } from "./sound.js";

/** Fills a select with the microphones there are; names are known only once one was allowed. */
export async function listMicrophones(select, sound) {
  const all = await sound.microphones();
  select.replaceChildren(
    ...all.map((device, i) => el("option", { value: device.deviceId }, device.label || `Microphone ${i + 1}`)),
  );
  select.value = sound.deviceId;
}

/** "granted", "denied" or "prompt"; Firefox long did not tell, which counts as "prompt". */
async function permission() {
  try {
    return (await navigator.permissions.query({ name: "microphone" })).state;
  } catch {
    return "prompt";
  }
}

export class Lobby {
  #form = $("lobby-form");
  #name = $("name");
  #devices = $("devices");
  #join = $("join");
  #quiet = $("join-quiet");
  #problem = null;

  /** `onjoin({name, quiet})` is called once, with the microphone on unless `quiet`. */
  constructor({ sound, onjoin }) {
    this.sound = sound;
    this.onjoin = onjoin;
    this.#name.value = recall("localStorage", "name");
    this.#name.addEventListener("input", () => this.#preview());
    this.#devices.addEventListener("change", () => this.#start(this.#devices.value));
    $("mic-check").addEventListener("click", () => this.#start());
    $("mic-retry").addEventListener("click", () => this.#start());
    this.#quiet.addEventListener("click", () => this.#enter(true));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#enter(Boolean(this.#problem));
    });
    this.#preview();
    this.#begin();
  }

  /** Shows how loud the microphone is, so that the person sees that it hears them. */
  level(rms) {
    const level = visible(rms);
    $("preview").style.setProperty("--level", level.toFixed(2));
    $("meter-bar").style.setProperty("--level", level.toFixed(2));
    if (level > 0.3) $("meter-text").textContent = "We can hear you";
  }

  #preview() {
    const name = this.#name.value.trim();
    $("preview-initial").textContent = name ? initial(name) : "";
    if (name) $("name-error").hidden = true;
  }

  async #begin() {
    if (!hasSound()) this.#fail(Object.assign(new Error(), { name: "InsecureContext" }));
    else if ((await permission()) === "granted") await this.#start(recall("localStorage", "microphone"));
    if (!this.#name.value) this.#name.focus();
  }

  async #start(deviceId = "") {
    try {
      await this.sound.listen(deviceId);
    } catch (error) {
      // The remembered one may be unplugged: any other is better than none.
      if (error.name === "OverconstrainedError" && deviceId) return this.#start();
      this.#fail(error);
      return false;
    }
    this.#problem = null;
    this.sound.resume();
    if (deviceId) remember("localStorage", "microphone", deviceId);
    await listMicrophones(this.#devices, this.sound);
    this.#show("on");
    return true;
  }

  #fail(error) {
    this.#problem = explain(error);
    $("mic-title").textContent = this.#problem.title;
    $("mic-text").textContent = this.#problem.text;
    $("mic-words").textContent = error.message ? `The browser says: ${error.name}, ${error.message}` : "";
    $("mic-retry").hidden = !this.#problem.retry;
    this.#show("problem");
  }

  #show(state) {
    $("mic-off").hidden = state !== "off";
    $("mic-on").hidden = state !== "on";
    $("mic-problem").hidden = state !== "problem";
    this.#join.textContent = state === "problem" ? "Join without microphone" : "Join";
    this.#quiet.hidden = state === "problem";
  }

  async #enter(quiet) {
    const name = this.#name.value.trim();
    if (!name) {
      $("name-error").hidden = false;
      this.#name.focus();
      return;
    }
    remember("localStorage", "name", name);
    if (!quiet && !this.sound.listening) {
      this.#join.disabled = true;
      const started = await this.#start();
      this.#join.disabled = false;
      if (!started) return;
    }
    if (quiet) this.sound.unplug();
    this.onjoin({ name, quiet });
  }
}
