// Plays one track of a recording, and says where it is.
import { $, el, icon } from "./dom.js";
import { span } from "./pastcall.js";

const sound = $("sound");
const play = $("play");
const seek = $("seek");

export class Player {
  #length = 0;

  /** `onplace(seconds)` is called as it plays. */
  constructor({ onplace }) {
    this.onplace = onplace;
    play.addEventListener("click", () => (sound.paused ? this.#start() : sound.pause()));
    seek.addEventListener("input", () => this.#go(Number(seek.value)));
    for (const name of ["play", "pause", "ended"]) sound.addEventListener(name, () => this.#showButton());
    sound.addEventListener("timeupdate", () => this.#showPlace());
    sound.addEventListener("error", () => sound.src && ($("player-error").textContent = "This recording cannot be played. It may have been deleted."));
  }

  /** Another track, from the place where the last one is. */
  load(url, lengthS) {
    const [at, playing] = [sound.currentTime, !sound.paused];
    this.#length = lengthS;
    $("player-error").textContent = "";
    sound.src = url;
    seek.max = lengthS;
    this.#go(Math.min(at, lengthS));
    if (playing) this.#start();
  }

  playFrom(seconds) {
    this.#go(seconds);
    this.#start();
  }

  stop() {
    sound.pause();
    sound.removeAttribute("src");
    sound.load();
  }

  #go(seconds) {
    sound.currentTime = seconds;
    this.#showPlace();
  }

  #start() {
    // Rejected when the next track is loaded before this one has begun: it plays then.
    sound.play().catch(() => this.#showButton());
  }

  #showButton() {
    const playing = !sound.paused;
    play.setAttribute("aria-label", playing ? "Pause" : "Play");
    play.replaceChildren(icon(playing ? "pause" : "play"));
  }

  #showPlace() {
    const at = sound.currentTime;
    seek.value = at;
    const words = `${span(at)} of ${span(this.#length)}`;
    seek.setAttribute("aria-valuetext", words);
    $("clock").textContent = `${span(at)} / ${span(this.#length)}`;
    this.onplace(at);
  }
}

/** The tracks to choose from, each with its download. */
export function trackRows(recording, chosen, onchoose) {
  const names = { mix: "Everybody", agent: "The agent" };
  return recording.tracks.map((track) => {
    const name = names[track.kind] ?? (track.name || "Somebody");
    const url = new URL(track.url).pathname;
    return el(
      "li",
      {},
      el(
        "label",
        { class: "check" },
        el("input", { type: "radio", name: "track", value: track.track_id, checked: track.track_id === chosen, onchange: () => onchoose(track.track_id) }),
        el("bdi", {}, name),
      ),
      el("a", { href: url, download: "", "aria-label": `Download: ${name}` }, "Download"),
    );
  });
}
