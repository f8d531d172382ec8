// Search in the titles, headings and words of the documentation: a box with a list of results (ARIA combobox).
import { el } from "./dom.js";

const MOST = 12;

/** Better matches first: 0 is the words' own beginning, 3 what has them somewhere. */
function rank([text, page], query) {
  const name = text.toLowerCase();
  if (name === query) return 0;
  if (name.startsWith(query)) return page ? 1.5 : 1;
  return name.includes(query) ? 2 : 3;
}

export function matches(entries, typed) {
  const query = typed.trim().toLowerCase();
  const words = query.split(/\s+/);
  return entries
    .filter(([text, page]) => words.every((word) => `${text} ${page}`.toLowerCase().includes(word)))
    .map((entry) => [rank(entry, query), entry])
    .sort(([a], [b]) => a - b)
    .slice(0, MOST)
    .map(([, entry]) => entry);
}

export function search(form, box, list) {
  let entries;
  let chosen = -1;

  const load = async () => {
    entries ??= fetch("/docs/search.json").then((answer) => (answer.ok ? answer.json() : []), () => []);
    return entries;
  };

  const choose = (at) => {
    const options = [...list.querySelectorAll("[role=option]")];
    chosen = options.length ? (at + options.length) % options.length : -1;
    for (const [i, option] of options.entries()) option.setAttribute("aria-selected", String(i === chosen));
    if (chosen < 0) box.removeAttribute("aria-activedescendant");
    else box.setAttribute("aria-activedescendant", options[chosen].id);
    options[chosen]?.scrollIntoView({ block: "nearest" });
  };

  const close = () => {
    list.hidden = true;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
    chosen = -1;
  };

  const show = async () => {
    const typed = box.value;
    if (!typed.trim()) return close();
    const found = matches(await load(), typed);
    if (box.value !== typed) return; // somebody types faster than the list comes
    list.replaceChildren(
      ...found.map(([text, page, place], at) =>
        el("li", { role: "option", id: `docs-found-${at}`, "aria-selected": "false", "data-place": place }, text, el("small", {}, page)),
      ),
    );
    if (!found.length) list.append(el("li", { role: "option", "aria-disabled": "true", "aria-selected": "false", id: "docs-found-none", class: "none" }, "Nothing has these words"));
    list.hidden = false;
    box.setAttribute("aria-expanded", "true");
    choose(0);
  };

  const go = (option) => {
    const place = option?.dataset.place;
    if (!place) return;
    close();
    box.value = "";
    location.assign(place);
  };

  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(list.querySelector("[aria-selected=true]"));
  });
  box.addEventListener("focus", load, { once: true });
  box.addEventListener("input", show);
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Escape") {
      close();
    }
  });
  box.addEventListener("blur", () => setTimeout(close, 150));
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault(); // the box keeps the focus
    go(event.target.closest("[role=option]"));
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      box.focus();
    }
  });
}
