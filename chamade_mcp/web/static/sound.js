// Microphone and loudspeaker of the room: one 48 kHz AudioContext, two worklets.

const RATE = 48000;
const here = (name) => new URL(name, import.meta.url);

/** Why there is no microphone, in words a person can act on. `retry` says whether trying again can help. */
export function explain(error) {
  switch (error.name) {
    case "InsecureContext":
      return {
        title: "No microphone or sound on this address",
        text: "Browsers allow them on https pages only. Ask for a link that starts with https. Chat works.",
        retry: false,
      };
    case "NotAllowedError":
    case "SecurityError":
      return {
        title: "The microphone is blocked",
        text: "Allow it for this page at the icon beside the address, or in the system's privacy settings.",
        retry: true,
      };
    case "NotFoundError":
    case "OverconstrainedError":
      return { title: "No microphone found", text: "Plug one in or switch it on.", retry: true };
    case "NotReadableError":
    case "AbortError":
      return {
        title: "The microphone does not start",
        text: "Another program may be using it. Close that one.",
        retry: true,
      };
    default:
      return { title: "The microphone does not work", text: "Choose another one, or reload.", retry: true };
  }
}

export const hasSound = () =>
  Boolean(navigator.mediaDevices?.getUserMedia && globalThis.AudioWorkletNode && isSecureContext);

export class Sound {
  /** Told the level (RMS 0-1) of each 20 ms of microphone. */
  onlevel = () => {};
  /** Told when the microphone went away by itself. */
  onlost = () => {};
  /** Told when the browser paused or resumed all sound. */
  onpaused = () => {};

  context = null;
  captureNode = null;
  playbackNode = null;
  playback = { underruns: 0, dropped: 0, buffered_ms: 0, hold_ms: 0 };
  #stream = null;
  #source = null;
  #captureContext = null;
  #ready = null;
  #live = false;
  #line;

  /**
   * `raw` switches the browser's voice processing off: for musicians, and for exact measurements. Frames go from
   * worklet to `line` (a SoundLine) and back without passing here.
   */
  constructor(raw, line) {
    this.raw = raw;
    this.#line = line;
  }

  /** Makes the context and the loudspeaker side. Safe to call often. */
  open() {
    this.#ready ??= this.#build();
    return this.#ready;
  }

  async #build() {
    if (!hasSound()) throw Object.assign(new Error("needs https"), { name: "InsecureContext" });
    this.context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    this.context.onstatechange = () => {
      const running = this.context.state === "running";
      this.#line.audible(running);
      this.onpaused(!running);
    };
    await Promise.all([
      this.context.audioWorklet.addModule(here("capture-worklet.js")),
      this.context.audioWorklet.addModule(here("playback-worklet.js")),
    ]);
    this.playbackNode = new AudioWorkletNode(this.context, "playback", {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    this.playbackNode.port.onmessage = ({ data }) => {
      this.playback = data;
    };
    this.playbackNode.connect(this.context.destination);
    const { port1, port2 } = new MessageChannel();
    this.playbackNode.port.postMessage({ port: port1 }, [port1]);
    this.#line.loudspeaker(port2);
    this.#line.audible(this.context.state === "running");
  }

  /** Browsers start sound only after the person has touched the page. */
  resume() {
    return this.context?.resume();
  }

  get listening() {
    return this.#stream !== null;
  }

  get deviceId() {
    return this.#stream?.getAudioTracks()[0]?.getSettings().deviceId ?? "";
  }

  get deviceName() {
    return this.#stream?.getAudioTracks()[0]?.label ?? "";
  }

  /** Starts a microphone, in place of the one before; rejects with the browser's error. */
  async listen(deviceId = "") {
    if (!hasSound()) throw Object.assign(new Error("needs https"), { name: "InsecureContext" });
    const on = !this.raw;
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: {
        deviceId: deviceId ? { exact: deviceId } : undefined,
        channelCount: 1,
        sampleRate: RATE,
        echoCancellation: on,
        noiseSuppression: on,
        autoGainControl: on,
      },
    });
    await this.open();
    this.unplug();
    this.#stream = stream;
    stream.getAudioTracks()[0].onended = () => {
      this.unplug();
      this.onlost();
    };
    await this.#connect(stream);
    this.live = this.#live;
  }

  async #connect(stream) {
    let context = this.context;
    try {
      this.#source = context.createMediaStreamSource(stream);
    } catch (error) {
      if (error.name !== "NotSupportedError") throw error;
      // Firefox does not bring a microphone of another rate into the context: a second one at the
      // microphone's own rate, and the worklet brings it to 48 kHz.
      context = this.#captureContext = new AudioContext({ latencyHint: "interactive" });
      await context.audioWorklet.addModule(here("capture-worklet.js"));
      this.#source = context.createMediaStreamSource(stream);
    }
    this.captureNode = new AudioWorkletNode(context, "capture", {
      channelCount: 1,
      channelCountMode: "explicit",
      outputChannelCount: [1],
    });
    this.captureNode.port.onmessage = ({ data }) => this.onlevel(data.level);
    const { port1, port2 } = new MessageChannel();
    this.captureNode.port.postMessage({ port: port1 }, [port1]);
    this.#line.microphone(port2);
    // Its output is silence: it is connected because browsers run only what leads to the loudspeaker.
    this.#source.connect(this.captureNode).connect(context.destination);
  }

  /** Lets the microphone go (the browser's recording sign goes out). */
  unplug() {
    this.#source?.disconnect();
    this.captureNode?.disconnect();
    if (this.captureNode) this.captureNode.port.onmessage = null;
    this.#captureContext?.close();
    for (const track of this.#stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.#stream = this.#source = this.#captureContext = this.captureNode = null;
  }

  /** Whether frames are made; levels are measured in any case. */
  set live(live) {
    this.#live = live;
    this.captureNode?.port.postMessage({ live });
  }

  async microphones() {
    if (!hasSound()) return [];
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter((device) => device.kind === "audioinput" && device.deviceId);
  }
}
