// Small things every page needs: elements, icons, what this browser remembers.

export const $ = (id) => document.getElementById(id);

/** Makes an element. Text is only ever text: strings become text nodes, never markup. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** One of the sprite's icons (templates/live_icons.html). */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

// Storage can be forbidden (private windows, policies): then nothing is remembered, and nothing breaks.
export function recall(store, key) {
  try {
    return window[store].getItem(`chamade.${key}`) ?? "";
  } catch {
    return "";
  }
}

export function remember(store, key, value) {
  try {
    window[store].setItem(`chamade.${key}`, value);
  } catch {
    // Not remembered: the person types it again next time.
  }
}

/** "Ada, AI agent", without saying "AI agent" twice for an agent that has no name of its own. */
export const agentSuffix = (name) => (/^ai agent$/i.test(name.trim()) ? "" : "AI agent");

const UNITS = ["B", "kB", "MB", "GB"];

export function fileSize(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** An address a link may point at, or null. */
export function webAddress(text) {
  try {
    const url = new URL(text, location.href);
    return url.protocol === "https:" || url.protocol === "http:" ? url : null;
  } catch {
    return null;
  }
}

export async function copyText(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Refused by the browser: the older way below may still work.
    }
  }
  const area = el("textarea", { class: "sr-only", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

export const initial = (name) => ([...name.trim()][0] ?? "?").toUpperCase();

/** A level as the eye wants it: 0 at -50 dB and below, 1 at -10 dB. */
export const visible = (rms) => Math.min(1, Math.max(0, (20 * Math.log10(rms + 1e-9) + 50) / 40));
