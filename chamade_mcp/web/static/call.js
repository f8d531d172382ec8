// One call: how it went beside what was recorded of it, and forgetting it.
import { $, api, day, el, fill, keepLooking, readPlatforms, trouble } from "./dash.js";
import { fileSize } from "./dom.js";
import { agentOf, isAlive, lengthOf, span, stateOf, toneOf, whoOf } from "./pastcall.js";
import { attachment, clock } from "./message.js";
import { Player, trackRows } from "./player.js";
import { sure } from "./sure.js";
import { renderText } from "./text.js";

const PAGE = 500;
const path = `/api/calls/history/${$("call").dataset.id}`;
const STATES = {
  connecting: "The agent was asked to come",
  active: "The agent was in the room",
  ended: "The call ended",
  missed: "Nobody answered",
  refused: "The call was refused",
  disconnected: "The connection was lost",
};
const ENDS = { quota_exceeded: "there was no room left", disk_full: "the disk was full", too_long: "it was too long", interrupted: "the gateway stopped", failed: "it failed" };

let titles = new Map();
let pages = 1;
let call = null;
let recordings = [];
let recording = null; // the one that is heard
let track = null;
let course = [];
let settled = false; // it is over, and all of it is read

// --- how it went ------------------------------------------------------------------------------------------

/** Seconds into the recording that is heard, or null. */
function placeOf({ at }) {
  if (!recording) return null;
  const place = (new Date(at) - new Date(recording.started_at)) / 1000;
  return place >= 0 && place <= recording.duration_ms / 1000 ? place : null;
}

function wordsOf({ kind, text, who, code }) {
  if (kind === "state") return text === "ringing" ? `${who || "Somebody"} rang` : (STATES[text] ?? text);
  if (kind === "key") return `${who || "Somebody"} pressed ${text}`;
  if (kind === "error") return text;
  if (text === "started") return "Recording";
  return code in ENDS ? `The recording ended: ${ENDS[code]}` : "The recording ended";
}

function momentRow({ at, kind, who, mine, text, attachments, offset_ms: offset, place, ...rest }) {
  const time = span(offset / 1000);
  const stamp =
    place === null
      ? el("time", { datetime: at }, time)
      : el("button", { type: "button", class: "quiet", "data-act": "play", "data-place": place, "aria-label": `Play from ${time}`, onclick: () => player.playFrom(place) }, time);
  const told = kind === "speech" || kind === "chat";
  const body = told
    ? el(
        "div",
        { class: "message" },
        el("div", { class: "by" }, el("bdi", {}, who || "Somebody"), el("small", {}, [mine && "AI agent", kind === "chat" && "wrote"].filter(Boolean).join(", "))),
        renderText(text),
        ...attachments.map(attachment),
      )
    : el("p", { class: kind === "error" ? "error" : "muted" }, wordsOf({ kind, who, text, ...rest }));
  return el("li", { class: kind }, stamp, body);
}

function follow(seconds) {
  const stamps = [...$("course").querySelectorAll("[data-place]")];
  const now = stamps.findLast((stamp) => Number(stamp.dataset.place) <= seconds + 0.05);
  for (const stamp of stamps) stamp.closest("li").toggleAttribute("data-now", stamp === now && seconds > 0);
}

async function readCourse() {
  const moments = [];
  let next = 0;
  for (let n = 0; n < pages && next !== null; n += 1) {
    const page = await api("GET", `${path}/timeline?limit=${PAGE}&offset=${next}`);
    moments.push(...page.moments);
    next = page.next;
  }
  $("more").hidden = next === null;
  return moments;
}

$("more").addEventListener("click", () => {
  pages += 1;
  settled = false;
  lookNow();
});

// --- the recording ----------------------------------------------------------------------------------------

const player = new Player({ onplace: follow });

function hear(id) {
  track = id;
  const chosen = recording.tracks.find((one) => one.track_id === id);
  player.load(new URL(chosen.url).pathname, recording.duration_ms / 1000);
}

function choose(id) {
  recording = recordings.find((one) => one.recording_id === id) ?? null;
  $("recording").hidden = !recording;
  if (!recording) {
    player.stop();
    return;
  }
  hear(recording.tracks[0].track_id);
  $("tracks").replaceChildren(...trackRows(recording, track, hear));
  $("recording-about").textContent = [
    `${fileSize(recording.size)} in all`,
    recording.announced ? "the people were told" : "the platform could not tell the people",
  ].join(", ");
}

$("which").addEventListener("change", () => {
  choose($("which").value);
  lookNow();
});

function showRecordings(found) {
  const ready = found.filter((one) => one.ended_at && one.tracks.length).reverse();
  if (ready.map((one) => one.recording_id).join() === recordings.map((one) => one.recording_id).join()) return;
  recordings = ready;
  $("which-row").hidden = ready.length < 2;
  $("which").replaceChildren(...ready.map((one) => el("option", { value: one.recording_id }, `${clock.format(new Date(one.started_at))}, ${span(one.duration_ms / 1000)}`)));
  choose(ready[0]?.recording_id);
}

// --- what cannot be undone --------------------------------------------------------------------------------

$("drop-recording").addEventListener("click", () =>
  sure("Delete the recording", "All of its tracks go, for good. What was said and written in the call stays.", "Delete", async () => {
    await api("DELETE", `/api/recordings/${recording.recording_id}`);
    settled = false;
    return lookNow;
  }),
);
$("forget").addEventListener("click", () =>
  sure("Forget this call", "What was said and written in it goes, and its recordings, for good. This cannot be undone.", "Forget it", async () => {
    await api("DELETE", path);
    return () => location.assign("/dashboard/calls");
  }),
);

// --- the rest ---------------------------------------------------------------------------------------------

function showCall() {
  const alive = isAlive(call);
  const begun = `${day(call.created_at)}, ${clock.format(new Date(call.created_at))}`;
  $("call-who").firstElementChild.textContent = whoOf(call);
  $("call-about").textContent = [titles.get(call.platform) ?? call.platform, agentOf(call), begun, lengthOf(call)].filter(Boolean).join(" · ");
  const [dot, words] = $("call-state").children;
  dot.className = `dot ${toneOf(call)}`;
  words.textContent = stateOf(call);
  $("call-state").hidden = !stateOf(call);
  $("forget").disabled = alive;
  $("forget-help").textContent = alive ? "That can be done once it is over." : "What was said and written in it goes, with its recordings, for good.";
}

async function look() {
  if (!titles.size) ({ titles } = await readPlatforms());
  if (!settled) {
    const [known, moments, { recordings: found }] = await Promise.all([api("GET", path), readCourse(), api("GET", `/api/call/${$("call").dataset.id}/recordings`)]);
    [call, course] = [known, moments];
    settled = !isAlive(call) && found.every((one) => one.ended_at);
    showCall();
    showRecordings(found);
  }
  const rows = course.map((moment, n) => ({ ...moment, n, place: placeOf(moment) }));
  fill($("course"), rows, (moment) => moment.n, momentRow);
  $("course-empty").hidden = rows.length > 0;
  trouble("");
}

const lookNow = keepLooking(5000, look);
