// Plays the people on emulated platforms: shows what was said, and says more.
import { $ } from "./dom.js";

const PAUSE_MS = 700;
const tabs = [...document.querySelectorAll("[role=tab]")];
const seen = new Map(); // how many lines of a platform this person has looked at
let platform = location.hash.slice(1);
let shown = "";

const person = () => $("person").value.trim() || "Ann";

function select(tab, focus = false) {
  for (const one of tabs) {
    one.setAttribute("aria-selected", String(one === tab));
    one.tabIndex = one === tab ? 0 : -1;
  }
  if (platform !== tab.dataset.platform) forgetBot();
  platform = tab.dataset.platform;
  history.replaceState(null, "", `#${platform}`);
  $("stage").setAttribute("aria-labelledby", tab.id);
  shown = "";
  if (focus) tab.focus();
  look(tab);
}

function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

function draw(lines) {
  const items = lines.map((line, at) => {
    const item = element("li", at && lines[at - 1].author === line.author ? "message together" : "message");
    const by = element("p", "by");
    by.append(element("bdi", "", line.author || "The agent"));
    item.append(by);
    if (line.text) item.append(element("p", "", line.text));
    for (const name of line.files) item.append(element("p", "files", `File: ${name}`));
    return item;
  });
  const list = $("messages");
  list.replaceChildren(...items);
  list.scrollTop = list.scrollHeight;
  const last = lines.at(-1);
  if (last && !last.author) $("spoken").textContent = `The agent: ${last.text}`;
}

async function look(tab) {
  const name = tab.dataset.platform;
  const key = `${name}\n${person()}`;
  try {
    const query = new URLSearchParams({ platform: name, person: person() });
    const { lines } = await (await fetch(`/lines?${query}`)).json();
    const current = name === platform;
    if (current) seen.set(key, lines.length);
    tab.querySelector(".dot").hidden = current || lines.length <= (seen.get(key) ?? 0);
    const now = JSON.stringify([key, lines]);
    if (current && now !== shown) {
      shown = now;
      draw(lines);
    }
    $("composer-error").textContent = "";
  } catch {
    $("composer-error").textContent = "The sandbox does not answer. Is it still running?";
  }
}

async function watch() {
  for (const tab of tabs) await look(tab);
  setTimeout(watch, PAUSE_MS);
}

async function say(event) {
  event.preventDefault();
  const text = $("message").value.trim();
  if (!text) return;
  try {
    const body = JSON.stringify({ platform, person: person(), text });
    const answer = await fetch("/write", { method: "POST", headers: { "x-sandbox": "1" }, body });
    if (!answer.ok) throw new Error(answer.statusText);
    $("message").value = "";
    await look(tabs.find((tab) => tab.dataset.platform === platform));
  } catch {
    $("composer-error").textContent = "That was not sent. Is the sandbox still running?";
  }
}

// --- another bot ------------------------------------------------------------------------------------------

const post = (path, body) => fetch(path, { method: "POST", headers: { "x-sandbox": "1" }, body: JSON.stringify({ platform, ...body }) });

function forgetBot() {
  $("credentials").replaceChildren();
  $("hook").hidden = true;
  $("hook-note").textContent = "";
}

$("make").addEventListener("click", async () => {
  const { settings } = await (await post("/bot")).json();
  $("credentials").replaceChildren(...settings.flatMap(([label, value]) => [element("dt", "", label), element("dd", "", value)]));
  $("credentials").focus();
  $("hook").hidden = false;
  $("hook-url").value = "";
});
$("hook").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { ok } = await post("/address", { url: $("hook-url").value.trim() });
  $("hook-note").textContent = ok ? "It is told there from now on." : "That is no address of this gateway’s.";
});

for (const [at, tab] of tabs.entries()) {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) select(tabs[(at + step + tabs.length) % tabs.length], true);
  });
}
$("composer").addEventListener("submit", say);
$("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) say(event);
});
select(tabs.find((tab) => tab.dataset.platform === platform) ?? tabs[0]);
watch();
