// What `Wire` speaks through: a WebSocket for text alone, or the room's, which a worker holds.

/** A WebSocket of text. Calls `onopen()`, `ontext(text)`, `onclose(code)`; may be opened again. */
export class TextLine {
  onopen = () => {};
  ontext = () => {};
  onclose = () => {};
  counts = { sent: 0, received: 0, dropped: 0 };
  #socket = null;

  open(url) {
    this.close();
    const socket = new WebSocket(url);
    socket.onopen = () => this.onopen();
    socket.onmessage = ({ data }) => typeof data === "string" && this.ontext(data);
    socket.onclose = ({ code }) => this.onclose(code);
    this.#socket = socket;
  }

  send(text) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  close() {
    const socket = this.#socket;
    this.#socket = null;
    // A socket that is no longer ours must not speak any more, however late its events come.
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  /** The room has let us in. */
  ready() {}
}

/** The same, with sound beside the text: see line-worker.js. */
export class SoundLine {
  onopen = () => {};
  ontext = () => {};
  onclose = () => {};
  counts = { sent: 0, received: 0, dropped: 0 };
  #worker = new Worker(new URL("line-worker.js", import.meta.url), { type: "module" });

  constructor() {
    this.#worker.onmessage = ({ data }) => {
      if (data.type === "text") this.ontext(data.text);
      else if (data.type === "counts") this.counts = data.counts;
      else if (data.type === "open") this.onopen();
      else this.onclose(data.code);
    };
  }

  open(url) {
    this.#tell({ type: "open", url });
  }

  send(text) {
    this.#tell({ type: "text", text });
  }

  close() {
    this.#tell({ type: "close" });
  }

  ready() {
    this.#tell({ type: "ready" });
  }

  /** Whether sound can be heard now; what comes meanwhile is let go. */
  audible(on) {
    this.#tell({ type: "audible", on });
  }

  /** The port on which the capture worklet posts its frames. */
  microphone(port) {
    this.#tell({ type: "microphone", port }, [port]);
  }

  /** The port on which the playback worklet waits for frames. */
  loudspeaker(port) {
    this.#tell({ type: "loudspeaker", port }, [port]);
  }

  #tell(command, transfer = []) {
    this.#worker.postMessage(command, transfer);
  }
}
