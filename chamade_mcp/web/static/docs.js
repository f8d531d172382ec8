// What the documentation can do with a script: copy, search, and show where on the page one is.
import { $, copyText, el } from "./dom.js";
import { search } from "./docsearch.js";

for (const code of document.querySelectorAll(".code")) {
  const said = el("span", { "aria-live": "polite" }, "Copy");
  let back;
  const copy = async () => {
    said.textContent = (await copyText(code.querySelector("code").textContent.trimEnd())) ? "Copied" : "Not copied";
    clearTimeout(back);
    back = setTimeout(() => (said.textContent = "Copy"), 2000);
  };
  code.append(el("button", { type: "button", onclick: copy }, said));
}

for (const heading of document.querySelectorAll(".doc :is(h2, h3)[id]")) {
  heading.append(el("a", { class: "anchor", href: `#${heading.id}`, "aria-label": `Link to ${heading.textContent}` }, "#"));
}

// One is where the heading stands that went past the top last.
const marks = new Map([...document.querySelectorAll("#docs-toc a")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
if (marks.size) {
  const headings = [...marks.keys()].map($).filter(Boolean);
  const seen = new IntersectionObserver(
    () => {
      const passed = headings.filter((heading) => heading.getBoundingClientRect().top < 140);
      for (const link of marks.values()) link.classList.remove("here");
      marks.get(passed.at(-1)?.id)?.classList.add("here");
    },
    { rootMargin: "-130px 0px 0px 0px" },
  );
  for (const heading of headings) seen.observe(heading);
}

// The place in the list of pages, without moving the page itself.
const current = document.querySelector("#docs-chapters [aria-current]");
const list = $("docs-chapters");
if (current && current.offsetTop > list.clientHeight - 80) list.scrollTop = current.offsetTop - list.clientHeight / 2;

search($("docs-search"), $("docs-query"), $("docs-found"));
