// Where a message is written: text that grows, files with their progress, typing told to the others.
import { $, el, fileSize, icon } from "./dom.js";
import { gist } from "./message.js";

const TYPING_EVERY_MS = 3000;
const FILES_PER_MESSAGE = 10;

/** Uploads one file; `fetch` cannot tell progress. Resolves to {file_id, name, mime, size, url}. */
function upload(path, guest, file, onprogress) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.upload.onprogress = ({ loaded, total }) => onprogress(total ? loaded / total : 0);
    request.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        // A proxy in between answered with a page of its own; the status has to do.
      }
      if (request.status === 201) resolve(answer);
      else reject(new Error(answer.detail || (request.status === 413 ? "The file is too large." : "The gateway refused the file.")));
    };
    request.onerror = () => reject(new Error("The connection was lost."));
  });
  request.open("POST", `${path}/files`);
  request.setRequestHeader("X-Guest", guest);
  const form = new FormData();
  form.append("file", file, file.name);
  request.send(form);
  return { done, abort: () => request.abort() };
}

/** Characters as the gateway counts them: an emoji is one. */
const length = (text) => [...text].length;

export class Composer {
  #form = $("composer");
  #field = $("message");
  #send = $("send");
  #files = $("files");
  #picker = $("picker");
  #error = $("composer-error");
  #uploads = new Set();
  #aim = null; // {id, edits, draft}: the message that is answered or edited
  #typed = -Infinity;
  #tooMany = false;
  #limits = { text: 10000, file_bytes: Infinity };

  /**
   * `onsend(text, attachments, replyTo)` and `onedit(id, text)` take what was written; `onlast()` gives the message
   * that the arrow up edits.
   */
  constructor({ path, wire, onsend, onedit = () => {}, onlast = () => null }) {
    Object.assign(this, { path, wire, onsend, onedit, onlast });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    this.#field.addEventListener("input", () => this.#input());
    this.#field.addEventListener("paste", (event) => this.#paste(event));
    $("aim-cancel").addEventListener("click", () => this.cancel());
    $("attach").addEventListener("click", () => this.#picker.click());
    this.#picker.addEventListener("change", () => {
      this.add(this.#picker.files);
      this.#picker.value = "";
    });
    this.#drops();
    this.#refresh();
  }

  limits(limits) {
    this.#limits = limits;
  }

  focus() {
    this.#field.focus();
  }

  reply(message) {
    this.cancel();
    this.#take({ id: message.id, edits: null }, "Reply to ", el("bdi", {}, message.sender), `: ${gist(message)}`);
  }

  edit(message) {
    this.cancel();
    const draft = this.#field.value;
    this.#field.value = message.text;
    this.#take({ id: message.id, edits: message, draft }, "Edit your message");
  }

  /** Back to writing a new message; what had been written of one is there again. */
  cancel() {
    if (!this.#aim) return;
    if (this.#aim.edits) this.#field.value = this.#aim.draft;
    this.#aim = null;
    this.#aimed();
  }

  #take(aim, ...words) {
    this.#aim = aim;
    $("aim-text").replaceChildren(...words);
    this.#aimed();
    this.#field.focus();
  }

  #aimed() {
    $("aim").hidden = !this.#aim;
    $("attach").disabled = Boolean(this.#aim?.edits);
    this.#send.textContent = this.#aim?.edits ? "Save" : "Send";
    this.#grow();
    this.#refresh();
  }

  add(files) {
    const room = FILES_PER_MESSAGE - this.#uploads.size;
    this.#tooMany = files.length > room;
    for (const file of [...files].slice(0, room)) this.#start({ file, chip: null, state: "waiting", answer: null, abort() {} });
    this.#refresh();
  }

  #key(event) {
    if (event.key === "Escape" && this.#aim) {
      event.stopPropagation();
      return this.cancel();
    }
    if (event.key === "ArrowUp" && !this.#field.value && !this.#aim) {
      const last = this.onlast();
      if (last) event.preventDefault();
      return last && this.edit(last);
    }
    // On a touch keyboard Enter makes a line, as people there expect; the button sends.
    const touch = matchMedia("(pointer: coarse)").matches;
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || touch) return;
    event.preventDefault();
    this.#submit();
  }

  #input() {
    this.#grow();
    this.#refresh();
    const now = performance.now();
    if (this.#field.value && now - this.#typed > TYPING_EVERY_MS) {
      this.#typed = now;
      this.wire.send({ type: "typing" });
    }
  }

  #grow() {
    this.#field.style.setProperty("height", "auto");
    this.#field.style.setProperty("height", `${this.#field.scrollHeight + 2}px`);
  }

  #refresh() {
    const over = length(this.#field.value) - this.#limits.text;
    const uploading = [...this.#uploads].some((one) => one.state === "uploading");
    const ready = [...this.#uploads].some((one) => one.state === "done");
    const files = this.#tooMany ? `A message carries ${FILES_PER_MESSAGE} files at most. Send these first.` : "";
    const error = over > 0 ? `Too long by ${over.toLocaleString()} characters.` : files;
    if (this.#error.textContent !== error) this.#error.textContent = error;
    this.#field.setAttribute("aria-invalid", String(over > 0));
    const edits = this.#aim?.edits;
    const something = this.#field.value.trim() || (edits ? edits.attachments.length : ready);
    this.#send.disabled = over > 0 || (uploading && !edits) || !something;
  }

  #submit() {
    if (this.#send.disabled) return;
    if (this.#aim?.edits) {
      const { id, edits } = this.#aim;
      const text = this.#field.value.trim();
      this.cancel();
      if (text !== edits.text) this.onedit(id, text);
      return;
    }
    const replyTo = this.#aim?.id;
    this.cancel();
    const ready = [...this.#uploads].filter((one) => one.state === "done");
    this.onsend(
      this.#field.value.trim(),
      ready.map((one) => one.answer),
      replyTo,
    );
    for (const one of ready) this.#discard(one);
    this.#field.value = "";
    this.#typed = -Infinity;
    this.#grow();
    this.#refresh();
    this.#field.focus();
  }

  #paste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    this.add(files);
  }

  #drops() {
    let depth = 0; // enter and leave are told for every element on the way
    const veil = $("drop");
    const carries = (event) => event.dataTransfer?.types.includes("Files") && !this.#form.closest("[hidden]");
    const show = (on) => {
      depth = on ? depth : 0;
      veil.hidden = !on;
    };
    addEventListener("dragenter", (event) => carries(event) && ((depth += 1), show(true)));
    addEventListener("dragleave", (event) => carries(event) && ((depth -= 1), depth <= 0 && show(false)));
    addEventListener("dragover", (event) => carries(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      show(false);
      this.add(event.dataTransfer.files);
    });
  }

  #start(one) {
    this.#uploads.add(one);
    if (one.file.size > this.#limits.file_bytes) {
      this.#fail(one, `Larger than ${fileSize(this.#limits.file_bytes)}.`, false);
      return;
    }
    one.state = "uploading";
    this.#draw(one);
    const meter = one.chip.querySelector("progress");
    const { done, abort } = upload(this.path, this.wire.identity.guest, one.file, (part) => (meter.value = part));
    one.abort = abort;
    done.then(
      (answer) => {
        Object.assign(one, { state: "done", answer });
        this.#draw(one);
      },
      (error) => this.#fail(one, error.message, true),
    );
  }

  #fail(one, reason, again) {
    Object.assign(one, { state: "failed", reason, again });
    this.#draw(one);
  }

  #discard(one) {
    one.abort();
    one.chip?.remove();
    this.#tooMany = false;
    this.#uploads.delete(one);
    this.#refresh();
  }

  #draw(one) {
    const { file, state } = one;
    const note = state === "failed" ? one.reason : fileSize(file.size);
    const words = el("span", { class: "words" }, el("bdi", {}, file.name), el("small", { role: state === "failed" ? "alert" : null }, note));
    const retry = () => this.#start(one);
    const chip = el(
      "li",
      { class: `chip ${state}` },
      icon("file"),
      words,
      state === "uploading" ? el("progress", { max: "1", value: "0", "aria-label": `Uploading ${file.name}` }) : null,
      state === "failed" && one.again
        ? el("button", { type: "button", class: "small", onclick: retry }, "Try again")
        : null,
      el(
        "button",
        { type: "button", class: "quiet", "aria-label": `Remove ${file.name}`, onclick: () => this.#discard(one) },
        icon("close"),
      ),
    );
    if (one.chip) one.chip.replaceWith(chip);
    else this.#files.append(chip);
    one.chip = chip;
    this.#refresh();
  }
}
