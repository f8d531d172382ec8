// What people write, as DOM: links and code fences, nothing else of markup.
import { el, webAddress } from "./dom.js";

const FENCE = /```[^\n`]*\n([\s\S]*?)\n?```/g;
const LINK = /\bhttps?:\/\/[^\s<>"`]+/gi;
const TRAILING = /[.,;:!?'»”’]+$/;

/** The address without the sentence's punctuation; a closing bracket stays only where one was opened. */
function trimmed(address) {
  let text = address.replace(TRAILING, "");
  for (const [open, close] of ["()", "[]", "{}"]) {
    while (text.endsWith(close) && text.split(close).length > text.split(open).length) {
      text = text.slice(0, -1).replace(TRAILING, "");
    }
  }
  return text;
}

function link(text) {
  const url = webAddress(text);
  if (!url) return text;
  return el("a", { href: url.href, rel: "noopener noreferrer nofollow", target: "_blank" }, text);
}

function paragraph(text) {
  const node = el("p", { dir: "auto" });
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const address = trimmed(match[0]);
    node.append(text.slice(from, match.index), link(address));
    from = match.index + address.length;
  }
  node.append(text.slice(from));
  return node;
}

export function renderText(text) {
  const out = document.createDocumentFragment();
  let from = 0;
  const prose = (part) => {
    const plain = part.replace(/^\n+|\s+$/g, "");
    if (plain) out.append(paragraph(plain));
  };
  for (const match of text.matchAll(FENCE)) {
    prose(text.slice(from, match.index));
    // Focusable, because a wide block scrolls and the keyboard must reach it.
    out.append(el("pre", { tabindex: "0" }, match[1]));
    from = match.index + match[0].length;
  }
  prose(text.slice(from));
  return out;
}
