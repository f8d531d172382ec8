// What people and agents write, as DOM: links, code, bold, italic, lists and headings. Nothing becomes markup
// by way of a string; what is none of these stays as it was written.
import { el, webAddress } from "./dom.js";

const FENCE = /```[^\n`]*\n([\s\S]*?)\n?```/g;
const HEADING = /^#{1,6} +(\S.*)$/;
const BULLET = /^ {0,8}[-*•] +(\S.*)$/;
const TRAILING = /[.,;:!?'»”’]+$/;
const LOOKS_LIKE_ADDRESS = /:\/\/|^\s*www\./i;
const DEEPEST = 3;

// One alternative each: `code`, [words](address), address, **bold**, *bold*, _italic_. Every one ends at the next
// mark of its kind or at the line's end, so that no text takes long to read.
const INLINE = new RegExp(
  [
    "`([^`\\n]+)`",
    "\\[([^[\\]\\n]+)\\]\\((https?:\\/\\/[^\\s<>\"`()]+(?:\\([^\\s<>\"`()]*\\)[^\\s<>\"`()]*)*)\\)",
    "(https?:\\/\\/[^\\s<>\"`]+)",
    "\\*\\*((?:[^*\\n]|\\*(?!\\*))+)\\*\\*",
    "\\*([^*\\n]+)\\*",
    "_([^_\\n]+)_",
  ].join("|"),
  "gi",
);
const WORD = /[\p{L}\p{N}_]/u;

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

function link(address, words) {
  const url = webAddress(address);
  if (!url) return words;
  return el("a", { href: url.href, title: words === address ? null : url.href, rel: "noopener noreferrer nofollow", target: "_blank" }, words);
}

/** The element for a match and how far it reaches, or null where the mark is only a character. */
function element(match, text, depth) {
  const [whole, code, words, target, address, strong, bold, italic] = match;
  const before = text[match.index - 1] ?? " ";
  const after = text[match.index + whole.length] ?? " ";
  if (code !== undefined) return [el("code", {}, code), whole.length];
  if (words !== undefined) {
    // Words that look like an address could name another place than the one they lead to.
    return LOOKS_LIKE_ADDRESS.test(words) ? null : [link(target, words), whole.length];
  }
  if (address !== undefined) {
    const found = trimmed(address);
    return WORD.test(before) ? null : [link(found, found), found.length];
  }
  const inner = strong ?? bold ?? italic;
  if (depth >= DEEPEST || /^\s|\s$/.test(inner) || WORD.test(before) || WORD.test(after)) return null;
  const node = el(italic === undefined ? "strong" : "em");
  inline(node, inner, depth + 1);
  return [node, whole.length];
}

function inline(node, text, depth = 0) {
  const marks = new RegExp(INLINE);
  let from = 0;
  for (let match = marks.exec(text); match; match = marks.exec(text)) {
    const found = element(match, text, depth);
    if (found) {
      node.append(text.slice(from, match.index), found[0]);
      from = match.index + found[1];
    }
    // Of what stays as it is only the first character is passed over: more may begin behind it.
    marks.lastIndex = found ? from : match.index + (match[4] !== undefined ? 2 : 1);
  }
  node.append(text.slice(from));
  return node;
}

function prose(out, text) {
  let lines = [];
  let list = null;
  const flush = () => {
    const plain = lines.join("\n").replace(/^\n+|\s+$/g, "");
    if (plain) out.append(inline(el("p", { dir: "auto" }), plain));
    lines = [];
  };
  for (const line of text.split("\n")) {
    const [, item] = BULLET.exec(line) ?? [];
    const [, heading] = HEADING.exec(line) ?? [];
    if (item === undefined && heading === undefined) {
      list = null;
      lines.push(line);
      continue;
    }
    flush();
    if (heading !== undefined) {
      list = null;
      out.append(el("p", { dir: "auto" }, inline(el("strong"), heading)));
    } else {
      if (!list) out.append((list = el("ul", { dir: "auto" })));
      list.append(inline(el("li"), item));
    }
  }
  flush();
}

export function renderText(text) {
  const out = document.createDocumentFragment();
  let from = 0;
  for (const match of text.matchAll(FENCE)) {
    prose(out, text.slice(from, match.index));
    // Focusable, because a wide block scrolls and the keyboard must reach it.
    out.append(el("pre", { tabindex: "0" }, match[1]));
    from = match.index + match[0].length;
  }
  prose(out, text.slice(from));
  return out;
}
