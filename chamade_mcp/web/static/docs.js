// What the documentation can do with a script: copy, search, and show where on the page one is.
import { $, copyText, el } from "./dom.js";

for (const code of document.querySelectorAll(".code")) {
  const said = el("span", { "aria-live": "polite" }, "Copy");
  const button = el("button", { type: "button", onclick: copy }, said);
  let back;
  async function copy() {
    said.textContent = (await copyText(code.querySelector("code").textContent.trimEnd())) ? "Copied" : "Select and copy";
    clearTimeout(back);
    back = setTimeout(() => (said.textContent = "Copy"), 2000);
  }
  code.append(button);
}

for (const heading of document.querySelectorAll(".doc :is(h2, h3)[id]")) {
  heading.append(el("a", { class: "anchor", href: `#${heading.id}`, "aria-label": `Link to “${heading.textContent}”` }, "#"));
}

// The heading that was scrolled past last is where one is.
const marks = new Map([...document.querySelectorAll("#toc a")].map((link) => [link.hash.slice(1), link]));
if (marks.size) {
  const seen = new IntersectionObserver(() => {
    const passed = [...marks.keys()].filter((id) => $(id)?.getBoundingClientRect().top < 140);
    for (const link of marks.values()) link.classList.remove("here");
    marks.get(passed.at(-1))?.classList.add("here");
  }, { rootMargin: "-80px 0px 0px 0px", threshold: [0, 1] });
  for (const id of marks.keys()) if ($(id)) seen.observe($(id));
}

document.querySelector("#chapters [aria-current]")?.scrollIntoView({ block: "nearest" });
